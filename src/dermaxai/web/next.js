// The next case to read: how far a reader is, and where they go on.

import { isNamed } from "./access.js";
import { address, get } from "./api.js";
import { make, number } from "./states.js";

const NEWEST = { sort: "created", descending: true };

const order = { ...NEWEST }; // of the list, as it was looked at last

document.addEventListener("dermaxai:reader", () => Object.assign(order, NEWEST));

/** The order of the list, which the next case follows. */
export const keepOrder = (sort, descending) => Object.assign(order, { sort, descending });

/** {case, read, cases} of whoever is reading; `case` is the next one behind `after`, or null. Throws: Fault. */
export const findNext = (after = "") => get(address("/api/next", { after, ...order }));

/** 'Next case', as a link. */
export const nextLink = (found) => make("a", { class: "button", href: `#/case/${found.case}`, say: "next", "aria-keyshortcuts": "N" });

/** How far the reader is, as arguments of `say`. */
export const progressOf = ({ read, cases }) => ["next.progress", { read: number(read, 15), number: cases }];

/** Why there is no next case, as arguments of `say`. */
export const endOf = ({ read, cases }) => (read >= cases ? ["next.none", { number: cases }] : ["next.last"]);

/** Beside what is saved: the way on, once `done`. */
export class Onward {
  constructor(id) {
    this.id = id;
    this.home = make("div", { class: "row onward", hidden: true });
    this.turn = 0;
  }

  async show(done) {
    const turn = ++this.turn;
    const found = done && isNamed() ? await findNext(this.id).catch(() => null) : null;
    if (turn !== this.turn) return;
    this.home.hidden = !found;
    if (found) this.home.replaceChildren(...(found.case ? [nextLink(found), make("span", { class: "soft", say: progressOf(found) })] : [make("span", { say: endOf(found) })]));
  }
}

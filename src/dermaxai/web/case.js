// One case: the photo at once, progress, the viewer as soon as there is a caption, and what can be asked of it.

import { mountAsking } from "./asking.js";
import { Fault, freshKey, get, hasEnded, on, post, remove } from "./api.js";
import { mountChecking } from "./checking.js";
import { askName, isNamed, reader } from "./access.js";
import { claim, forget } from "./begun.js";
import { endOf, findNext } from "./next.js";
import { JobPanel } from "./progress.js";
import { mountBlind, mountReading } from "./reading.js";
import { announce, button, confirm, copy, emptiness, faultCard, madeOf, make, modelName, moment, say, served, showFault, singleKeys, speech, t } from "./states.js";
import { previewOf } from "./upload.js";
import { mount } from "./viewer.js";
import { choices } from "./wishes.js";

/** Address of the photo of a case; another one after every change of the case. */
export const photoOf = (entry) => `/api/cases/${entry.id}/photo?revision=${entry.revision}`;

const SMALL = 160; // pixels of the shorter side; below, most of what an encoder of 224 looks at is invented

/** The pseudonym of whoever is reading; '' for none. */
const owner = () => (isNamed() ? reader().name : "");

/** Whether two states of a case show the same description: what was begun for one fits the other. */
const isSame = (page, other) => page.captions[0]?.text === other.captions[0]?.text && page.photo.width === other.photo.width;

/** Puts a viewer of `entry` into a fresh copy of its template below `home`. */
export function mountViewer(home, entry) {
  const root = make("div", { class: "viewer" }, document.getElementById("viewer").content.cloneNode(true));
  home.replaceChildren(root);
  root.querySelector("[data-part=keys-on]").checked = singleKeys();
  return mount(root, { case: entry.page, texts: served.texts, colours: served.colours, language: speech.language, photo: photoOf(entry) }, {});
}

class CaseView {
  constructor(home, id) {
    Object.assign(this, { id, entry: null, viewer: null, panel: null, asking: null, checking: null, room: null, watched: null, seen: -1, gone: false });
    this.root = copy("view-case");
    home.replaceChildren(this.root);
    this.stopUp = on("up", () => this.load());
    this.owner = owner();
    this.onReader = () => this.meet();
    document.addEventListener("dermaxai:reader", this.onReader);
    this.load();
  }

  part(name) {
    return this.root.querySelector(`[data-part="${name}"]`);
  }

  slot(name) {
    return this.root.querySelector(`[data-slot="${name}"]`);
  }

  title() {
    return this.entry?.page?.captions[0]?.text || this.entry?.name || this.id;
  }

  /** Somebody else is reading: nothing of the one before stays; or the same with a pseudonym now. */
  meet() {
    const before = this.owner;
    this.owner = owner();
    if (before && before !== this.owner) {
      this.dismount();
      this.entry = null;
      for (const name of ["facts", "actions", "progress", "body"]) this.part(name).replaceChildren();
      document.dispatchEvent(new CustomEvent("dermaxai:title"));
    } else if (!before && this.owner) claim(this.owner);
    if (this.owner) this.room?.greet();
    this.load();
  }

  /** Reads the case again and shows what is new of it. */
  async load() {
    try {
      const entry = await get(`/api/cases/${this.id}`);
      if (this.gone) return;
      this.entry = entry;
      showFault(this.part("trouble"), null);
      this.draw();
    } catch (fault) {
      if (!(fault instanceof Fault)) throw fault;
      if (!this.gone) this.fail(fault);
    }
  }

  fail(fault) {
    if (fault.error === "NotFound") {
      forget(this.id);
      this.dismount();
      this.part("title").textContent = this.id;
      this.part("body").replaceChildren(emptiness("case.none", make("a", { class: "button primary", href: "#/cases", say: "page.cases" })));
    } else if (fault.error === "ReadingFirst") this.showBlind();
    else if (fault.error !== "Unreachable" || !this.viewer) {
      showFault(this.part("trouble"), fault, button("action.again", () => this.load()));
      if (!this.viewer && fault.error !== "Unreachable") for (const name of ["progress", "body"]) this.part(name).replaceChildren();
    }
  }

  draw() {
    const { entry } = this;
    this.drawHead();
    if (entry.hidden) return this.showBlind();
    if (entry.page && this.viewer && isSame(entry.page, this.viewer.case)) this.viewer.update(entry.page);
    else if (entry.page) this.mount();
    else this.showWaiting();
    const { job } = entry;
    if (job && !hasEnded(job)) this.watch(job);
    else if (["failed", "stopped"].includes(entry.state)) this.showFailed(job);
    else this.part("progress").replaceChildren();
    this.asking?.refresh(entry);
    this.checking?.refresh(entry);
    document.dispatchEvent(new CustomEvent("dermaxai:title"));
  }

  drawHead() {
    const { entry } = this;
    this.part("title").textContent = entry.name || entry.id;
    const facts = [moment(entry.created), entry.page ? "" : null, entry.owner && entry.owner !== "local" ? entry.owner : null];
    this.part("facts").textContent = facts.filter(Boolean).join(" · ");
    this.part("actions").replaceChildren(...this.actions());
    const { width, height } = entry.page?.photo ?? { width: SMALL, height: SMALL };
    this.part("small").hidden = Math.min(width, height) >= SMALL;
    say(this.part("small"), "case.small", { width, height });
  }

  actions() {
    const { entry } = this;
    const ready = entry.state === "ready" && !entry.hidden;
    const place = `/api/cases/${entry.id}`;
    const link = (key, href, attributes = {}) => make("a", { href, say: key, ...attributes });
    const report = make("details", { class: "menu" }, make("summary", { class: "button primary", say: "case.report" }), make("div", { class: "menu-list" },
      ...["en", "ru"].map((lang) => link(`case.report.${lang}`, `${place}/report?lang=${lang}`, { target: "_blank", rel: "noopener" })),
      ...(served.pdf ? ["en", "ru"].map((lang) => link(`case.pdf.${lang}`, `${place}/report.pdf?lang=${lang}`, { download: "" })) : []),
      link("case.maps", `${place}/maps.npz`, { download: "" }),
      this.command() && button("case.command", () => this.copyCommand(), "")));
    const others = served.models.filter((model) => !this.makers().some((maker) => [model, modelName(model)].includes(maker)));
    const again = others.length > 0 && make("details", { class: "menu" }, make("summary", { class: "button", say: "case.model" }), make("div", { class: "menu-list" },
      ...others.map((model) => make("button", { type: "button", onclick: () => this.again(model) }, modelName(model))), make("small", { say: "case.model.more" })));
    const more = [
      ready && report,
      ready && again,
      ready && link("case.compare", `#/cases?with=${entry.id}`, { class: "button" }),
      (reader()?.role === "admin" || entry.owner === reader()?.name) && button("case.delete", () => this.remove(), "danger quiet"),
    ];
    return more.filter(Boolean);
  }

  /** The command that makes this case again. */
  command() {
    return madeOf(this.entry.page, "command");
  }

  /** Encoder and captioner of the case. */
  makers() {
    return ["encoder", "captioner"].map((key) => madeOf(this.entry.page, key).split(/\s{2,}/)[0]).filter(Boolean);
  }

  /** The methods that were asked about words, for the same question to another model. */
  methods() {
    const { case: page, maps } = this.viewer;
    const asked = maps.filter((map) => page.targets[map.target].word !== null && !this.viewer.isSummary(map.method));
    return [...new Set(asked.map((map) => page.methods[map.method].name))];
  }

  /** The same pixels described anew: by another model, then both side by side; else once more, where it failed. */
  async again(model = "") {
    const asked = this.viewer ? { model, methods: this.methods(), lang: this.entry.language } : (({ measure, ...wanted }) => wanted)(choices());
    this.root.querySelector("details.menu[open]")?.removeAttribute("open");
    try {
      const { case: id } = await post(`/api/cases/${this.id}/again`, asked, { headers: { "Idempotency-Key": freshKey() } });
      location.hash = model ? `#/compare/${this.id}/${id}` : `#/case/${id}`;
    } catch (fault) {
      showFault(this.part("trouble"), fault);
    }
  }

  async copyCommand() {
    this.root.querySelector("details.menu").open = false;
    try {
      await navigator.clipboard.writeText(this.command());
      announce("case.copied");
      this.flash("case.copied");
    } catch {
      this.flash("case.copy.not");
    }
  }

  /** A short note beside the actions that goes by itself; `told` is a string's key, or key and values. */
  flash(told) {
    const note = make("p", { class: "flash", say: told });
    this.part("actions").append(note);
    setTimeout(() => note.remove(), 2500);
  }

  /** The key N: on to the next case that is not read; whether somebody reads here under a pseudonym. */
  goOn() {
    if (isNamed()) this.seek();
    return isNamed();
  }

  async seek() {
    try {
      const found = await findNext(this.id);
      if (this.gone) return;
      if (found.case) return void (location.hash = `#/case/${found.case}`);
      this.flash(endOf(found));
      announce(...endOf(found));
    } catch (fault) {
      if (!this.gone) showFault(this.part("trouble"), fault);
    }
  }

  async remove() {
    const sure = await confirm("case.remove", { name: this.entry.name || this.id });
    if (!sure) return;
    try {
      await remove(`/api/cases/${this.id}`);
      forget(this.id);
      announce("case.removed");
      location.hash = "#/cases";
    } catch (fault) {
      showFault(this.part("trouble"), fault);
    }
  }

  /** The photo, and what is being done, before there is a caption. */
  showWaiting() {
    if (this.part("body").querySelector(".early")) return;
    const part = copy("waiting-case");
    part.querySelector("[data-part=photo]").src = previewOf(this.id) || photoOf(this.entry);
    this.part("body").replaceChildren(part);
  }

  showFailed(job) {
    this.panel?.destroy();
    this.panel = null;
    this.watched = null;
    const home = this.part("progress");
    if (!job) return;
    const cancelled = job.state === "cancelled";
    this.root.querySelector(".early-side")?.remove();
    home.replaceChildren(cancelled ? emptiness("case.cancelled") : faultCard(job.error ?? { error: "other" }));
    if (served.models.length) home.append(make("div", { class: "row" }, button("case.again", () => this.again(), "primary"), make("a", { class: "button", href: "#/", say: "page.new" })));
  }

  watch(job) {
    if (this.watched === job.id) return;
    this.panel?.destroy();
    this.watched = job.id;
    this.panel = new JobPanel(this.part("progress"), job, {
      heard: (now) => this.hear(now),
      ended: () => {
        this.watched = null;
        this.panel = null;
        this.load();
      },
    });
  }

  /** More of the case is there: reads it. */
  hear(job) {
    if (job.content === this.seen || hasEnded(job)) return;
    this.seen = job.content;
    if (job.content) this.load();
  }

  mount() {
    this.dismount();
    const { entry } = this;
    this.viewer = mountViewer(this.part("body"), entry);
    const context = { id: this.id, entry, load: () => this.load(), ask: (...asked) => this.asking.run(...asked) };
    this.asking = mountAsking(this.viewer, this.root, context);
    this.checking = mountChecking(this.viewer, this.slot("check"), context);
    this.room = mountReading(this.viewer, this.readingContext());
  }

  /** What the reading room needs to know of this page. */
  readingContext() {
    const view = this;
    return { id: this.id, get entry() { return view.entry; }, slot: this.slot("reading"), owner, reader, isNamed, askName, load: () => this.load() };
  }

  /** Blind mode: the photo, and the reader's own reading first. */
  showBlind() {
    if (this.room && !this.viewer) return;
    this.dismount();
    const home = make("section", { class: "early blind" },
      make("figure", { class: "early-photo" }, make("img", { src: `/api/cases/${this.id}/photo`, alt: t("map.photo") })),
      make("div", { class: "early-side" }, make("h2", { say: "blind" }), make("p", { class: "soft", say: "blind.more" }), make("div", { "data-slot": "reading" })));
    this.part("body").replaceChildren(home);
    if (!this.entry) this.part("title").textContent = this.id;
    this.room = mountBlind(home, this.readingContext());
  }

  speak() {
    this.viewer?.speak(speech.language);
    this.room?.speak?.(speech.language);
    this.asking?.speak();
    this.checking?.speak();
    if (this.entry) this.drawHead();
    this.panel?.draw();
  }

  dismount() {
    for (const one of ["asking", "checking", "room", "viewer"]) {
      this[one]?.destroy?.();
      this[one] = null;
    }
  }

  destroy() {
    this.gone = true;
    this.stopUp();
    this.panel?.destroy();
    document.removeEventListener("dermaxai:reader", this.onReader);
    this.dismount();
  }
}

export const openCase = (home, id) => new CaseView(home, id);

// A new photo: dropped, chosen, pasted or drawn; and the strip of photos on their way.

import { address, Fault, freshKey, get, hasEnded, isUp, on, post, remove, sendPhoto } from "./api.js";
import { bar, jobSentence, jobShare } from "./progress.js";
import { announce, bytes, button, copy, emptiness, faultCard, make, say, served, showFault, speech, t } from "./states.js";
import { choices, Wishes } from "./wishes.js";

const AT_ONCE = 1; // photos on their way to the server at the same time; more would overtake each other
const EVERY = 900; // milliseconds between two looks at the jobs

/** Photos of this visit, the newest first; they outlive the view. */
const items = [];
const state = { sending: 0, taken: 0, home: null, timer: 0, lone: null };

/** Whether there is nothing to drop with, as on a phone. */
const isTouched = () => matchMedia("(hover: none)").matches;

class NewView {
  constructor(home) {
    this.root = copy("view-new");
    home.replaceChildren(this.root);
    state.home = this;
    this.tell();
    this.listen();
    this.fillExamples();
    this.wishes = new Wishes(this.part("choices"));
    drawStrip();
    look();
  }

  part(name) {
    return this.root.querySelector(`[data-part="${name}"]`);
  }

  title() {
    return t("page.new");
  }

  tell() {
    const touched = isTouched();
    say(this.root.querySelector(".drop-title"), touched ? "new.touch" : "new.drop");
    this.part("kinds").textContent = t(touched ? "new.touch.kinds" : "new.kinds", { size: bytes(served.largest) });
  }

  listen() {
    const drop = this.part("drop"), input = this.part("file");
    this.part("choose").addEventListener("click", () => input.click());
    drop.addEventListener("click", (event) => event.target.closest("button") || input.click());
    input.addEventListener("change", () => {
      take([...input.files]);
      input.value = "";
    });
  }

  async fillExamples() {
    try {
      const { examples } = await get("/api/examples");
      this.part("examples").replaceChildren(...examples.map((example) =>
        make("button", { type: "button", onclick: () => draw(example) },
          make("img", { src: example.thumb, alt: "", width: 320, height: 240 }), make("span", {}, example.text[speech.language]))));
    } catch (fault) {
      this.part("examples").replaceChildren(faultCard(fault, button("action.again", () => this.fillExamples())));
    }
  }

  speak() {
    this.tell();
    this.fillExamples();
    this.wishes.speak();
    drawStrip();
  }

  destroy() {
    state.home = null;
    clearTimeout(state.timer);
  }
}

export const openNew = (home) => new NewView(home);

/** Puts photos on their way. */
export function take(files) {
  if (!served.models.length || !files.length) return;
  const fresh = files.map((file) => ({ key: freshKey(), number: (state.taken += 1), file, choices: choices(), name: file.name || t("new.pasted"), state: "queued", share: 0, address: preview(file) }));
  items.unshift(...fresh);
  state.lone = fresh.length === 1 && !items.some((item) => item !== fresh[0] && isUnderWay(item)) ? fresh[0] : null;
  announce("new.taken", { number: fresh.length });
  if (!state.home) location.hash = "#/";
  drawStrip();
  sendNext();
}

/** Whether a photo of this visit is still to be sent or described; one that was opened, or of others, is not waited for. */
const isUnderWay = (item) => Boolean(item.number) && !item.opened && (item.job ? !hasEnded(item.job) : item.state !== "refused");

/** The photo of a case as the browser holds it, before the server has sent it back; '' where it does not. */
export const previewOf = (id) => items.find((item) => item.id === id)?.address ?? "";

const preview = (file) => (/^image\/(jpeg|png|webp|gif|bmp|avif)$/.test(file.type) ? URL.createObjectURL(file) : "");

async function draw(example) {
  const { model, methods, lang, measure } = choices();
  try {
    const form = new FormData();
    for (const [field, value] of Object.entries({ model, methods, lang, measure })) for (const one of [value].flat()) form.append(field, one);
    const { job, case: id } = await post(`/api/examples/${example.number}`, form);
    location.hash = `#/case/${id ?? job.case}`;
  } catch (fault) {
    showFault(state.home.part("trouble"), fault);
    state.home.part("trouble").scrollIntoView({ block: "nearest" });
  }
}

function sendNext() {
  for (const item of items.toSorted((one, other) => one.number - other.number)) {
    if (state.sending >= AT_ONCE || !isUp()) return;
    if (item.state === "queued") sendOne(item);
  }
}

async function sendOne(item) {
  item.state = "sending";
  item.fault = null;
  state.sending += 1;
  drawStrip();
  try {
    const { job, case: id } = await sendPhoto(item.file, item.choices, item.key, (share) => {
      item.share = share;
      drawStrip();
    });
    Object.assign(item, { state: "sent", job, id: id ?? job.case, file: null });
    item.opened = state.lone === item && Boolean(state.home);
    if (item.opened) location.hash = `#/case/${item.id}`;
  } catch (fault) {
    refused(item, fault);
  } finally {
    state.sending -= 1;
    drawStrip();
    sendNext();
    look();
  }
}

/** What can pass by itself is sent again by itself; the rest says why, and keeps the photo. */
function refused(item, fault) {
  if (!(fault instanceof Fault)) throw fault;
  item.fault = fault;
  item.state = fault.error === "Unreachable" ? "queued" : "refused";
  if (fault.status !== 429) return;
  item.state = "paused";
  setTimeout(() => {
    if (item.state === "paused") item.state = "queued";
    sendNext();
  }, 1000 * Math.min(Math.max(fault.wait, 2), 60));
}

on("up", () => {
  sendNext();
  look();
});

/** Looks at the jobs of the server while somebody watches and something is under way. */
async function look() {
  clearTimeout(state.timer);
  if (!state.home) return;
  let busy = items.some((item) => ["queued", "sending", "paused"].includes(item.state));
  try {
    const { jobs } = await get("/api/jobs");
    const running = jobs.filter((job) => job.kind === "explain");
    for (const job of running) {
      const item = items.find((one) => one.id === job.case);
      if (item) await changed(item, job);
      else if (!hasEnded(job)) items.push({ key: freshKey(), name: "", state: "sent", job, id: job.case, address: "" });
    }
    busy ||= items.some((item) => item.job && !hasEnded(item.job));
    drawStrip();
  } catch { /* the banner tells that the server is gone */ }
  if (state.home && busy) state.timer = setTimeout(look, EVERY);
}

async function changed(item, job) {
  const over = hasEnded(job) && !hasEnded(item.job ?? { state: "" });
  item.job = job;
  if (!over || job.state !== "done") return;
  item.state = "done";
  item.caption = await get(address("/api/cases", { limit: 100 })).then(({ cases }) => cases.find((one) => one.id === item.id)?.caption ?? "").catch(() => "");
}

function drawStrip() {
  const view = state.home;
  if (!view) return;
  const shown = items.filter((item) => item !== state.lone || item.fault);
  view.part("batch").hidden = !shown.length;
  const open = shown.filter((item) => !["done", "refused"].includes(item.state) && !(item.job && hasEnded(item.job)));
  view.part("batch-count").textContent = open.length ? t("new.batch.open", { number: open.length, all: shown.length }) : t("new.batch.done");
  const focus = document.activeElement?.closest("[data-item]")?.dataset.item;
  const which = document.activeElement?.dataset.act;
  view.part("strip").replaceChildren(...shown.map(row));
  if (focus) view.part("strip").querySelector(`[data-item="${focus}"] [data-act="${which}"]`)?.focus({ preventScroll: true });
}

function row(item) {
  const picture = make("span", { class: "thumb-box" });
  const source = item.address || (item.id ? `/api/cases/${item.id}/thumb` : "");
  if (source) picture.append(make("img", { src: source, alt: "", onerror: (event) => event.target.remove() }));
  const link = item.id ? make("a", { href: `#/case/${item.id}`, "data-act": "open" }, item.caption || item.name || item.id) : make("span", {}, item.name);
  return make("li", { class: `strip-item ${item.fault ? "bad" : item.job?.state ?? item.state}`, "data-item": item.key }, picture,
    make("div", { class: "strip-text" }, make("p", { class: "strip-name" }, link), ...doing(item)), make("div", { class: "row end" }, ...acts(item)));
}

function doing(item) {
  if (item.state === "refused") return [faultCard(item.fault)];
  if (item.state === "paused") return [say(make("p", { class: "soft" }), "new.paused")];
  if (item.fault && item.state === "queued") return [say(make("p", { class: "soft" }), "new.kept")];
  if (item.state === "sending") return [say(make("p", { class: "soft" }), "new.sending"), bar(item.share * 0.98, "new.sending")];
  if (!item.job) return [say(make("p", { class: "soft" }), "new.queued")];
  const told = say(make("p", { class: "soft" }), ...jobSentence(item.job));
  if (item.job.error) return [faultCard(item.job.error)];
  return hasEnded(item.job) ? [told] : [told, bar(jobShare(item.job))];
}

function acts(item) {
  const take = (key, act, what) => button(key, what, "quiet", { "data-act": act });
  if (item.state === "refused") return [take("action.again", "again", () => again(item)), take("new.forget", "forget", () => forget(item))];
  if (item.job && !hasEnded(item.job)) return [take("job.cancel", "cancel", () => cancel(item))];
  if (["queued", "paused"].includes(item.state)) return [take("new.forget", "forget", () => forget(item))];
  return [];
}

function again(item) {
  Object.assign(item, { state: "queued", fault: null, key: freshKey() });
  sendNext();
}

function forget(item) {
  items.splice(items.indexOf(item), 1);
  if (item.address) URL.revokeObjectURL(item.address);
  drawStrip();
}

async function cancel(item) {
  await remove(`/api/jobs/${item.job.id}`).catch((fault) => (item.fault = fault));
  look();
}

/** Photos may be dropped on any view and pasted wherever nobody types. */
export function listenForPhotos() {
  const files = (transfer) => [...(transfer?.files ?? [])];
  const holds = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  let depth = 0;
  const over = (change) => {
    depth = Math.max(0, depth + change);
    document.body.classList.toggle("dragging", depth > 0);
  };
  document.addEventListener("dragenter", (event) => holds(event) && over(1));
  document.addEventListener("dragleave", (event) => holds(event) && over(-1));
  document.addEventListener("dragover", (event) => holds(event) && event.preventDefault());
  document.addEventListener("drop", async (event) => {
    if (!holds(event)) return;
    event.preventDefault();
    over(-depth);
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    take(entries.some((entry) => entry.isDirectory) ? (await Promise.all(entries.map(walk))).flat() : files(event.dataTransfer));
  });
  document.addEventListener("paste", (event) => {
    if (files(event.clipboardData).length) take(files(event.clipboardData));
  });
}

/** All files of a folder that was dropped; hidden ones are left out. */
async function walk(entry) {
  if (entry.name.startsWith(".")) return [];
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader(), found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    found.push(...some);
  }
  return (await Promise.all(found.map(walk))).flat();
}

/** The view of a server that describes no photos. */
export const openReviewOnly = (home) => home.replaceChildren(emptiness("review", make("a", { class: "button primary", href: "#/cases", say: "page.cases" })));

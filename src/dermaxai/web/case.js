// One case: the photo at once, progress, the viewer as soon as there is a caption, and what can be asked of it.

import { mountAsking } from "./asking.js";
import { Fault, freshKey, get, hasEnded, on, remove, sendPhoto } from "./api.js";
import { mountChecking } from "./checking.js";
import { askName, isNamed, reader } from "./access.js";
import { JobPanel } from "./progress.js";
import { mountBlind, mountReading } from "./reading.js";
import { announce, button, confirm, copy, emptiness, faultCard, madeOf, make, moment, say, served, showFault, singleKeys, speech, t } from "./states.js";
import { previewOf } from "./upload.js";
import { mount } from "./viewer.js";
import { choices } from "./wishes.js";

/** Address of the photo of a case; another one after every change of the case. */
export const photoOf = (entry) => `/api/cases/${entry.id}/photo?revision=${entry.revision}`;

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
    this.onReader = () => this.load();
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
      this.dismount();
      this.part("title").textContent = this.id;
      this.part("body").replaceChildren(emptiness("case.none", make("a", { class: "button primary", href: "#/cases", say: "page.cases" })));
    } else if (fault.error === "ReadingFirst") this.showBlind();
    else if (fault.error !== "Unreachable" || !this.viewer) showFault(this.part("trouble"), fault, button("action.again", () => this.load()));
  }

  draw() {
    const { entry } = this;
    this.drawHead();
    if (entry.hidden) return this.showBlind();
    if (entry.page && this.viewer) this.viewer.update(entry.page);
    else if (entry.page) this.mount();
    else this.showWaiting();
    const { job } = entry;
    if (job && !hasEnded(job)) this.watch(job);
    else if (entry.state === "failed") this.showFailed(job);
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
    const others = served.models.filter((model) => model !== madeOf(entry.page, "encoder").split(/\s/)[0]);
    const again = others.length > 0 && make("details", { class: "menu" }, make("summary", { class: "button", say: "case.model" }), make("div", { class: "menu-list" },
      ...others.map((model) => make("button", { type: "button", onclick: () => this.withModel(model) }, model)), make("small", { say: "case.model.more" })));
    const more = [
      ready && report,
      ready && again,
      ready && link("case.compare", `#/cases?with=${entry.id}`, { class: "button" }),
      button("case.delete", () => this.remove(), "danger quiet"),
    ];
    return more.filter(Boolean);
  }

  /** The command that makes this case again. */
  command() {
    return madeOf(this.entry.page, "command");
  }

  /** The same photo, as the page shows it, described by another model; then both side by side. */
  async withModel(model) {
    try {
      const photo = await fetch(photoOf(this.entry)).then((answer) => answer.blob());
      const file = new File([photo], this.entry.name || `${this.id}.jpg`, { type: photo.type });
      const { case: id } = await sendPhoto(file, { ...choices(), model }, freshKey(), () => {});
      location.hash = `#/compare/${this.id}/${id}`;
    } catch (fault) {
      showFault(this.part("trouble"), fault instanceof Fault ? fault : new Fault({ error: "Unreachable" }));
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

  /** A short note beside the actions that goes by itself. */
  flash(key) {
    const note = make("p", { class: "flash", say: key });
    this.part("actions").append(note);
    setTimeout(() => note.remove(), 2500);
  }

  async remove() {
    const sure = await confirm("case.remove", { name: this.entry.name || this.id });
    if (!sure) return;
    try {
      await remove(`/api/cases/${this.id}`);
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
    home.append(make("div", { class: "row" }, served.models.length ? make("a", { class: "button primary", href: "#/", say: "page.new" }) : null));
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
    return { id: this.id, get entry() { return view.entry; }, slot: this.slot("reading"), reader, isNamed, askName, load: () => this.load() };
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

// The page: which view an address means, the header, the language, the state of the model, the keyboard.

import { begin, reader, showHelp } from "./access.js";
import { Fault, get, isUp, on, tryAgain } from "./api.js";
import { openCase } from "./case.js";
import { openCompare } from "./compare.js";
import { openGallery } from "./gallery.js";
import { mountSummary } from "./reading.js";
import { button, faultCard, keep, kept, make, modelName, open, say, served, setSingleKeys, singleKeys, speech, t, translate } from "./states.js";
import { listenForPhotos, openNew, openReviewOnly } from "./upload.js";

const home = document.getElementById("view");
const current = { view: null, route: "", first: true };
const model = { state: "starting", timer: 0 };

/** Address -> a view; '' where nothing of the kind exists. */
const ROUTES = [
  [/^#?\/?$/, () => (served.models.length ? openNew(home) : openGallery(home, {})), () => (served.models.length ? "new" : "cases")],
  [/^#\/cases(?:\?(.*))?$/, (_, query) => openGallery(home, Object.fromEntries(new URLSearchParams(query ?? ""))), () => "cases"],
  [/^#\/case\/([A-Za-z0-9_-]{1,64})$/, (_, id) => openCase(home, id), () => ""],
  [/^#\/readings$/, () => openReadings(), () => "readings"],
  [/^#\/compare\/([A-Za-z0-9_-]{1,64})\/([A-Za-z0-9_-]{1,64})$/, (_, one, other) => openCompare(home, [one, other]), () => ""],
];

/** Agreement of the readers and exports. */
function openReadings() {
  const room = mountSummary(home);
  return { title: () => t("page.readings"), speak: () => room.speak(), destroy: () => room.destroy() };
}

function show() {
  const found = ROUTES.map(([pattern, build, place]) => [location.hash.match(pattern), build, place]).find(([match]) => match);
  if (!found) return void (location.hash = "#/");
  const [match, build, place] = found;
  current.view?.destroy?.();
  current.view = build(...match) ?? null;
  home.setAttribute("aria-busy", "false");
  for (const link of document.querySelectorAll("[data-place]")) {
    if (link.dataset.place === place()) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  entitle();
  if (!current.first) {
    scrollTo(0, 0);
    home.focus({ preventScroll: true });
  }
  current.first = false;
}

/** Places that are only for who leads a study. */
function showPlaces() {
  document.querySelector("[data-place=readings]").hidden = reader()?.role !== "admin";
}

function entitle() {
  const title = current.view?.title?.();
  document.title = title ? `${title} · DermaXAI` : "DermaXAI";
}

/** The page in another language; the choice is kept. */
function speak(language) {
  speech.language = language;
  document.documentElement.lang = language;
  keep("dermaxai:language", language);
  document.cookie = `language=${language}; path=/; max-age=31536000; SameSite=Lax`;
  for (const one of document.querySelectorAll("[data-speak]")) one.setAttribute("aria-pressed", String(one.dataset.speak === language));
  translate(document);
  drawModel();
  current.view?.speak?.(language);
  entitle();
}

/** Asks how the model is; also how the page learns that the server is gone. */
async function watchModel() {
  clearTimeout(model.timer);
  try {
    const { worker } = await get("/healthz");
    const known = model.state === worker.state;
    Object.assign(model, worker);
    served.worker = worker.state;
    if (worker.state === "failed" && !known) Object.assign(model, (await get("/api/state")).worker);
    drawModel();
  } catch { /* the banner tells */ }
  model.timer = setTimeout(watchModel, ["ready", "none", "failed"].includes(model.state) ? 4000 : 700);
}

function drawModel() {
  const element = document.getElementById("model-state");
  if (!element) return;
  const state = isUp() ? model.state : "gone";
  if (element.dataset.shown === `${state} ${speech.language}`) return;
  element.dataset.shown = `${state} ${speech.language}`;
  element.dataset.state = state;
  say(element.querySelector("span"), `model.${state}`, { name: shownModel() });
  element.onclick = showModel;
  document.querySelector("#model-missing")?.remove();
  if (state === "failed") home.before(make("div", { id: "model-missing", class: "missing" }, modelFault()));
}

const shownModel = () => modelName(model.model || served.models[0] || "");

const modelFault = () => faultCard({ error: model.error || "ModelFailed", message: model.message ?? "", hint: model.hint ?? "", said: model.said });

function showModel() {
  const dialog = make("dialog", { class: "dialog", "aria-labelledby": "model-title" });
  const state = isUp() ? model.state : "gone";
  dialog.append(make("h2", { id: "model-title", say: [`model.${state}`, { name: shownModel() }] }),
    make("p", { say: `model.${state}.more` }), model.message && state === "failed" ? modelFault() : "",
    make("p", { class: "soft", say: ["model.served", { names: served.models.map(modelName).join(", ") }] }),
    make("div", { class: "row end" }, button("action.close", () => dialog.close(), "primary")));
  return open(dialog);
}

function listen() {
  addEventListener("hashchange", show);
  document.addEventListener("dermaxai:title", entitle);
  document.addEventListener("dermaxai:reader", () => (showPlaces(), current.view?.id ? null : show()));
  for (const one of document.querySelectorAll("[data-speak]")) one.addEventListener("click", () => speak(one.dataset.speak));
  document.getElementById("help").addEventListener("click", showHelp);
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault();
    home.focus();
  });
  document.getElementById("gone-again").addEventListener("click", tryAgain);
  document.addEventListener("keydown", leaveMenu, { capture: true });
  document.addEventListener("keydown", press);
  document.addEventListener("change", ({ target }) => target.dataset.part === "keys-on" && setSingleKeys(target.checked));
  document.addEventListener("pointerdown", (event) => closeMenus(event.target));
  on("down", () => gone(true));
  on("up", () => gone(false));
  if (served.models.length) listenForPhotos();
}

function gone(away) {
  document.getElementById("gone").hidden = !away;
  drawModel();
  if (!away) watchModel();
}

function closeMenus(target) {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(target)) menu.open = false;
}

/** Escape leaves an open menu first, and nothing else. */
function leaveMenu(event) {
  const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
  if (!menu) return;
  event.stopImmediatePropagation();
  menu.open = false;
  menu.querySelector("summary").focus();
}

/** Single keys of the page; those of a case belong to its viewer. */
function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.target.closest?.("input:not([type=range], [type=radio], [type=checkbox]), textarea, select, [contenteditable], dialog")) return;
  const act = {
    n: () => current.view?.goOn?.() || (served.models.length && (location.hash = "#/")),
    l: () => (location.hash = "#/cases"),
    "/": () => (current.view?.focus ? current.view.focus() : (location.hash = "#/cases")),
    c: () => current.view?.asking?.focus("contrast"),
    q: () => current.view?.asking?.focus("query"),
    "?": !current.view?.viewer && showHelp, // a viewer has a list of its own
  }[/^[a-z/?]$/i.test(event.key) ? event.key.toLowerCase() : event.code.replace("Key", "").toLowerCase()];
  if (!act || (!singleKeys() && event.key !== "?")) return;
  event.preventDefault();
  act();
}

async function start() {
  const language = kept("dermaxai:language");
  if (language !== speech.language && ["en", "ru"].includes(language)) speak(language);
  listen();
  watchModel();
  try {
    await begin();
  } catch (fault) {
    if (!(fault instanceof Fault)) throw fault;
  }
  showPlaces();
  show();
}

start();

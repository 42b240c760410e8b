// The keyboard: words, methods, sliders, the list of keys. Nothing fires while somebody is writing.

import { goToWord } from "./words.js";

const WRITING = "input:not([type=range], [type=radio], [type=checkbox]), textarea, select, [contenteditable]";
const USES_ARROWS = "input, [data-part=stage], [role=slider], svg.overlay, .wide, dialog";

let current = null; // of several viewers on a page, the one that was last pointed at or focused

export function listenKeys(viewer) {
  const claim = () => (current = viewer);
  claim();
  viewer.listen(viewer.root, "pointerenter", claim);
  viewer.listen(viewer.root, "focusin", claim);
  viewer.listen(document, "keydown", (event) => press(viewer, event));
  viewer.listen(viewer.get("keys-open"), "click", () => viewer.get("keys").showModal());
}

export function forgetKeys(viewer) {
  if (current === viewer) current = null;
}

function press(viewer, event) {
  if (current !== viewer || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  const { target } = event;
  if (!viewer.root.isConnected || document.querySelector("dialog[open]") || target.closest?.(WRITING)) return;
  if (arrows(viewer, event) || event.key === "Escape") {
    if (event.key === "Escape") viewer.clear();
    else event.preventDefault();
    return;
  }
  if (!viewer.get("keys-on").checked && event.key !== "?") return;
  const { state } = viewer;
  if (single(viewer, event)) {
    event.preventDefault();
    viewer.announce(state.target && /^[1-9]$/.test(event.key) ? viewer.get("told").textContent : "");
  }
}

/** Words by arrow keys, unless what has the focus needs them itself. */
function arrows(viewer, { key, target, shiftKey }) {
  const own = viewer.root.contains(target) || target === document.body;
  if (!own || shiftKey || target.closest(USES_ARROWS) || !viewer.words.length) return false;
  const [step, place] = { ArrowRight: [1], ArrowLeft: [-1] }[key]
    ?? (target.closest("[data-part=caption]") && { Home: [0, 0], End: [0, viewer.words.length - 1] }[key]) ?? [];
  if (step === undefined) return false;
  if (!goToTile(viewer, target, step)) goToWord(viewer, step, place);
  return true;
}

/** Among the tiles the arrow keys go to the tile beside. */
function goToTile(viewer, target, step) {
  const tiles = viewer.tiles.filter(({ map }) => map).map(({ button }) => button);
  const now = tiles.indexOf(target.closest(".tile"));
  if (now >= 0) tiles[Math.min(Math.max(now + step, 0), tiles.length - 1)].focus();
  return now >= 0;
}

/** Single keys; letters by their place on a keyboard of another script. */
function single(viewer, { key, code, shiftKey }) {
  const letter = /^[a-z]$/i.test(key) ? key.toLowerCase() : code.replace("Key", "").toLowerCase();
  if (key === "?") viewer.get("keys").showModal();
  else if (/^[1-9]$/.test(key) && !shiftKey) return viewer.choosePlace(Number(key) - 1);
  else if (letter === "o" || letter === "p") viewer.slide("opacity", letter === "o" ? -5 : 5);
  else if (letter === "t") viewer.slide("threshold", shiftKey ? -5 : 5);
  else if (letter === "g") viewer.get("grey").click();
  else return false;
  return true;
}

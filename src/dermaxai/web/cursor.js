// One cursor for all maps: a point of the photo, and in each map the cell it lies in.

import { fit } from "./painting.js";

/** The photo pixel under the pointer, over any element that shows the whole photo. */
export function pointAt(viewer, event, element) {
  const box = element.getBoundingClientRect();
  const { width, height } = viewer.case.photo;
  return { x: ((event.clientX - box.left) / box.width) * width, y: ((event.clientY - box.top) / box.height) * height };
}

/** The cell of a map's grid at a photo pixel; null outside what the model saw. */
export function cellOf({ top, left, height, width, rows, columns }, { x, y }) {
  const row = Math.floor(((y - top) / height) * rows);
  const column = Math.floor(((x - left) / width) * columns);
  return row >= 0 && row < rows && column >= 0 && column < columns ? { row, column } : null;
}

const centre = ({ top, left, height, width, rows, columns }, { row, column }) => ({
  x: left + ((column + 0.5) * width) / columns,
  y: top + ((row + 0.5) * height) / rows,
});

/** Moves the cursor of all maps; `null` takes it away. */
export function pointTo(viewer, point) {
  viewer.point = point;
  viewer.want("cursor");
  const map = viewer.shown(viewer.state.target);
  const cell = map && point && cellOf(map.place, point);
  if (cell?.row !== viewer.cell?.row || cell?.column !== viewer.cell?.column) viewer.send("cell", { cell: cell ? { ...cell, ...point } : null });
  viewer.cell = cell;
}

/** Puts the outline of a cell over whatever shows the whole photo. */
function outline(element, map, cell, photo) {
  element.hidden = !cell;
  if (!cell) return;
  const { place } = map;
  element.style.left = `${(100 * (place.left + (cell.column * place.width) / place.columns)) / photo.width}%`;
  element.style.top = `${(100 * (place.top + (cell.row * place.height) / place.rows)) / photo.height}%`;
  element.style.width = `${(100 * place.width) / place.columns / photo.width}%`;
  element.style.height = `${(100 * place.height) / place.rows / photo.height}%`;
}

/** Draws the cursor: the outline, the value, its place on the colour bar, and the same in every tile. */
export function showCursor(viewer) {
  const { point } = viewer;
  const map = viewer.shown(viewer.state.target);
  const cell = map && point && cellOf(map.place, point);
  outline(viewer.get("cell"), map, cell, viewer.case.photo);
  viewer.get("value").textContent = reading(viewer, map, cell);
  const mark = viewer.get("mark");
  mark.hidden = !cell || !map.peak;
  if (!mark.hidden) {
    const share = Math.min(Math.max(valueAt(map, cell) / (viewer.look(map).limit || 1), -1), 1);
    mark.style.left = `${map.signed ? 50 + 50 * share : 100 * Math.max(share, 0)}%`;
  }
  for (const tile of viewer.tiles) {
    const own = tile.map && point && cellOf(tile.map.place, point);
    outline(tile.cell, tile.map, own, viewer.case.photo);
    tile.where.textContent = own ? viewer.number(valueAt(tile.map, own)) : tile.glance;
  }
}

const valueAt = (map, cell) => map.values[cell.row * map.place.columns + cell.column];

function reading(viewer, map, cell) {
  if (!map) return "";
  if (!viewer.point) return viewer.t("map.read");
  if (!cell) return viewer.t("map.beyond");
  return viewer.t("map.value", { value: viewer.number(valueAt(map, cell)), row: cell.row + 1, column: cell.column + 1 });
}

/** Pointer and arrow keys over the large photo. */
export function listenCursor(viewer) {
  const stage = viewer.get("stage");
  for (const type of ["pointermove", "pointerdown"])
    viewer.listen(stage, type, (event) => pointTo(viewer, pointAt(viewer, event, viewer.get("layer"))));
  viewer.listen(stage, "pointerleave", () => pointTo(viewer, null));
  viewer.listen(stage, "blur", () => pointTo(viewer, null));
  viewer.listen(stage, "keydown", (event) => moveCell(viewer, event));
}

function moveCell(viewer, event) {
  const [down, right] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key] ?? [];
  const map = viewer.shown(viewer.state.target);
  if (down === undefined || !map) return;
  event.preventDefault();
  const { rows, columns } = map.place;
  const now = (viewer.point && cellOf(map.place, viewer.point)) || { row: Math.floor(rows / 2), column: Math.floor(columns / 2) };
  const keep = (at, count) => Math.min(Math.max(at, 0), count - 1);
  pointTo(viewer, centre(map.place, { row: keep(now.row + down, rows), column: keep(now.column + right, columns) }));
  viewer.announce(reading(viewer, map, viewer.cell));
}

/** The photo once more, small, under a layer of its own. */
export function plate(viewer, longest) {
  const [under, over] = [0, 1].map(() => document.createElement("canvas"));
  for (const canvas of [under, over]) {
    fit(canvas, viewer.case.photo, longest);
    canvas.setAttribute("aria-hidden", "true");
  }
  return { under, over };
}

/** Draws the photo on the lower canvas of plates, once it is there. */
export function develop(viewer, canvases) {
  const photo = viewer.get("photo");
  if (!photo.naturalWidth) return;
  for (const canvas of canvases) canvas.getContext("2d").drawImage(photo, 0, 0, canvas.width, canvas.height);
}

// Marking places in a photo: brush, box, point, polygon; by mouse, pen, finger or keyboard.
// A Board draws in an SVG whose viewBox is the photo, so that every number is a photo pixel.

const SVG = "http://www.w3.org/2000/svg";
const REGIONS = 64, POINTS = 4000; // as the server takes them
const NEAR = 14; // screen pixels within which a click means the first corner
const STILL = 5; // screen pixels; a pointer that moved less has clicked
const STEP = 1 / 100, LEAP = 1 / 12; // of the longer side, for arrow keys, without and with Shift

export const TOOLS = ["brush", "box", "point", "polygon"];

const shape = (name, attributes) => {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
};
const rounded = ([x, y]) => [Math.round(x * 10) / 10, Math.round(y * 10) / 10];
const apart = ([x, y], [otherX, otherY]) => Math.hypot(x - otherX, y - otherY);
const path = (points) => points.map(([x, y]) => `${x},${y}`).join(" ");

/** The rectangle around a region, {left, top, width, height}. */
export function boundsOf({ points, radius = 0 }) {
  const [across, down] = [0, 1].map((axis) => points.map((point) => point[axis]));
  const [left, top] = [Math.min(...across) - radius, Math.min(...down) - radius];
  return { left, top, width: Math.max(...across) + radius - left, height: Math.max(...down) + radius - top };
}

/** The thirds of the photo that the middle of a region lies in, as the strings 'region.*' name them. */
export function placeOf(region, { width, height }) {
  const box = boundsOf(region);
  const third = (at, length) => Math.min(Math.max(Math.floor((at / length) * 3), 0), 2);
  const names = [["upper", "", "lower"][third(box.top + box.height / 2, height)], ["left", "", "right"][third(box.left + box.width / 2, width)]];
  return names.filter(Boolean).join("_") || "middle";
}

/** Fewer points on the same line: none is further from it than `away`. Source: Douglas & Peucker (1973). */
export function thin(points, away) {
  if (points.length < 3) return points;
  const [first, last] = [points[0], points.at(-1)];
  const length = apart(first, last);
  const off = ([x, y]) => (length ? Math.abs((last[0] - first[0]) * (first[1] - y) - (first[0] - x) * (last[1] - first[1])) / length : apart(first, [x, y]));
  let far = 0, at = 0;
  for (let index = 1; index < points.length - 1; index++) {
    const distance = off(points[index]);
    if (distance > far) [far, at] = [distance, index];
  }
  if (far <= away) return [first, last];
  return [...thin(points.slice(0, at + 1), away), ...thin(points.slice(at), away).slice(1)];
}

export class Board {
  /** `heard(what, values)` hears 'added', 'removed', 'corner', 'down', 'up', 'moved', 'full', 'leave', 'taken', 'size'. */
  constructor(overlay, photo, heard) {
    Object.assign(this, { overlay, photo, heard, regions: [], tool: null, radius: Math.max(photo.width, photo.height) / 30, draft: null, drag: null, cursor: null });
    this.home = shape("g", { class: "marks" });
    overlay.append(this.home);
    this.stopping = new AbortController();
    const on = (type, react) => overlay.addEventListener(type, react, { signal: this.stopping.signal });
    on("pointerdown", (event) => this.press(event));
    on("pointermove", (event) => this.move(event));
    on("pointerup", (event) => this.release(event));
    on("pointercancel", () => this.abandon());
    on("dblclick", () => this.closeShape());
    on("keydown", (event) => this.key(event));
    on("blur", () => this.hideCursor());
  }

  destroy() {
    this.use(null);
    this.stopping.abort();
    this.home.remove();
  }

  /** Screen pixels per photo pixel. */
  get scale() {
    return (this.overlay.getBoundingClientRect().width || this.photo.width) / this.photo.width;
  }

  /** Takes up a tool, or puts it away, what it was drawing kept; only meanwhile the photo takes the pointer. */
  use(tool, name = "") {
    this.finish();
    this.tool = tool;
    const { overlay } = this;
    overlay.classList.toggle("marking", Boolean(tool));
    if (tool) {
      overlay.setAttribute("tabindex", "0");
      overlay.setAttribute("role", "application");
      overlay.setAttribute("aria-label", name);
      overlay.removeAttribute("aria-hidden");
    } else {
      for (const attribute of ["tabindex", "role", "aria-label"]) overlay.removeAttribute(attribute);
      overlay.setAttribute("aria-hidden", "true");
      this.hideCursor();
    }
  }

  /** Shows other regions. */
  load(regions) {
    this.abandon();
    this.regions = regions.map((region) => ({ ...region, points: region.points.map((point) => [...point]) }));
    this.draw();
  }

  add(region) {
    const count = this.regions.reduce((sum, { points }) => sum + points.length, region.points.length);
    this.draft = null;
    if (this.regions.length >= REGIONS || count > POINTS) this.heard("full");
    else {
      this.regions.push({ ...region, points: region.points.map(rounded) });
      this.heard("added", { region: this.regions.at(-1), number: this.regions.length });
    }
    this.draw();
  }

  remove(index) {
    const [region] = this.regions.splice(index, 1);
    if (region) this.heard("removed", { region, number: index + 1 });
    this.draw();
  }

  /** Takes back the last corner of what is being drawn, else the last mark. */
  undo() {
    if (this.draft?.kind === "polygon" && this.draft.points.length > 1) this.draft.points.pop();
    else if (this.draft) this.draft = null;
    else return this.remove(this.regions.length - 1);
    this.heard("taken");
    this.draw();
  }

  clear() {
    this.abandon();
    this.regions = [];
    this.heard("removed", {});
    this.draw();
  }

  abandon() {
    if (!this.draft && !this.drag) return;
    const { draft } = this;
    this.draft = this.drag = null;
    if (draft) this.heard("taken");
    this.draw();
  }

  resize(radius) {
    const longest = Math.max(this.photo.width, this.photo.height);
    this.radius = Math.min(Math.max(radius, longest / 200), longest / 4);
    this.heard("size", { radius: this.radius });
    this.draw();
  }

  /** A point of the photo, never outside it. */
  at(event) {
    const box = this.overlay.getBoundingClientRect();
    return this.keep([((event.clientX - box.left) / box.width) * this.photo.width, ((event.clientY - box.top) / box.height) * this.photo.height]);
  }

  keep([x, y]) {
    return [Math.min(Math.max(x, 0), this.photo.width), Math.min(Math.max(y, 0), this.photo.height)];
  }

  press(event) {
    if (!this.tool || !event.isPrimary || event.button !== 0) return;
    event.preventDefault();
    this.overlay.focus({ preventScroll: true });
    this.overlay.setPointerCapture(event.pointerId);
    this.hideCursor();
    const point = this.at(event);
    this.drag = { from: point, screen: [event.clientX, event.clientY], moved: false };
    if (this.tool === "brush") this.draft = { kind: "brush", points: [point], radius: this.radius };
    this.draw();
  }

  move(event) {
    if (!this.tool) return;
    const point = this.at(event);
    if (this.drag && apart(this.drag.screen, [event.clientX, event.clientY]) >= STILL) this.drag.moved = true;
    if (this.drag && this.tool === "brush") {
      const passed = event.getCoalescedEvents?.() ?? [];
      for (const one of passed.length ? passed : [event]) this.draft.points.push(this.at(one));
    } else if (this.drag?.moved && this.tool === "box") this.draft = { kind: "box", points: [this.drag.from, point] };
    this.hover = point;
    if (this.draft) this.draw();
  }

  release(event) {
    if (!this.drag) return;
    const { moved } = this.drag;
    const point = this.at(event);
    this.drag = null;
    if (this.tool === "brush") this.endStroke();
    else if (this.tool === "box" && moved) this.endBox(this.draft.points[0], point);
    else this.set(point);
  }

  endStroke() {
    this.add({ ...this.draft, radius: Math.round(this.draft.radius * 10) / 10, points: thin(this.draft.points, this.draft.radius / 8) });
  }

  endBox(first, second) {
    const flat = Math.abs(first[0] - second[0]) < 1 || Math.abs(first[1] - second[1]) < 1;
    if (flat) this.abandon();
    else this.add({ kind: "box", points: [first, second] });
  }

  /** One click or Enter with a tool that sets points. */
  set(point) {
    const { draft } = this;
    if (this.tool === "point") return this.add({ kind: "point", points: [point] });
    if (this.tool === "box" && draft) return this.endBox(draft.points[0], point);
    if (this.tool === "polygon" && draft) {
      const again = apart(point, draft.points[0]) * this.scale < NEAR || apart(point, draft.points.at(-1)) * this.scale < STILL;
      if (again && this.canClose()) return this.closeShape();
      if (apart(point, draft.points.at(-1)) > 0) draft.points.push(point);
    } else this.draft = { kind: this.tool, points: [point] };
    this.heard("corner");
    this.draw();
  }

  /** Ends a polygon of three corners or more. */
  closeShape() {
    if (this.canClose()) this.add({ kind: "polygon", points: this.draft.points });
  }

  /** Ends what is being drawn where it is a whole place, and takes it away where it is not yet one. */
  finish() {
    if (this.draft?.kind === "brush") this.endStroke();
    else if (this.canClose()) this.closeShape();
    this.abandon();
  }

  canClose() {
    return this.draft?.kind === "polygon" && new Set(this.draft.points.map((point) => path([rounded(point)]))).size > 2;
  }

  /** What has too few corners to be a place yet: 'Box', 'Polygon' or ''. */
  unfinished() {
    return { box: "Box", polygon: this.canClose() ? "" : "Polygon" }[this.draft?.kind] ?? "";
  }

  key(event) {
    if (!this.tool || event.altKey) return;
    const step = Math.max(this.photo.width, this.photo.height) * (event.shiftKey ? LEAP : STEP);
    const [right, down] = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key] ?? [];
    const back = event.key === "Backspace" || event.key === "Delete" || (event.code === "KeyZ" && (event.ctrlKey || event.metaKey));
    if (right !== undefined) this.go(right, down);
    else if (event.key === "Enter" || event.key === " ") this.strike();
    else if (back) this.undo();
    else if (event.key === "[" || event.code === "BracketLeft") this.resize(this.radius / 1.25);
    else if (event.key === "]" || event.code === "BracketRight") this.resize(this.radius * 1.25);
    else if (event.key === "Escape" && this.draft) this.abandon();
    else if (event.key === "Escape") this.heard("leave");
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Moves the cursor of the keyboard; a brush that is down paints. */
  go(right, down) {
    const from = this.cursor ?? this.hover ?? [this.photo.width / 2, this.photo.height / 2];
    this.cursor = this.keep([from[0] + right, from[1] + down]);
    if (this.draft?.kind === "brush") this.draft.points.push(this.cursor);
    this.hover = this.cursor;
    this.heard("moved", { x: Math.round(this.cursor[0]), y: Math.round(this.cursor[1]) });
    this.draw();
  }

  /** Enter or Space: sets a point, or puts the brush down and lifts it. */
  strike() {
    this.cursor ??= this.hover ?? [this.photo.width / 2, this.photo.height / 2];
    if (this.tool !== "brush") return this.set(this.cursor);
    if (this.draft) {
      this.endStroke();
      this.heard("up");
    } else {
      this.draft = { kind: "brush", points: [this.cursor], radius: this.radius };
      this.heard("down");
    }
    this.draw();
  }

  hideCursor() {
    if (!this.cursor) return;
    this.cursor = null;
    this.draw();
  }

  draw() {
    const parts = this.regions.map((region, index) => this.mark(region, index + 1));
    if (this.draft) parts.push(this.mark(this.pending(), 0));
    if (this.cursor) parts.push(this.crosshair(this.cursor));
    this.home.replaceChildren(...parts);
  }

  /** What is being drawn, up to where the pointer is. */
  pending() {
    const { draft, hover } = this;
    if (draft.kind === "brush" || !hover) return draft;
    return { ...draft, points: [...(draft.kind === "box" ? draft.points.slice(0, 1) : draft.points), hover] };
  }

  /** One region: a light line with a dark dashed one on it, and its number; legible on any skin. */
  mark(region, number) {
    const group = shape("g", { class: `mark ${region.kind}${number ? "" : " draft"}` });
    const { points, kind } = region;
    const both = (name, attributes) => group.append(...["under", "over"].map((line) => shape(name, { class: line, "vector-effect": "non-scaling-stroke", ...attributes })));
    if (kind === "brush") {
      const line = points.length > 1 ? points : [points[0], [points[0][0] + 0.01, points[0][1]]];
      group.append(shape("polyline", { class: "paint", points: path(line), "stroke-width": 2 * region.radius }));
      both("polyline", { points: path(line) });
    } else if (kind === "box" && points.length > 1) {
      const { left, top, width, height } = boundsOf(region);
      both("rect", { x: left, y: top, width, height });
    } else if (kind === "polygon") both(number ? "polygon" : "polyline", { points: path(points) });
    if (kind === "point" || !number) for (const point of kind === "brush" ? [] : points) group.append(...this.dot(point));
    if (number) group.append(this.number(region, number));
    return group;
  }

  dot([x, y]) {
    return ["under", "over"].map((line) => shape("circle", { class: `dot ${line}`, cx: x, cy: y, r: 6 / this.scale, "vector-effect": "non-scaling-stroke" }));
  }

  number(region, number) {
    const { left, top } = boundsOf(region);
    const size = 13 / this.scale;
    const [x, y] = region.kind === "point" ? [left + size * 0.8, top - size * 0.5] : [Math.max(left, 0) + size * 0.3, Math.max(top, 0) + size];
    const text = shape("text", { x: Math.min(x, this.photo.width - size), y: Math.max(y, size), "font-size": size, "stroke-width": size / 4 });
    text.textContent = number;
    return text;
  }

  crosshair([x, y]) {
    const group = shape("g", { class: "cursor" });
    const arm = 14 / this.scale;
    for (const line of ["under", "over"]) {
      group.append(shape("path", { class: line, d: `M${x - arm},${y}H${x + arm}M${x},${y - arm}V${y + arm}`, "vector-effect": "non-scaling-stroke" }));
    }
    if (this.tool === "brush") group.append(shape("circle", { class: "over", cx: x, cy: y, r: this.radius, "vector-effect": "non-scaling-stroke" }));
    return group;
  }
}

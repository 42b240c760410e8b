// Maps as pixels: the same drawing as overlay.py, for a canvas of any size over the whole photo.
// What stays between words is kept: where pixels lie among cells, the colours, the sheet of pixels.

const FULL_AT = 0.6; // as overlay.py: share of the range from which the layer has its full opacity
const STEPS = 2047; // as viewer.py: a cell is 12 bits, a share of the map's peak
const CELLS = 4096, MIDDLE = 2048, FIRST = 48; // as packing.py: values of a cell, the one for 0, the sign for 0
const LEVELS = 255; // of strength on either side of zero
const HATCH = 0x96f2f5f5; // grey lines of a map that says nothing

/** The maps of a case, with their cells as whole numbers from 0: from objects, or from the table of a report. */
export function unpack(maps, places) {
  if (Array.isArray(maps)) return maps.map((map) => ({ ...map, cells: cellsOf(map.cells, places[map.place]) }));
  let start = 0;
  return maps.rows.map((row) => {
    const map = Object.fromEntries(maps.columns.map((name, index) => [name, row[index]]));
    const cells = restore(maps.cells, start, places[map.place]);
    start += cells.length;
    return { ...map, cells };
  });
}

/** Cells of 12 bits each from base64. */
function cellsOf(text, { rows, columns }) {
  const bytes = bytesOf(text);
  return Uint16Array.from({ length: rows * columns }, (_, i) => {
    const at = Math.floor(1.5 * i);
    return i % 2 ? ((bytes[at] & 15) << 8) | bytes[at + 1] : (bytes[at] << 4) | (bytes[at + 1] >> 4);
  });
}

/** Cells of which packing.py tells the upper and the lower six bits, each less the mean of its neighbours. */
function restore([upper, lower], start, { rows, columns }) {
  const cells = new Uint16Array(rows * columns);
  for (let i = 0; i < cells.length; i++) {
    const told = 64 * (upper.charCodeAt(start + i) - FIRST) + lower.charCodeAt(start + i) - FIRST;
    const step = told % 2 ? -(told + 1) / 2 : told / 2;
    const left = i % columns ? cells[i - 1] : MIDDLE, above = i < columns ? MIDDLE : cells[i - columns];
    cells[i] = (step + ((left + above) >> 1) + CELLS) % CELLS;
  }
  return cells;
}

/** A map of the bundle with its place, its scalar, and its values, row by row. */
export function decode(map, { places, scalars }) {
  const values = Float32Array.from(map.cells, (cell) => ((cell - MIDDLE) / STEPS) * map.peak);
  return { ...map, place: places[map.place], scalar: scalars[map.scalar], values };
}

const bytesOf = (text) => Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));

/** 256 colours, red, green and blue, from base64 of each less the one before it. */
export function colourTable(text) {
  const table = bytesOf(text);
  for (let i = 3; i < table.length; i++) table[i] += table[i - 3];
  return table;
}

/** Gives a canvas the photo's proportions, `longest` pixels on the longer side. */
export function fit(canvas, { width, height }, longest) {
  const scale = longest / Math.max(width, height);
  canvas.width = Math.max(Math.round(width * scale), 1);
  canvas.height = Math.max(Math.round(height * scale), 1);
}

/** For each pixel of one axis inside the covered stretch: the lower cell, the next, and the share of the next. */
function spots(pixels, photo, start, length, cells) {
  const found = { first: pixels, last: 0, near: new Uint16Array(pixels), next: new Uint16Array(pixels), share: new Float32Array(pixels) };
  for (let pixel = 0; pixel < pixels; pixel++) {
    const at = (((pixel + 0.5) * photo) / pixels - start) / length;
    if (at < 0 || at >= 1) continue;
    const centre = Math.min(Math.max(at * cells - 0.5, 0), cells - 1);
    const near = Math.min(Math.floor(centre), Math.max(cells - 2, 0));
    found.first = Math.min(found.first, pixel);
    found.last = pixel + 1;
    found.near[pixel] = near;
    found.next[pixel] = Math.min(near + 1, cells - 1);
    found.share[pixel] = centre - near;
  }
  return found;
}

const sampled = new WeakMap();

function sampling(place, photo, width, height) {
  const sizes = sampled.get(place) ?? sampled.set(place, new Map()).get(place);
  const size = `${width} ${height}`;
  if (!sizes.has(size))
    sizes.set(size, {
      down: spots(height, photo.height, place.top, place.height, place.rows),
      across: spots(width, photo.width, place.left, place.width, place.columns),
    });
  return sizes.get(size);
}

const sheets = new WeakMap();

/** The pixels of a canvas, as bytes for the canvas and as whole pixels for us. */
function sheet(canvas, context) {
  const { width, height } = canvas;
  let found = sheets.get(canvas);
  if (found?.image.width !== width || found.image.height !== height) {
    const image = context.createImageData(width, height);
    found = { image, pixels: new Uint32Array(image.data.buffer) };
    sheets.set(canvas, found);
  }
  return found;
}

let palettes = new Map();

/** Colour and opacity of every level of strength, as pixels of a little-endian machine. */
function palette(signed, look) {
  const name = signed ? "diverging" : look.colour;
  const key = `${signed} ${name} ${look.opacity} ${look.threshold}`;
  if (palettes.has(key)) return palettes.get(key);
  if (palettes.size > 20) palettes = new Map();
  const table = look.colours[name];
  const pixels = new Uint32Array(2 * LEVELS + 1);
  for (let level = -LEVELS; level <= LEVELS; level++) {
    const strength = signed ? level / LEVELS : Math.max(level / LEVELS, 0);
    if (Math.abs(strength) < look.threshold) continue;
    const entry = 3 * Math.round(signed ? strength * 127.5 + 127.5 : strength * 255);
    const alpha = Math.round(255 * look.opacity * Math.min(Math.abs(strength) / FULL_AT, 1));
    pixels[level + LEVELS] = (alpha << 24) | (table[entry + 2] << 16) | (table[entry + 1] << 8) | table[entry];
  }
  palettes.set(key, pixels);
  return pixels;
}

/** Draws `map`, or nothing, on a transparent canvas that lies over the whole photo. */
export function paint(canvas, map, photo, look) {
  const context = canvas.getContext("2d");
  const { image, pixels } = sheet(canvas, context);
  pixels.fill(0);
  if (map) (map.peak ? colourIn : hatch)(pixels, canvas, map, { ...sampling(map.place, photo, canvas.width, canvas.height), look });
  context.putImageData(image, 0, 0);
}

function colourIn(pixels, { width }, { values, place, signed }, { down, across, look }) {
  const { columns } = place;
  const colours = palette(signed, look);
  const scale = LEVELS / (look.limit || 1);
  const row = new Float32Array(columns);
  const { first, last, near, next, share } = across;
  for (let y = down.first; y < down.last; y++) {
    const upper = down.near[y] * columns, lower = down.next[y] * columns, part = down.share[y];
    for (let i = 0; i < columns; i++) row[i] = (values[upper + i] * (1 - part) + values[lower + i] * part) * scale;
    for (let x = first, at = y * width + first; x < last; x++, at++) {
      const level = row[near[x]] * (1 - share[x]) + row[next[x]] * share[x];
      pixels[at] = colours[level >= LEVELS ? 2 * LEVELS : level <= -LEVELS ? 0 : (level + LEVELS + 0.5) | 0];
    }
  }
}

function hatch(pixels, { width }, map, { down, across }) {
  const step = Math.max(6, Math.round(width / 50)), thick = Math.max(0, width / 400);
  for (let y = down.first; y < down.last; y++)
    for (let x = across.first; x < across.last; x++) if ((x + y) % step <= thick) pixels[y * width + x] = HATCH;
}

/** The colour bar of a map: one row of 256 pixels. */
export function paintBar(canvas, map, look) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(256, 1);
  const table = look.colours[map.signed ? "diverging" : look.colour];
  for (let i = 0; i < 256; i++) image.data.set([...table.slice(3 * i, 3 * i + 3), 255], 4 * i);
  context.putImageData(image, 0, 0);
}

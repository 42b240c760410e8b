// Maps as pixels: the same drawing as overlay.py, for a canvas of any size over the whole photo.

const FULL_AT = 0.6; // as overlay.py: share of the range from which the layer has its full opacity
const STEPS = 2047; // as viewer.py: a cell is 12 bits, a share of the map's peak

/** The maps of a case: a table {columns, rows} as the report carries it, or objects. */
export function unpack(maps) {
  if (Array.isArray(maps)) return maps;
  return maps.rows.map((row) => Object.fromEntries(maps.columns.map((name, index) => [name, row[index]])));
}

/** A map of the bundle with its place, its scalar, and its values as numbers, row by row. */
export function decode(map, { places, scalars }) {
  const place = places[map.place];
  const bytes = Uint8Array.from(atob(map.cells), (sign) => sign.charCodeAt(0));
  const values = new Float32Array(place.rows * place.columns);
  for (let i = 0; i < values.length; i++) {
    const at = Math.floor(1.5 * i);
    const bits = i % 2 ? ((bytes[at] & 15) << 8) | bytes[at + 1] : (bytes[at] << 4) | (bytes[at + 1] >> 4);
    values[i] = ((bits - STEPS - 1) / STEPS) * map.peak;
  }
  return { ...map, place, scalar: scalars[map.scalar], values };
}

/** 256 colours, red, green and blue, from base64. */
export function colourTable(text) {
  return Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
}

/** For each canvas pixel of one axis inside the covered stretch: the lower cell, and the share of the next. */
function spots(pixels, photo, start, length, cells) {
  const found = [];
  for (let pixel = 0; pixel < pixels; pixel++) {
    const at = (((pixel + 0.5) * photo) / pixels - start) / length;
    if (at < 0 || at >= 1) continue;
    const centre = Math.min(Math.max(at * cells - 0.5, 0), cells - 1);
    const near = Math.min(Math.floor(centre), Math.max(cells - 2, 0));
    found.push({ pixel, near, next: Math.min(near + 1, cells - 1), share: centre - near });
  }
  return found;
}

/** Draws `map` on a transparent canvas that lies over the whole photo. */
export function paint(canvas, map, photo, look) {
  const { width, height } = canvas;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const { values, place, signed } = map;
  const { rows, columns } = place;
  const across = spots(width, photo.width, place.left, place.width, columns);
  for (const y of spots(height, photo.height, place.top, place.height, rows)) {
    for (const x of across) {
      const offset = 4 * (y.pixel * width + x.pixel);
      if (map.peak === 0) {
        hatch(image.data, offset, x.pixel + y.pixel, width);
        continue;
      }
      const upper = values[y.near * columns + x.near] * (1 - x.share) + values[y.near * columns + x.next] * x.share;
      const lower = values[y.next * columns + x.near] * (1 - x.share) + values[y.next * columns + x.next] * x.share;
      const strength = Math.min(Math.max((upper * (1 - y.share) + lower * y.share) / look.limit, signed ? -1 : 0), 1);
      colour(image.data, offset, strength, signed, look);
    }
  }
  context.putImageData(image, 0, 0);
}

function colour(data, offset, strength, signed, look) {
  if (Math.abs(strength) < look.threshold) return;
  const entry = 3 * Math.round(signed ? strength * 127.5 + 127.5 : strength * 255);
  const table = signed ? look.colours.diverging : look.colours.viridis;
  for (let i = 0; i < 3; i++) data[offset + i] = table[entry + i];
  data[offset + 3] = Math.round(255 * look.opacity * Math.min(Math.abs(strength) / FULL_AT, 1));
}

function hatch(data, offset, diagonal, width) {
  if (diagonal % Math.max(6, Math.round(width / 50)) > Math.max(0, width / 400)) return;
  data.set([245, 245, 242, 150], offset);
}

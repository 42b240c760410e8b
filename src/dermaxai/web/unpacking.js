// The report's first script: takes the viewer and the case out of the file, and starts it.

const BYTES = 9, DIGITS = 11, FIRST = 32, MISSING = 60; // as packing.py: '<' is not among the signs

const digitOf = (text, at) => text.charCodeAt(at) - FIRST - (text.charCodeAt(at) > MISSING);

/** Nine bytes from each eleven signs; the first sign says how many bytes too many that are. */
function bytesOf(text) {
  const bytes = new Uint8Array(((text.length - 1) / DIGITS) * BYTES);
  // Not as literals: a browser too old for them could not even read what says that it is too old.
  const [none, base, byte, most] = [0, 94, 8, 255].map(BigInt);
  for (let at = 1, start = 0; at < text.length; at += DIGITS, start += BYTES) {
    let number = none;
    for (let i = 0; i < DIGITS; i++) number = number * base + BigInt(digitOf(text, at + i));
    for (let i = BYTES - 1; i >= 0; i--, number >>= byte) bytes[start + i] = Number(number & most);
  }
  return bytes.subarray(0, bytes.length - digitOf(text, 0));
}

/** The parts that packing.py packed: deflated, in base 94. */
async function unpack(text) {
  const stream = new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return (await new Response(stream).text()).split("\0");
}

/** Puts the viewer in the place of what can be read without it, and runs it. */
// The policy of the file knows the hashes of style and script, and lets nothing else in.
function start([style, script, markup, texts, page, rest, ...cells]) {
  const home = document.getElementById("viewer");
  const bundle = { texts: JSON.parse(texts), case: JSON.parse(page), ...JSON.parse(rest) };
  bundle.case.maps.cells = cells;
  bundle.photo = home.querySelector("img").src;
  globalThis.dermaxai = bundle;
  home.innerHTML = markup;
  const [look, play] = ["style", "script"].map((tag) => document.createElement(tag));
  look.textContent = style;
  document.head.append(look);
  play.type = "module";
  play.textContent = script;
  document.body.append(play);
}

unpack(document.getElementById("dermaxai").textContent).then(start, () => {
  document.getElementById("old").hidden = false;
});

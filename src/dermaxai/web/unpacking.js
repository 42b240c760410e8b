// The report's first script: takes case, strings and viewer out of the file, and starts the viewer.

const SIGNS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;,=>?@^_`{|}~";

/** Four bytes from each five signs of base 85. */
function bytesOf(text) {
  const groups = text.padEnd(5 * Math.ceil(text.length / 5), "~").match(/.{5}/g);
  const view = new DataView(new ArrayBuffer(4 * groups.length));
  groups.forEach((group, index) => view.setUint32(4 * index, [...group].reduce((sum, sign) => 85 * sum + SIGNS.indexOf(sign), 0)));
  return new Uint8Array(view.buffer, 0, Math.floor((4 * text.length) / 5));
}

/** JSON of report.py, deflated, in base 85. */
async function unpack(text) {
  const stream = new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return JSON.parse(await new Response(stream).text());
}

/** Runs the viewer and its style; the policy of the file knows their hashes and lets nothing else in. */
function start({ style, script, ...bundle }) {
  globalThis.dermaxai = bundle;
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

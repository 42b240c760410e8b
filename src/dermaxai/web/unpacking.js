// The report's first script: takes case, strings and viewer out of the file, and starts the viewer.

/** JSON of report.py, deflated, in base64. */
async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return JSON.parse(await new Response(stream).text());
}

/** Runs the viewer; the policy of the file knows its hash and lets nothing else run. */
function start({ script, ...bundle }) {
  globalThis.dermaxai = bundle;
  const element = document.createElement("script");
  element.type = "module";
  element.textContent = script;
  document.body.append(element);
}

unpack(document.getElementById("dermaxai").textContent).then(start, () => {
  document.getElementById("old").hidden = false;
});

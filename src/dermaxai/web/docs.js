// The page of the API: finds calls by their words, and tries those that change nothing.

const search = document.getElementById("search");
const articles = [...document.querySelectorAll("article[data-call]")];
const entries = new Map([...document.querySelectorAll("nav [data-call]")].map((entry) => [entry.dataset.call, entry]));
const groups = [...document.querySelectorAll("[data-group]")];
const LONGEST = 20000;

search.addEventListener("input", () => {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const article of articles) {
    const fits = words.every((word) => article.dataset.words.includes(word));
    article.hidden = entries.get(article.dataset.call).hidden = !fits;
    found += fits;
  }
  for (const group of groups) group.hidden = !group.querySelector("[data-call]:not([hidden])");
  document.getElementById("none").hidden = found > 0;
});

for (const form of document.querySelectorAll("form[data-path]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask(form);
  });
}

/** The address that a form's fields make. */
function address(form) {
  const asked = new URLSearchParams();
  let path = form.dataset.path;
  for (const input of form.querySelectorAll("input")) {
    if (input.dataset.place === "path") path = path.replace(`{${input.name}}`, encodeURIComponent(input.value));
    else if (input.value) asked.append(input.name, input.value);
  }
  return asked.size ? `${path}?${asked}` : path;
}

async function ask(form) {
  const told = form.querySelector("[role=status]"), shown = form.querySelector("pre");
  form.querySelector("img")?.remove();
  told.textContent = "…";
  const begun = performance.now();
  try {
    const answer = await fetch(address(form), { credentials: "same-origin" });
    const kind = answer.headers.get("content-type") ?? "";
    const content = await answer.blob();
    told.textContent = `${answer.status} · ${Math.round(performance.now() - begun)} ms · ${content.size} bytes`;
    shown.hidden = kind.startsWith("image/");
    if (shown.hidden) show(form, content);
    else shown.textContent = await readable(content, kind);
  } catch (error) {
    told.textContent = "The server does not answer.";
    shown.hidden = true;
  }
}

function show(form, content) {
  const image = new Image();
  image.alt = "The picture that the server sent";
  image.onload = () => URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(content);
  form.append(image);
}

async function readable(content, kind) {
  if (!/json|text/.test(kind)) return `(${kind})`;
  let text = await content.text();
  if (kind.includes("json")) text = JSON.stringify(JSON.parse(text), null, 1);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}\n… ${text.length - LONGEST} more characters` : text;
}

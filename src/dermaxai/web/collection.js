// The report of a folder: language, search, order of the table. Without it the page reads as it stands.
const root = document.documentElement;
const buttons = [...document.querySelectorAll("[data-language]")];
const speak = (language) => {
  root.lang = language;
  for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.language === language));
};
for (const button of buttons) button.addEventListener("click", () => speak(button.dataset.language));
speak(root.lang);

const table = document.querySelector(".sortable");
const body = table.tBodies[0];
const keyOf = (row, column) => {
  const { value } = row.cells[column].dataset;
  if (value === undefined) return row.cells[column].textContent.trim();
  return value === "" ? NaN : Number(value);
};
const compare = (one, other) => {
  if (typeof one === "string") return one.localeCompare(other);
  return Number.isNaN(one) ? 1 : Number.isNaN(other) ? -1 : one - other;
};
const sort = (column) => {
  const heads = [...table.tHead.rows[0].cells];
  const up = heads[column].getAttribute("aria-sort") !== "ascending";
  heads.forEach((head, place) => {
    if (place === column) head.setAttribute("aria-sort", up ? "ascending" : "descending");
    else head.removeAttribute("aria-sort");
  });
  const rows = [...body.rows].map((row) => [keyOf(row, column), row]);
  const missing = (key) => typeof key === "number" && Number.isNaN(key);
  rows.sort(([one], [other]) => compare(one, other) * (up || missing(one) || missing(other) ? 1 : -1));
  body.append(...rows.map(([, row]) => row));
};
[...table.tHead.rows[0].cells].forEach((head, column) => {
  head.querySelector("button").addEventListener("click", () => sort(column));
});

document.querySelector("#filter").addEventListener("input", ({ target }) => {
  const wanted = target.value.trim().toLocaleLowerCase();
  for (const row of body.rows) {
    row.hidden = !`${row.cells[0].textContent} ${row.cells[1].textContent}`.toLocaleLowerCase().includes(wanted);
  }
});

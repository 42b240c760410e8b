// Radio buttons that look like pills.

import { make } from "./states.js";

/** Fills `home` with one pill per entry [value, key, values, sign]; the one that has the focus keeps it. */
export function drawPills(home, field, entries, chosen, react) {
  const held = home.contains(document.activeElement) ? document.activeElement.value : null;
  home.replaceChildren(...entries.map(([value, key, values, sign]) => {
    const input = make("input", { type: "radio", name: `reading-${field}`, value, checked: value === chosen, onchange: () => react(value) });
    return make("label", { class: "pill" }, input, make("span", {}, sign && make("b", { "aria-hidden": "true" }, sign), make("span", { say: [key, values] })));
  }));
  if (held !== null) home.querySelector(`[value="${held}"]`)?.focus();
}

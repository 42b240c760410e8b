// The report: mounts the viewer on the case that unpacking.js took out of the file, and makes pages for the printer.

import { buildPaper } from "./paper.js";
import { showReadings } from "./told.js";
import { translate } from "./telling.js";
import { mount } from "./viewer.js";

function speakReport(viewer, readings) {
  const { language } = viewer.state;
  document.documentElement.lang = language;
  translate(document.querySelector(".top"), (key) => viewer.t(key));
  for (const button of document.querySelectorAll(".top [data-language]"))
    button.setAttribute("aria-pressed", button.dataset.language === language);
  showReadings(viewer, readings);
}

function openReport(bundle) {
  const viewer = mount(document.getElementById("viewer"), bundle);
  const notices = [...document.querySelectorAll(".notice span")].map((part) => part.textContent);
  for (const button of document.querySelectorAll(".top [data-language]"))
    button.addEventListener("click", () => viewer.speak(button.dataset.language));
  viewer.root.addEventListener("dermaxai:language", () => speakReport(viewer, bundle.readings));
  speakReport(viewer, bundle.readings);
  addEventListener("beforeprint", () => buildPaper(viewer, document.getElementById("paper"), { notices }));
  document.documentElement.dataset.ready = "yes";
}

openReport(globalThis.dermaxai);

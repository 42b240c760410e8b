// Blind reading: a form beside the photo; nothing of the machine's is on the page.

import { draftsOf, keepBegun } from "./begun.js";
import { post } from "./api.js";
import { broughtNote } from "./said.js";
import { make, say, showFault } from "./states.js";

/** The reader's own reading of a photo, before anything of the machine's is shown. */
export function mountBlind(home, context) {
  const drafts = draftsOf(context.owner(), context.id, "");
  const empty = () => ({ findings: "", diagnosis: "", confidence: null, spent: 0, changed: false });
  const draft = drafts.get("alone") ?? empty();
  drafts.set("alone", draft);
  let began = performance.now();
  const count = () => ([draft.spent, began] = [draft.spent + performance.now() - began, performance.now()]); // the photo was in sight for so long
  const field = (key, input, more) => make("label", { class: "field" }, make("span", { say: key }), more && make("small", { say: more }), input);
  const findings = make("textarea", { rows: 5, maxlength: 4000, required: true });
  const diagnosis = make("input", { type: "text", maxlength: 500, autocomplete: "off" });
  const sure = [1, 2, 3, 4, 5].map((value) => make("label", { class: "pill" }, make("input", { type: "radio", name: "confidence", value }), make("span", {}, make("span", { say: `reading.blind.${value}` }))));
  const trouble = make("div", { hidden: true });
  const status = make("p", { class: "soft", role: "status" });
  const go = make("button", { class: "button primary", say: "reading.blind.go" });
  const form = make("form", { class: "judge blind-form", novalidate: true, onsubmit: (event) => send(event) },
    field("reading.blind.findings", findings, "reading.blind.findings.more"), field("reading.blind.diagnosis", diagnosis),
    make("fieldset", { class: "field" }, make("legend", { say: "reading.blind.confidence" }), make("div", { class: "pills" }, ...sure)),
    trouble, make("div", { class: "row" }, go), status, make("p", { class: "soft", say: "reading.blind.once" }));

  async function send(event) {
    event.preventDefault();
    if (!findings.value.trim()) {
      say(status, "reading.blind.missing");
      findings.focus();
      return;
    }
    count();
    const seconds = Math.round(draft.spent / 100) / 10;
    if (!context.isNamed() && !(await context.askName())) return;
    const { confidence } = draft;
    go.disabled = true;
    try {
      await post(`/api/cases/${context.id}/reading`, { findings: findings.value, diagnosis: diagnosis.value, confidence, seconds });
      settled();
      context.load();
    } catch (fault) {
      if (fault.error === "Conflict") {
        settled();
        return context.load();
      }
      showFault(trouble, fault);
    } finally {
      go.disabled = false;
    }
  }

  /** Nothing is begun any more. */
  function settled() {
    draft.changed = false;
    keepBegun(drafts);
  }

  function destroy() {
    count();
    form.remove();
  }

  function show() {
    findings.value = draft.findings;
    diagnosis.value = draft.diagnosis;
    for (const one of form.querySelectorAll("[name=confidence]")) one.checked = Number(one.value) === draft.confidence;
  }

  /** The time for which the photo was in sight stays. */
  function renew() {
    count();
    drafts.set("alone", Object.assign(draft, empty(), { spent: draft.spent }));
    show();
  }

  show();
  form.prepend(broughtNote(drafts, renew));
  form.addEventListener("input", () => {
    const chosen = form.querySelector("[name=confidence]:checked");
    Object.assign(draft, { findings: findings.value, diagnosis: diagnosis.value, confidence: chosen ? Number(chosen.value) : null, changed: true });
    count();
    keepBegun(drafts);
  });
  (context.slot ?? home).replaceChildren(form);
  return { speak() {}, greet() {}, destroy };
}

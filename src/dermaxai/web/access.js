// Who is reading: the session, signing in with a token, a pseudonym on this machine, signing out.

import { get, on, post, remove, setCsrf } from "./api.js";
import { forgetKept, settle } from "./begun.js";
import { button, copy, faultCard, label, make, open, say, served, singleKeys } from "./states.js";

const session = { actor: null, asking: null };

/** Who is reading, {name, role, named, by}, or null. */
export const reader = () => session.actor;

/** Whether readings and feedback can be given: a pseudonym is known. */
export const isNamed = () => Boolean(session.actor?.named);

/** Asks the server who is reading. Throws: Fault. */
export async function begin() {
  on("unknown", () => askToken());
  await refresh();
}

async function refresh() {
  session.actor = null;
  try {
    session.actor = await get("/api/session");
    setCsrf(session.actor.csrf);
  } catch (fault) {
    if (fault.status !== 401) throw fault;
    setCsrf("");
  } finally {
    settle(session.actor?.store ?? "", isNamed() ? session.actor.name : "");
    draw();
  }
}

function draw() {
  const home = document.getElementById("who");
  const shown = home.querySelector(".shown");
  home.onclick = () => (session.actor ? showWho() : askToken());
  if (!session.actor) say(shown, "who.nobody");
  else if (isNamed()) {
    delete shown.dataset.say;
    shown.textContent = session.actor.name;
  } else say(shown, "who.local");
  label(home, session.actor && isNamed() ? "who.label" : "who.label.none", { name: session.actor?.name ?? "" });
}

/** One form in a dialog; resolves to whether it was sent with success. */
function ask({ title, more, field, type, send, go, optional, other = "" }) {
  const dialog = make("dialog", { class: "dialog", "aria-labelledby": "ask-title" });
  const input = make("input", { type, name: "value", required: true, maxlength: 200, autocomplete: "off", spellcheck: "false", autocapitalize: "off" });
  const trouble = make("div", { hidden: true });
  let sending = false;
  const form = make("form", {
    onsubmit: async (event) => {
      event.preventDefault();
      if (sending) return;
      sending = true;
      try {
        await send(input.value.trim());
        dialog.close("yes");
      } catch (fault) {
        trouble.hidden = false;
        trouble.replaceChildren(faultCard(fault));
        input.select();
      } finally {
        sending = false;
      }
    },
  }, make("label", { class: "field" }, make("span", { say: field }), input), trouble,
  make("div", { class: "row end" }, other && button(other, () => dialog.close("other"), "quiet"), optional && button("action.cancel", () => dialog.close("")), make("button", { class: "button primary", say: go })));
  dialog.append(make("h2", { id: "ask-title", say: title }), make("p", { say: more }), form);
  return open(dialog).then((value) => (value === "other" ? askToken() : value === "yes"));
}

const signIn = async (body) => {
  await post("/api/session", body);
  await refresh();
  document.dispatchEvent(new CustomEvent("dermaxai:reader"));
};

/** Asks for the token, once at a time. */
export function askToken() {
  session.asking ??= ask({ title: "who.token", more: "who.token.more", field: "who.token.field", type: "password", go: "who.in", optional: true, send: (token) => signIn({ token }) })
    .finally(() => (session.asking = null));
  return session.asking;
}

/** Asks for a pseudonym, or a token, where neither is known; resolves to whether there is one. */
export async function askName() {
  if (isNamed()) return true;
  if (served.open) return askToken();
  return ask({ title: "who.name", more: "who.name.more", field: "who.name.field", type: "text", go: "who.name.go", other: "who.token.have", optional: true, send: (pseudonym) => signIn({ pseudonym }) });
}

function showWho() {
  if (!isNamed()) return askName();
  const dialog = make("dialog", { class: "dialog", "aria-labelledby": "who-title" });
  const out = async () => {
    dialog.close();
    await remove("/api/session");
    forgetKept();
    await refresh();
    document.dispatchEvent(new CustomEvent("dermaxai:reader"));
  };
  dialog.append(
    make("h2", { id: "who-title", say: ["who.is", { name: session.actor.name }] }),
    make("p", { say: `who.role.${session.actor.role}` }), make("p", { class: "soft", say: "who.is.more" }),
    make("div", { class: "row end" }, button("who.out", out), button("action.close", () => dialog.close(), "primary")));
  return open(dialog);
}

/** The dialog of keys, limits, and what stays on this machine. */
export function showHelp() {
  const dialog = copy("help-dialog");
  dialog.querySelector("[data-part=keys-on]").checked = singleKeys();
  dialog.querySelector("[data-part=version]").textContent = served.version;
  return open(dialog);
}

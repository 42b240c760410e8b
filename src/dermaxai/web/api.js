// Every request of the page. A failure is a Fault {error, message, hint, said, status, wait}: the server's typed error,
// or 'Unreachable' when it does not answer at all.

export class Fault extends Error {
  constructor({ error = "other", message = "", hint = "", said = {} }, status = 0, wait = 0) {
    super(message);
    Object.assign(this, { error, hint, said, status, wait });
  }
}

const GONE = [502, 503, 504]; // said by a proxy, in its own words, when nobody answers behind it

/** What an answer says, null where it is not written by the server. */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const isGone = (status, told) => told === null && GONE.includes(status);

/** A proxy's own refusal is known by its status alone. */
const faultOf = (told, status, wait) => new Fault(told ?? { error: status === 413 ? "RequestTooLarge" : "other" }, status, Number(wait) || 0);

const link = { up: true, csrf: "", delay: 1000, timer: 0 };
const news = new EventTarget();

/** Listens to 'down', 'up' and 'unknown' (nobody is signed in); returns what ends it. */
export function on(name, listener) {
  news.addEventListener(name, listener);
  return () => news.removeEventListener(name, listener);
}

export const isUp = () => link.up;

/** The mark that changes must carry; the session sends it. */
export function setCsrf(mark) {
  link.csrf = mark ?? "";
}

function down() {
  if (!link.up) return;
  link.up = false;
  link.delay = 1000;
  news.dispatchEvent(new Event("down"));
  link.timer = setTimeout(again, link.delay);
}

async function again() {
  clearTimeout(link.timer);
  try {
    const answer = await fetch("/healthz", { cache: "no-store" });
    if (isGone(answer.status, parse(await answer.text()))) throw new Fault({ error: "Unreachable" });
    up();
  } catch {
    link.delay = Math.min(link.delay * 1.6, 10000);
    link.timer = setTimeout(again, link.delay);
  }
}

/** Asks at once whether the server is back. */
export const tryAgain = () => again();

function up() {
  if (link.up) return;
  link.up = true;
  news.dispatchEvent(new Event("up"));
}

/** A 401 says that nobody is signed in, unless somebody has signed in since the request was sent. */
function refuse(status, mark) {
  if (status === 401 && mark === link.csrf) news.dispatchEvent(new Event("unknown"));
}

/** Sends one request; resolves to its Response. Throws: Fault. */
async function send(path, { method = "GET", body, headers = {}, signal } = {}) {
  const sent = { Accept: "application/json", ...headers };
  const mark = link.csrf;
  if (method !== "GET") sent["X-CSRF-Token"] = link.csrf;
  if (body !== undefined && !(body instanceof FormData)) {
    sent["Content-Type"] = "application/json";
    body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, { method, body, headers: sent, signal, credentials: "same-origin" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    down();
    throw new Fault({ error: "Unreachable" });
  }
  const told = answer.ok ? {} : parse(await answer.text().catch(() => ""));
  if (isGone(answer.status, told)) {
    down();
    throw new Fault({ error: "Unreachable" });
  }
  up();
  if (answer.ok) return answer;
  refuse(answer.status, mark);
  throw faultOf(told, answer.status, answer.headers.get("Retry-After"));
}

const read = async (path, options) => {
  const answer = await send(path, options);
  return answer.status === 204 ? null : answer.json();
};

export const get = (path, options) => read(path, options);
export const post = (path, body = {}, options = {}) => read(path, { method: "POST", body, ...options });
export const remove = (path) => read(path, { method: "DELETE" });

/** An address with the parameters that have a value. */
export function address(path, values) {
  const asked = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== "" && value !== null && value !== undefined));
  return asked.size ? `${path}?${asked}` : path;
}

/** A key that makes a request sent twice count once. */
export function freshKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Sends a photo; `told(share)` hears how much of it has left. Throws: Fault. */
export function sendPhoto(file, choices, key, told) {
  const form = new FormData();
  form.append("file", file, file.name || "photo");
  for (const [name, value] of Object.entries(choices)) for (const one of [value].flat()) if (one !== "") form.append(name, one);
  const mark = link.csrf;
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/api/cases");
    request.setRequestHeader("X-CSRF-Token", link.csrf);
    request.setRequestHeader("Idempotency-Key", key);
    request.setRequestHeader("Accept", "application/json");
    request.upload.onprogress = (event) => event.lengthComputable && told(event.loaded / event.total);
    request.onerror = () => {
      down();
      reject(new Fault({ error: "Unreachable" }));
    };
    request.onload = () => {
      const body = parse(request.responseText);
      if (isGone(request.status, body)) return request.onerror();
      up();
      if (request.status < 300) return resolve(body ?? {});
      refuse(request.status, mark);
      reject(faultOf(body, request.status, request.getResponseHeader("Retry-After")));
    };
    request.send(form);
  });
}

const ENDED = ["done", "failed", "cancelled"];

export const hasEnded = (job) => ENDED.includes(job.state);

/** Follows one job: `heard(job)` at every change, until it has ended or the returned function is called. */
export function follow(id, heard) {
  let source = null, timer = 0, over = false;
  const stop = () => {
    over = true;
    clearTimeout(timer);
    source?.close();
  };
  const hear = (job) => {
    if (over) return;
    if (hasEnded(job)) stop();
    heard(job);
  };
  const poll = async () => {
    try {
      hear(await get(`/api/jobs/${id}`));
    } catch (fault) {
      if (fault.status === 404) return stop();
    }
    if (!over) timer = setTimeout(listen, link.up ? 700 : 2500);
  };
  const listen = () => {
    if (over) return;
    source = new EventSource(`/api/jobs/${id}/events`);
    source.addEventListener("progress", (event) => hear(JSON.parse(event.data)));
    source.onerror = () => {
      source.close();
      if (!over) poll();
    };
  };
  listen();
  return stop;
}

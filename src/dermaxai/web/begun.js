// What readers have begun and not sent: kept while the page is open, apart for every reader, case and description.
// Of whoever reads under a pseudonym this tab of the browser keeps it too, for a reload or a crash: until it is
// saved or discarded, until they sign out, or somebody else signs in.

const NOBODY = "";
const KEPT = "dermaxai:begun";
const begun = new Map(); // "reader case caption" as JSON -> Map of drafts; one that is `changed` is not sent yet
const brought = new WeakSet(); // maps of drafts that came back with the page
const mine = { store: "", reader: NOBODY };
const others = new BroadcastChannel(KEPT); // the other tabs of this page

const keyOf = (...parts) => JSON.stringify(parts);

/** What this tab keeps, {store, reader, cases}: drafts by 'case caption'; some browsers keep nothing. */
function readKept() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT));
  } catch {
    return null;
  }
}

function writeKept(cases) {
  try {
    if (Object.keys(cases).length) sessionStorage.setItem(KEPT, JSON.stringify({ ...mine, cases }));
    else sessionStorage.removeItem(KEPT);
  } catch { /* forgotten with the page */ }
}

const keptCases = () => {
  const kept = readKept();
  return kept?.store === mine.store && kept.reader === mine.reader ? kept.cases : {};
};

/** Who reads now, in which store; nothing is kept of whoever read before in this tab, or elsewhere. */
export function settle(store, reader) {
  Object.assign(mine, { store, reader });
  if (reader !== NOBODY) writeKept(keptCases());
}

/** Signing out: no tab keeps anything. */
export function forgetKept() {
  writeKept({});
  others.postMessage("out");
}

/** After a change of drafts, or when they are sent: the tab keeps what is not sent yet. */
export function keepBegun(drafts) {
  const [key] = [...begun].find(([, known]) => known === drafts) ?? [];
  const [who, ...rest] = key ? JSON.parse(key) : [NOBODY];
  if (who === NOBODY || who !== mine.reader) return;
  const left = [...drafts].filter(([, draft]) => draft.changed).map(([word, { given, ...draft }]) => [word, draft]);
  const { [keyOf(...rest)]: earlier, ...cases } = keptCases();
  writeKept(left.length ? { ...cases, [keyOf(...rest)]: left } : cases);
}

/** The drafts of one reader for one description of a case; those for another description of it are dropped. */
export function draftsOf(reader, id, caption) {
  const key = keyOf(reader, id, caption);
  for (const other of begun.keys()) {
    const [who, of] = JSON.parse(other);
    if (who === reader && of === id && other !== key) begun.delete(other);
  }
  if (!begun.has(key)) begun.set(key, bringBack(reader, id, caption));
  return begun.get(key);
}

function bringBack(reader, id, caption) {
  if (reader === NOBODY || reader !== mine.reader) return new Map();
  const cases = Object.entries(keptCases()).filter(([key]) => JSON.parse(key)[0] !== id || key === keyOf(id, caption));
  writeKept(Object.fromEntries(cases));
  const drafts = new Map(Object.fromEntries(cases)[keyOf(id, caption)]);
  if (drafts.size) brought.add(drafts);
  return drafts;
}

/** Whether drafts came back with the page, and are not all sent. */
export const isBrought = (drafts) => brought.has(drafts) && unsent(drafts).length > 0;

/** Nothing of these drafts is wanted any more. */
export function discard(drafts) {
  drafts.clear();
  brought.delete(drafts);
  keepBegun(drafts);
}

/** What was begun without a pseudonym belongs to whoever chooses one now. */
export function claim(reader) {
  for (const [key, drafts] of [...begun]) {
    const [who, ...rest] = JSON.parse(key);
    if (who !== NOBODY) continue;
    const own = keyOf(reader, ...rest);
    for (const [word, draft] of begun.get(own) ?? bringBack(reader, ...rest)) if (!drafts.get(word)?.changed) drafts.set(word, draft);
    begun.delete(key);
    begun.set(own, drafts);
    keepBegun(drafts);
  }
}

/** A case that is no more needs no drafts. */
export function forget(id) {
  for (const key of [...begun.keys()]) if (JSON.parse(key)[1] === id) begun.delete(key);
  if (mine.reader !== NOBODY) writeKept(Object.fromEntries(Object.entries(keptCases()).filter(([key]) => JSON.parse(key)[0] !== id)));
}

/** The words, in the order they were begun, whose answer is not sent. */
export const unsent = (drafts) => [...drafts].filter(([, draft]) => draft.changed).map(([word]) => word);

others.addEventListener("message", () => writeKept({}));
addEventListener("beforeunload", (event) => {
  if ([...begun.values()].some((drafts) => unsent(drafts).length)) event.preventDefault();
});

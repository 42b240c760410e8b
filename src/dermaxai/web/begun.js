// What readers have begun and not sent: kept while the page is open, apart for every reader, case and description.

const NOBODY = "";
const begun = new Map(); // "reader case caption" as JSON -> Map of drafts; one that is `changed` is not sent yet

const keyOf = (...parts) => JSON.stringify(parts);

/** The drafts of one reader for one description of a case; those for another description of it are dropped. */
export function draftsOf(reader, id, caption) {
  const key = keyOf(reader, id, caption);
  for (const other of begun.keys()) {
    const [who, of] = JSON.parse(other);
    if (who === reader && of === id && other !== key) begun.delete(other);
  }
  if (!begun.has(key)) begun.set(key, new Map());
  return begun.get(key);
}

/** What was begun without a pseudonym belongs to whoever chooses one now. */
export function claim(reader) {
  for (const [key, drafts] of [...begun]) {
    const [who, ...rest] = JSON.parse(key);
    if (who !== NOBODY) continue;
    const own = keyOf(reader, ...rest);
    for (const [word, draft] of begun.get(own) ?? []) if (!drafts.get(word)?.changed) drafts.set(word, draft);
    begun.delete(key);
    begun.set(own, drafts);
  }
}

/** A case that is no more needs no drafts. */
export function forget(id) {
  for (const key of [...begun.keys()]) if (JSON.parse(key)[1] === id) begun.delete(key);
}

/** The words, in the order they were begun, whose answer is not sent. */
export const unsent = (drafts) => [...drafts].filter(([, draft]) => draft.changed).map(([word]) => word);

addEventListener("beforeunload", (event) => {
  if ([...begun.values()].some((drafts) => unsent(drafts).length)) event.preventDefault();
});

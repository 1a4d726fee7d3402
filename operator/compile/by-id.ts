/** Entries of the config, found and sorted by their id. */

interface Entry {
  id: string;
}

export const indexById = <T extends Entry>(entries: readonly T[] | undefined): ReadonlyMap<string, T> =>
  new Map((entries ?? []).map((entry) => [entry.id, entry]));

export const byId = (a: Entry, b: Entry): number => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);

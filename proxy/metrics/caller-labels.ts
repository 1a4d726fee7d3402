/**
 * Labels that identify the caller, such as user and team. Their values come from outside, so their number is bounded: when
 * `maxCallers` combinations are known, all others are counted together as `other`.
 */
import type { CallRecord } from "../call/record.ts";
import { GrowingMap } from "../growing-map.ts";
import type { Labels } from "./series.ts";

export const callerLabelNames = ["user", "team", "role", "key", "namespace", "tags", "session"] as const;
export type CallerLabelName = (typeof callerLabelNames)[number];

type Caller = Pick<CallRecord, "user" | "team" | "role" | "key" | "tags" | "session">;

const read: Readonly<Record<CallerLabelName, (caller: Caller) => string>> = {
  user: ({ user }) => user,
  team: ({ team }) => team,
  role: ({ role }) => role,
  key: ({ key }) => key,
  namespace: ({ key }) => key.slice(0, Math.max(key.indexOf("/"), 0)),
  tags: ({ tags }) => tags.join(","),
  session: ({ session }) => session,
};

/** A longer value would make every scrape longer. */
const maxValueLength = 256;
/** NUL: it can't occur in a value that came in a header or an object. */
const between = "\u0000";

/** Finds what is counted for a caller. `make` is called once for each combination of values. */
export class CallersSeries<T> {
  readonly #names: readonly CallerLabelName[];
  readonly #maxCallers: number;
  readonly #overflow: () => void;
  readonly #known: GrowingMap<string, T>;
  readonly #make: (labels: Labels) => T;
  #count = 0;
  #other: T | null = null;

  constructor(
    { labels, maxCallers }: { labels: readonly CallerLabelName[]; maxCallers: number },
    make: (labels: Labels) => T,
    overflow: () => void,
  ) {
    this.#names = labels;
    this.#maxCallers = maxCallers;
    this.#overflow = overflow;
    this.#make = make;
    this.#known = new GrowingMap((joined) => {
      const values = joined.split(between);
      return make(Object.fromEntries(labels.map((label, index) => [label, values[index] ?? ""])));
    });
  }

  of(caller: Caller): T {
    const names = this.#names;
    if (names.length === 0) return this.#known.at("");
    let joined = "";
    for (const name of names)
      joined += `${joined === "" && name === names[0] ? "" : between}${labelValue(name, caller)}`;
    const cached = this.#known.get(joined);
    if (cached !== undefined) return cached;
    if (this.#count >= this.#maxCallers) {
      this.#overflow();
      return (this.#other ??= this.#make(Object.fromEntries(names.map((name) => [name, "other"]))));
    }
    this.#count++;
    return this.#known.at(joined);
  }
}

const labelValue = (name: CallerLabelName, caller: Caller): string => {
  const value = read[name](caller);
  return (value.length > maxValueLength ? value.slice(0, maxValueLength) : value).replaceAll(between, "");
};

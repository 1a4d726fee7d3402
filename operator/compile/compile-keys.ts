/**
 * Decides which keys are live, by digest: of two keys with the same digest the older one, and for a key that can't be
 * compiled its last good form. Of 50,000 keys few change at once: while the context stays the same, only changed keys
 * are examined, and keys that depend on others to be live.
 */

import { applyDelta, delta } from "../../proxy/config/incremental.ts";
import type { KeyRecord } from "../../proxy/config/key-record.ts";
import { type KeyContext, KeyContextMemo, type KeySurroundings } from "./key-context.ts";
import {
  always,
  digestsOf,
  type KeyDependencies,
  KeyEntry,
  type KeyOutcome,
  overlap,
  type Span,
  within,
} from "./key-entry.ts";
import type { VerdictDraft } from "./verdict.ts";
import type { CompileInput, World, WorldObject } from "./world.ts";

/** The state of all keys after a pass. */
interface State {
  ground: KeyContext;
  secrets: World["secrets"];
  objects: readonly WorldObject[];
  /** Keys that are live on their own, by digest. */
  owners: Map<string, KeyEntry>;
  /** All other keys. */
  others: ReadonlySet<KeyEntry>;
  /** Until then, owners don't change by time alone. */
  holds: Span;
  keys: readonly KeyRecord[];
  verdicts: readonly VerdictDraft[];
}

/** What one pass remembers about keys for the next. */
export class KeyMemo {
  readonly ground = new KeyContextMemo();
  known = new Map<WorldObject, KeyEntry>();
  /** Also null if a pass was not completed. */
  state: State | null = null;
}

export interface LiveKeys {
  /** Sorted by digest. */
  keys: readonly KeyRecord[];
  /** Sorted by namespace and name. */
  verdicts: readonly VerdictDraft[];
}

const byAge = (a: KeyEntry, b: KeyEntry): number =>
  a.object.meta.createdAtMs - b.object.meta.createdAtMs || (a.id < b.id ? -1 : 1);
const byDigest = (a: KeyRecord, b: KeyRecord): number => (a.digest < b.digest ? -1 : 1);
const nameOf = ({ meta }: VerdictDraft): string => `${meta.namespace}/${meta.name}`;
const byName = (a: VerdictDraft, b: VerdictDraft): number => (nameOf(a) < nameOf(b) ? -1 : 1);

const nothing: readonly never[] = [];

/** Indexes of the models that nothing serves. */
function unserved(models: readonly string[] | undefined, namespace: string, { offers }: KeyContext): readonly number[] {
  const isOffered = models === undefined ? null : offers(namespace);
  if (models === undefined || isOffered === null) return nothing;
  return models.flatMap((model, index) => (isOffered(model) ? [] : [index]));
}

interface Settled {
  others: Set<KeyEntry>;
  outcomes: KeyOutcome[];
  /** Keys that are live on their own. */
  holds: Span;
}

/**
 * For each of `keys`, an older one with the same digest. Keys that are live on their own become owners. Returns null if
 * a key would take a digest from a younger owner: then all keys must be settled again.
 */
function olderOf(keys: readonly KeyEntry[], owners: Map<string, KeyEntry>): Map<KeyEntry, KeyEntry> | null {
  const older = new Map<KeyEntry, KeyEntry>();
  for (const entry of keys) {
    const { digests } = entry;
    const others = digests.flatMap((digest) => owners.get(digest) ?? []);
    const owner = others.find((other) => byAge(other, entry) < 0);
    if (owner !== undefined) older.set(entry, owner);
    else if (entry.fits) {
      if (others.length > 0) return null;
      for (const digest of digests) owners.set(digest, entry);
    }
  }
  return older;
}

/** Shared inputs of keys that depend only on the budgets that select them: most of thousands of keys have the same. */
function sharing(): (dependencies: KeyDependencies) => KeyDependencies {
  const plain = new Map<KeyDependencies["selecting"], KeyDependencies>();
  return (dependencies) => {
    const { owner, role, unserved, last, selecting } = dependencies;
    if (owner !== undefined || role !== null || unserved.length > 0 || last !== undefined) return dependencies;
    const known = plain.get(selecting);
    if (known === undefined) plain.set(selecting, dependencies);
    return known ?? dependencies;
  };
}

/** Settles keys against `owners`, which are settled, and adds to them; null in the same case as `olderOf`. */
function settle(
  all: KeyEntry[],
  owners: Map<string, KeyEntry>,
  ground: KeyContext,
  input: CompileInput,
  memo: KeyMemo,
): Settled | null {
  const keys = all.sort(byAge);
  const older = olderOf(keys, owners);
  if (older === null) return null;
  const lastOf = memo.ground.last(input.previous?.keys);
  const settled: Settled = { others: new Set(), outcomes: [], holds: always };
  const held = new Set<string>();
  const shared = sharing();
  const freeLast = (entry: KeyEntry): KeyRecord | undefined => {
    const last = lastOf(entry.id);
    const digests = last === undefined ? [] : digestsOf(last);
    if (last === undefined || digests.some((digest) => owners.has(digest) || held.has(digest))) return undefined;
    for (const digest of digests) held.add(digest);
    return last;
  };
  const finish = (entry: KeyEntry): void => {
    const owner = older.get(entry);
    const live = entry.fits && owner === undefined;
    const { namespace } = entry.object.meta;
    const dependencies = {
      owner: owner?.id,
      role: entry.key === null ? null : ground.roleProblem(entry.key.spec.role),
      unserved: unserved(entry.key?.spec.models, namespace, ground),
      last: live ? undefined : freeLast(entry),
      selecting: ground.selecting(namespace),
    };
    const outcome = entry.settle(shared(dependencies), input.nowMs);
    settled.outcomes.push(outcome);
    if (live) settled.holds = overlap(settled.holds, outcome.holds);
    else settled.others.add(entry);
  };
  // A valid key takes precedence over an invalid key's last good form.
  for (const entry of keys) if (entry.key !== null) finish(entry);
  for (const entry of keys) if (entry.key === null) finish(entry);
  return settled;
}

const recordsOf = (outcomes: Iterable<KeyOutcome>): KeyRecord[] => [...outcomes].flatMap(({ record }) => record ?? []);
const verdictsOf = (outcomes: Iterable<KeyOutcome>): VerdictDraft[] => [...outcomes].map(({ verdict }) => verdict);

/** Adds new entries and removes old ones. */
function knownOf(objects: readonly WorldObject[], memo: KeyMemo): KeyEntry[] {
  const known = new Map(objects.map((object) => [object, memo.known.get(object) ?? new KeyEntry(object)]));
  memo.known = known;
  return [...known.values()];
}

function settleAll(objects: readonly WorldObject[], ground: KeyContext, input: CompileInput, memo: KeyMemo): State {
  const keys = knownOf(objects, memo);
  for (const entry of keys) entry.look(input.world, input.nowMs, ground.keyRules);
  const owners = new Map<string, KeyEntry>();
  const settled = settle(keys, owners, ground, input, memo) as Settled;
  const { outcomes, others, holds } = settled;
  return {
    ground,
    secrets: input.world.secrets,
    objects,
    owners,
    others,
    holds,
    keys: recordsOf(outcomes).sort(byDigest),
    verdicts: verdictsOf(outcomes).sort(byName),
  };
}

/** Keys that must be examined again, with the previous results of those and of removed keys. */
interface Turnover {
  again: KeyEntry[];
  were: KeyOutcome[];
}

/** Removes a key from the owners. */
function disown(entry: KeyEntry, owners: Map<string, KeyEntry>): void {
  for (const digest of entry.digests) if (owners.get(digest) === entry) owners.delete(digest);
}

/** Removes them from the owners; null if there are so many that settling all keys again is as cheap. */
function turnover(before: State, objects: readonly WorldObject[], world: World, memo: KeyMemo): Turnover | null {
  const { gone, come } = delta(before.objects, objects);
  if (come.length + before.others.size > objects.length / 8) return null;
  const left = [...gone].flatMap((object) => memo.known.get(object) ?? []);
  for (const object of gone) memo.known.delete(object);
  const again = new Set(before.others);
  for (const entry of left) again.delete(entry);
  if (before.secrets !== world.secrets)
    for (const entry of memo.known.values()) if (entry.hasOtherSecret(world)) again.add(entry);
  const both = [...left, ...again];
  for (const entry of both) disown(entry, before.owners);
  const fresh = come.map((object) => new KeyEntry(object));
  for (const entry of fresh) memo.known.set(entry.object, entry);
  return { again: [...again, ...fresh], were: both.flatMap((entry) => entry.outcome ?? []) };
}

/** Settles only keys that are new or not live on their own; null if that is not enough. */
function settleSome(before: State, objects: readonly WorldObject[], input: CompileInput, memo: KeyMemo): State | null {
  const { world, nowMs } = input;
  const keys = turnover(before, objects, world, memo);
  if (keys === null) return null;
  for (const entry of keys.again) entry.look(world, nowMs, before.ground.keyRules);
  const settled = settle(keys.again, before.owners, before.ground, input, memo);
  return settled === null ? null : changed(before, keys.were, settled, { objects, secrets: world.secrets }, memo);
}

function changed(
  before: State,
  were: readonly KeyOutcome[],
  settled: Settled,
  now: Pick<State, "objects" | "secrets">,
  memo: KeyMemo,
): State | null {
  const are = new Set(settled.outcomes);
  const gone = were.filter((outcome) => !are.delete(outcome));
  const keys = applyDelta(before.keys, recordsOf(gone), recordsOf(are), byDigest);
  const verdicts = applyDelta(before.verdicts, verdictsOf(gone), verdictsOf(are), byName);
  if (keys === null || verdicts === null) return null;
  memo.ground.publish(before.keys, keys, recordsOf(gone), recordsOf(are));
  return { ...before, ...now, others: settled.others, holds: overlap(before.holds, settled.holds), keys, verdicts };
}

export function compileKeys(
  objects: readonly WorldObject[],
  input: CompileInput,
  surroundings: KeySurroundings,
  memo: KeyMemo,
): LiveKeys {
  const ground = memo.ground.ground(input, surroundings);
  const before = memo.state;
  memo.state = null;
  const some =
    before !== null && before.ground === ground && within(input.nowMs, before.holds)
      ? settleSome(before, objects, input, memo)
      : null;
  memo.state = some ?? settleAll(objects, ground, input, memo);
  return memo.state;
}

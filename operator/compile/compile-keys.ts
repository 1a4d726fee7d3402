/**
 * Which keys are live: each by its digest, the older of two that share one, the last good form of one that can't be
 * compiled. Of 50,000 keys few change at once: only those are looked at while the ground stays, and those that are not
 * live by themselves, since whether they are depends on others.
 */

import { applyDelta, delta } from "../../proxy/config/incremental.ts";
import type { KeyRecord } from "../../proxy/config/key-record.ts";
import type { RouteConfig } from "../../proxy/config/route.ts";
import { type KeyContext, KeyContextMemo } from "./key-context.ts";
import { always, KeyEntry, type KeyOutcome, overlap, type Span, within } from "./key-entry.ts";
import type { Selecting } from "./selectors.ts";
import type { VerdictDraft } from "./verdict.ts";
import type { CompileInput, World, WorldObject } from "./world.ts";

/** How all keys stood after a pass. */
interface State {
  ground: KeyContext;
  secrets: World["secrets"];
  objects: readonly WorldObject[];
  /** Those that are live by themselves, by digest. */
  owners: Map<string, KeyEntry>;
  /** All others. */
  others: ReadonlySet<KeyEntry>;
  /** While this lasts, time changes nothing about owners. */
  holds: Span;
  keys: readonly KeyRecord[];
  verdicts: readonly VerdictDraft[];
}

/** What is remembered of keys from one pass to the next. */
export class KeyMemo {
  readonly ground = new KeyContextMemo();
  known = new Map<WorldObject, KeyEntry>();
  /** null as well where a pass came to no end. */
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

/** Places of the models that nobody serves. */
function unserved(models: readonly string[] | undefined, namespace: string, { offers }: KeyContext): readonly number[] {
  const names = models === undefined ? null : offers(namespace);
  if (models === undefined || names === null) return nothing;
  return models.flatMap((model, at) => (names.has(model) ? [] : [at]));
}

interface Settled {
  others: Set<KeyEntry>;
  outcomes: KeyOutcome[];
  /** Of those that are live by themselves. */
  holds: Span;
}

/**
 * For each of `keys` an older one that has its digest already. Those that are live by themselves become owners. null where
 * one of them would take a digest from an owner, who is younger: then all have to be settled anew.
 */
function olderOf(keys: readonly KeyEntry[], owners: Map<string, KeyEntry>): Map<KeyEntry, KeyEntry> | null {
  const older = new Map<KeyEntry, KeyEntry>();
  for (const one of keys) {
    const { digest } = one;
    if (digest === null) continue;
    const owner = owners.get(digest);
    if (owner !== undefined && byAge(owner, one) < 0) older.set(one, owner);
    else if (one.fits) {
      if (owner !== undefined) return null;
      owners.set(digest, one);
    }
  }
  return older;
}

/** Settles keys among `owners`, who are settled, and adds to them; null as `olderOf` says. */
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
  const freeLast = (one: KeyEntry): KeyRecord | undefined => {
    const last = lastOf(one.id);
    if (last === undefined || owners.has(last.digest) || held.has(last.digest)) return undefined;
    held.add(last.digest);
    return last;
  };
  const finish = (one: KeyEntry): void => {
    const owner = older.get(one);
    const live = one.fits && owner === undefined;
    const { namespace } = one.object.meta;
    const standing = {
      owner: owner?.id,
      role: one.key === null ? null : ground.roleProblem(one.key.spec.role),
      unserved: unserved(one.key?.spec.models, namespace, ground),
      last: live ? undefined : freeLast(one),
      selecting: ground.selecting(namespace),
    };
    const outcome = one.settle(standing, input.nowMs);
    settled.outcomes.push(outcome);
    if (live) settled.holds = overlap(settled.holds, outcome.holds);
    else settled.others.add(one);
  };
  // A valid key goes before an invalid one's last good form.
  for (const one of keys) if (one.key !== null) finish(one);
  for (const one of keys) if (one.key === null) finish(one);
  return settled;
}

const recordsOf = (outcomes: Iterable<KeyOutcome>): KeyRecord[] => [...outcomes].flatMap(({ record }) => record ?? []);
const verdictsOf = (outcomes: Iterable<KeyOutcome>): VerdictDraft[] => [...outcomes].map(({ verdict }) => verdict);

/** Makes known what is new, and forgets what is gone. */
function knownOf(objects: readonly WorldObject[], memo: KeyMemo): KeyEntry[] {
  const known = new Map(objects.map((object) => [object, memo.known.get(object) ?? new KeyEntry(object)]));
  memo.known = known;
  return [...known.values()];
}

function settleAll(objects: readonly WorldObject[], ground: KeyContext, input: CompileInput, memo: KeyMemo): State {
  const keys = knownOf(objects, memo);
  for (const one of keys) one.look(input.world, input.nowMs, ground.keyRules);
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

/** Keys that have to be looked at again, and what was said of those and of the ones that are gone. */
interface Turnover {
  again: KeyEntry[];
  were: KeyOutcome[];
}

/** Takes them out of the owners; null where there are so many that all may as well be settled anew. */
function turnover(before: State, objects: readonly WorldObject[], world: World, memo: KeyMemo): Turnover | null {
  const { gone, come } = delta(before.objects, objects);
  if (come.length + before.others.size > objects.length / 8) return null;
  const left = [...gone].flatMap((object) => memo.known.get(object) ?? []);
  for (const object of gone) memo.known.delete(object);
  const again = new Set(before.others);
  for (const one of left) again.delete(one);
  if (before.secrets !== world.secrets)
    for (const one of memo.known.values()) if (one.hasOtherSecret(world)) again.add(one);
  const both = [...left, ...again];
  for (const one of both)
    if (one.digest !== null && before.owners.get(one.digest) === one) before.owners.delete(one.digest);
  const fresh = come.map((object) => new KeyEntry(object));
  for (const one of fresh) memo.known.set(one.object, one);
  return { again: [...again, ...fresh], were: both.flatMap((one) => one.outcome ?? []) };
}

/** Only what is new, or not live by itself; null where that is not enough. */
function settleSome(before: State, objects: readonly WorldObject[], input: CompileInput, memo: KeyMemo): State | null {
  const { world, nowMs } = input;
  const keys = turnover(before, objects, world, memo);
  if (keys === null) return null;
  for (const one of keys.again) one.look(world, nowMs, before.ground.keyRules);
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

/** `routes` are those that are live: a key may name models that none of them serves. `selecting`: budgets that go by labels. `credentials`: as in KeyRules. */
export function compileKeys(
  objects: readonly WorldObject[],
  input: CompileInput,
  routes: readonly RouteConfig[],
  selecting: readonly Selecting[],
  memo: KeyMemo,
  credentials: ReadonlySet<string> = new Set(),
): LiveKeys {
  const ground = memo.ground.ground(input, routes, selecting, credentials);
  const before = memo.state;
  memo.state = null;
  const some =
    before !== null && before.ground === ground && within(input.nowMs, before.holds)
      ? settleSome(before, objects, input, memo)
      : null;
  memo.state = some ?? settleAll(objects, ground, input, memo);
  return memo.state;
}

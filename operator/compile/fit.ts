/** Keeps compiled objects within the limits of what can be published: `capacity.ts` for each kind. Pure. */
import type { BudgetConfig, BudgetSeed } from "../../proxy/config/budget.ts";
import {
  budgetShardOf,
  credentialName,
  entryBytes,
  keyShardOf,
  providerShardOf,
  routeShardOf,
} from "../../proxy/config/encode.ts";
import { equal } from "../../proxy/config/incremental.ts";
import type { KeyRecord } from "../../proxy/config/key-record.ts";
import { credentialNames, credentialShardOf } from "../../proxy/config/names.ts";
import type { ProviderConfig } from "../../proxy/config/provider.ts";
import type { RouteConfig } from "../../proxy/config/route.ts";
import { credentialNameBytes, documentBytes, seedBytes } from "../../proxy/config/schema.ts";
import { type CapacityRequest, fairShare, type Load, type Overflow, placeAll } from "./capacity.ts";
import { idOf, namespaceOf, problem } from "./outcome.ts";
import type { Problem, Verdict, VerdictDraft } from "./verdict.ts";
import type { World } from "./world.ts";

const manifestShard = "manifest";
const boundOf = (shard: string): number => (shard === manifestShard ? credentialNameBytes : documentBytes);

const digits = (bytes: number): string => bytes.toLocaleString("en-US");

function tooLarge(id: string, { shard, bytes, shareBytes }: Overflow, stays: boolean): Problem {
  const why = `it takes ${digits(bytes)} bytes, which is more than is left of the ${digits(shareBytes)} bytes that namespace ${namespaceOf(id)} has in the published configuration (${shard}, ${digits(boundOf(shard))} bytes for all namespaces)`;
  const meanwhile = stays ? "; the form that was published before stays in use" : "";
  return problem("TooLarge", `${why}${meanwhile}; make it smaller, or remove other objects of the namespace`);
}

/** An entry, its object, and the published form that may stay instead. */
interface Fitting<T> {
  verdict: VerdictDraft;
  entry: T;
  published: T | null;
}

/** The forms that fit. Verdicts on objects whose form doesn't fit are updated. */
function fitAll<T extends { id: string }>(all: readonly Fitting<T>[], loadOf: (entry: T) => Load): T[] {
  const requests = all.map(({ verdict, entry, published: form }): CapacityRequest => {
    // The size of the entry is known. That of an equal form would be computed in every pass.
    const published = equal(form, entry) ? entry : form;
    const { createdAtMs } = verdict.meta;
    return {
      id: entry.id,
      createdAtMs,
      wanted: loadOf(entry),
      published: published === null ? null : loadOf(published),
    };
  });
  const placements = placeAll(requests, boundOf);
  if (placements === null) return all.map(({ entry }) => entry);
  const fitting: T[] = [];
  for (const { verdict, entry, published } of all) {
    const placement = placements.get(entry.id);
    if (placement === undefined || placement.overflow === null) {
      fitting.push(entry);
      continue;
    }
    const stays = placement.form === "published" && published !== null;
    verdict.accepted.push(tooLarge(entry.id, placement.overflow, stays));
    verdict.live = stays ? "lastGood" : "none";
    if (stays) fitting.push(published);
  }
  return fitting;
}

/** Assumed length of a value whose Secret does not give it: the largest allowed. */
const maxCredentialBytes = 16_384;
/** In the manifest, with quotes and comma. */
const namedBytes = 48;

/** Lengths of credentials by name. Looked up only if there are so many that they may not fit. */
function credentialLengths(providers: Iterable<ProviderConfig>, secrets: World["secrets"]): (name: string) => number {
  let count = 0;
  for (const provider of providers) count += credentialNames(provider).length;
  if (count * maxCredentialBytes <= documentBytes) return () => maxCredentialBytes;
  const lengths = new Map<string, number>();
  for (const facts of Object.values(secrets))
    for (const { digest, length } of Object.values(facts))
      if (length !== undefined) lengths.set(credentialName(digest), length);
  return (name) => lengths.get(name) ?? maxCredentialBytes;
}

export function fitProviders(
  verdicts: readonly VerdictDraft[],
  live: ReadonlyMap<string, ProviderConfig>,
  previous: ReadonlyMap<string, ProviderConfig>,
  secrets: World["secrets"],
): Map<string, ProviderConfig> {
  const lengthOf = credentialLengths(live.values(), secrets);
  const loadOf = (provider: ProviderConfig): Load => {
    const load = new Map([[`providers-${providerShardOf(provider.id)}`, entryBytes(provider)]]);
    const names = new Set(credentialNames(provider));
    if (names.size > 0) load.set(manifestShard, names.size * namedBytes);
    for (const name of names) {
      const shard = `credentials-${credentialShardOf(name)}`;
      load.set(shard, (load.get(shard) ?? 0) + lengthOf(name));
    }
    return load;
  };
  return new Map(fitAll(fittings(verdicts, live, previous), loadOf).map((provider) => [provider.id, provider]));
}

const fittings = <T extends { id: string }>(
  verdicts: readonly VerdictDraft[],
  live: ReadonlyMap<string, T>,
  previous: ReadonlyMap<string, T>,
): Fitting<T>[] =>
  verdicts.flatMap((verdict) => {
    const id = idOf(verdict.meta);
    const entry = live.get(id);
    return entry === undefined ? [] : [{ verdict, entry, published: previous.get(id) ?? null }];
  });

/** `stays`: the published form of a policy, limited to what may still be served; null if it may not. */
export function fitRoutes(
  settled: readonly { verdict: VerdictDraft; config: RouteConfig }[],
  stays: (id: string) => RouteConfig | null,
): RouteConfig[] {
  return fitAll(
    settled.map(({ verdict, config }) => ({ verdict, entry: config, published: narrowedTo(config, stays(config.id)) })),
    (route) => new Map([[`routes-${routeShardOf(route.id)}`, entryBytes(route)]]),
  );
}

/** The published form, limited to the policy's present claims: the rest may belong to another policy by now. */
function narrowedTo(config: RouteConfig, published: RouteConfig | null): RouteConfig | null {
  if (published === null || published.pathPrefix !== config.pathPrefix) return null;
  const { models } = config;
  if (models === null) return published;
  const left = published.models?.filter((name) => models.includes(name)) ?? [];
  return left.length === 0 ? null : { ...published, models: left };
}

export function fitBudgets(
  verdicts: readonly VerdictDraft[],
  budgets: readonly BudgetConfig[],
  previous: ReadonlyMap<string, BudgetConfig>,
): BudgetConfig[] {
  const live = new Map(budgets.map((budget) => [budget.id, budget]));
  return fitAll(
    fittings(verdicts, live, previous),
    (budget) => new Map([[`budgets-${budgetShardOf(budget.id)}`, entryBytes(budget)]]),
  );
}

/**
 * Budgets' past spending, the largest sums of each namespace first: it is needed only if a store has lost its counts.
 */
export function fitSeeds(seeds: readonly BudgetSeed[]): readonly BudgetSeed[] {
  const bytes = (some: readonly BudgetSeed[]): number => some.reduce((sum, seed) => sum + entryBytes(seed), 0);
  if (bytes(seeds) <= seedBytes) return seeds;
  const byNamespace = [...Map.groupBy(seeds, (seed) => namespaceOf(seed.budget)).values()];
  const share = fairShare(byNamespace.map(bytes), seedBytes);
  const kept = new Set<BudgetSeed>();
  for (const some of byNamespace) {
    let left = share;
    for (const seed of some.toSorted((a, b) => b.spentNanoUsd - a.spentNanoUsd)) {
      left -= entryBytes(seed);
      if (left >= 0) kept.add(seed);
    }
  }
  return seeds.filter((seed) => kept.has(seed));
}

const keyShardName = ({ digest }: KeyRecord): string => `keys-${keyShardOf(digest)}`;

/** Lists of keys that fit. A pass that changes no key returns the previous list. */
const fittingLists = new WeakSet<readonly KeyRecord[]>();

function fits(keys: readonly KeyRecord[]): boolean {
  if (fittingLists.has(keys)) return true;
  const sums = new Map<string, number>();
  for (const key of keys) sums.set(keyShardName(key), (sums.get(keyShardName(key)) ?? 0) + entryBytes(key));
  if ([...sums.values()].some((bytes) => bytes > documentBytes)) return false;
  fittingLists.add(keys);
  return true;
}

/** A refused key needs only what identifies its owner. */
const withdrawn = ({ limits: _, budgets: __, clientTokens: ___, ...rest }: KeyRecord): KeyRecord => ({
  ...rest,
  tags: [],
  models: null,
});

/** The published form of a key, less what was revoked since; null if the key itself has changed. */
function stillGood(key: KeyRecord, published: KeyRecord | undefined): KeyRecord | null {
  if (published === undefined || published.digest !== key.digest) return null;
  const ends = [key.expiresAtMs, published.expiresAtMs].filter((end) => end !== null);
  return { ...published, expiresAtMs: ends.length === 0 ? null : Math.min(...ends) };
}

export interface FittingKeys {
  keys: readonly KeyRecord[];
  verdicts: readonly Verdict[];
}

/** Revocations always fit: whatever else is refused, they are published. Changed verdicts are copies. */
export function fitKeys(live: FittingKeys, previous: readonly KeyRecord[] | undefined): FittingKeys {
  if (fits(live.keys)) return live;
  const published = new Map((previous ?? []).map((key) => [key.id, key]));
  const fitted: Fitting<KeyRecord>[] = [];
  const revoked: KeyRecord[] = [];
  const verdicts = live.verdicts.map((verdict): Verdict => {
    const key = verdict.entry as KeyRecord | null;
    if (key === null) return verdict;
    const copy = { ...verdict, accepted: [...verdict.accepted] } as VerdictDraft;
    if (key.revoked) {
      copy.entry = withdrawn(key);
      revoked.push(copy.entry as KeyRecord);
    } else fitted.push({ verdict: copy, entry: key, published: stillGood(key, published.get(key.id)) });
    return copy;
  });
  const kept = fitAll(fitted, (key) => new Map([[keyShardName(key), entryBytes(key)]]));
  const byId = new Map(kept.map((key) => [key.id, key]));
  for (const { verdict, entry } of fitted) verdict.entry = byId.get(entry.id) ?? null;
  return { keys: [...kept, ...revoked].sort((a, b) => (a.digest < b.digest ? -1 : 1)), verdicts };
}

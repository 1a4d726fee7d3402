/**
 * The leader's two passes, run whenever something may have changed: one publishes, the other asks the proxies and
 * writes statuses. Publishing waits neither for proxies nor for statuses.
 */

import type { BudgetSeed } from "../proxy/config/budget.ts";
import { capabilitiesByType } from "../proxy/config/capabilities.generated.ts";
import { type EncodeMemo, encode } from "../proxy/config/encode.ts";
import type { RenderedConfig } from "../proxy/config/schema.ts";
import { operatorToken, statusToken } from "../proxy/config/status-token.ts";
import { type Cluster, statusCode } from "./cluster/api.ts";
import { askBudgets, askFleet, type FleetReport, type Nudger, type StatusTokens } from "./cluster/proxies.ts";
import type { Publication, Publisher } from "./cluster/publish.ts";
import type { RevocationPath } from "./cluster/revocation-path.ts";
import type { ClusterSource } from "./cluster/source.ts";
import { firstStatuses, StatusBook } from "./cluster/status-book.ts";
import type { StatusWriter } from "./cluster/status-writer.ts";
import { type Compiled, compile } from "./compile/compile.ts";
import { healthPatches } from "./compile/health.ts";
import type { CompileMemo } from "./compile/memo.ts";
import { type StatusPatch, type Verdict, withPatches } from "./compile/verdict.ts";
import type { WorldObject } from "./compile/world.ts";
import type { ObjectAlertBook } from "./loops/alerts/book.ts";
import type { BudgetBook } from "./loops/budgets/book.ts";
import type { CanaryBook } from "./loops/canaries/book.ts";
import type { DiscoveryBook } from "./loops/discovery/book.ts";
import { foreignKeyPatches } from "./loops/keys/foreign-keys.ts";
import type { OperatorMetrics } from "./metrics.ts";
import { priceSources, priceTable } from "./prices/table.ts";
import { markUnpublished, withLosses } from "./publish/unpublished.ts";
import type { RolloutClock } from "./rollout-clock.ts";
import { compileSettings } from "./settings/compile-settings.ts";
import type { ClusterIssuer } from "./settings/identity.ts";
import type { OperatorSettings } from "./settings/settings.ts";

export interface Reconciler {
  cluster: Cluster;
  settings: OperatorSettings;
  source: ClusterSource;
  /** The API server's own token issuer and keys; read only if an issuer needs them. */
  issuer(): Promise<ClusterIssuer | null>;
  publisher: Publisher;
  nudger: Nudger;
  revocations: RevocationPath;
  /** State that passes hand on to the next one. */
  memo: { compile: CompileMemo; encode: EncodeMemo };
  book: StatusBook;
  statuses: StatusWriter;
  canaries: CanaryBook;
  budgets: BudgetBook;
  discovery: DiscoveryBook;
  objectAlerts: ObjectAlertBook;
  /** Sends alerts on budgets, providers and policies, with the values of Secrets by digest. */
  alert(compiled: Compiled, values: ReadonlyMap<string, string>): void;
  nowMs(): number;
  /** Budgets' past spending, rendered by the next pass; null to keep what is published. */
  seeds: readonly BudgetSeed[] | null;
  /** What the last pass published; null before the first pass. */
  published: Published | null;
  /** What the proxies answered last; null before their first answer. */
  fleet: FleetReport | null;
  /** Says what the operator lacks the rights to do with an object, or ""; null if it has all rights. */
  losses(): ((verdict: Verdict) => string) | null;
  /** Ready proxies at the last answer; null before the first. */
  ready: number | null;
  /**
   * What was published when this process became leader; null before its first pass, and unused after the first report.
   */
  takenOver: { config: RenderedConfig | null } | null;
  /** Call when something that is compiled has changed. */
  changed(): void;
  /** Whether this process may still write. */
  leading(): boolean;
  observe: OperatorMetrics["pass"];
  rollouts: RolloutClock;
}

/** Receives what the last pass published, to follow its rollout. */
export interface Published {
  compiled: Compiled;
  objects: readonly WorldObject[];
  others: readonly WorldObject[];
  values: ReadonlyMap<string, string>;
  publication: Publication;
  compileMs: number;
  /** What the writes of the last publication took. */
  publishMs: number;
  /** Whether keys were left out whose Secrets are not made yet. */
  unfinished: boolean;
  tokens: StatusTokens;
  /** Objects written and not yet counted. */
  written: number;
}

/** Forgets what this process knew while it led before: another leader may have got further. */
export function takeOver(context: Reconciler): void {
  context.revocations.forget();
  context.seeds = null;
  context.published = null;
  context.ready = null;
  context.takenOver = null;
  context.book = new StatusBook();
  for (const book of [context.canaries, context.discovery, context.budgets, context.objectAlerts]) book.forget();
}

/** read → compile → publish. Throws if something could not be published, after publishing everything else. */
export async function publishPass(context: Reconciler): Promise<void> {
  const { source, publisher, settings } = context;
  const changedAtMs = context.rollouts.reads(context.nowMs());
  const pepper = await publisher.pepper();
  const tokens = { status: statusToken(pepper), operator: operatorToken(pepper) };
  const turn = context.revocations.reading();
  const { world, values, others, unfinished } = await source.read(pepper);
  const before = publisher.previous();
  context.takenOver ??= { config: before };
  const began = performance.now();
  const compiled = compile(
    {
      world,
      settings: compileSettings(settings, await context.issuer()),
      previous: before,
      seeds: context.seeds ?? before?.seeds ?? [],
      canaries: context.canaries.facts(others),
      discovered: context.discovery.facts(),
      nowMs: context.nowMs(),
      prices: priceTable(new Date(context.nowMs())),
      priceSources,
    },
    capabilitiesByType,
    context.memo.compile,
  );
  const compileMs = performance.now() - began;
  const next = encode(compiled.config, publisher.pepperId(pepper), context.memo.encode);
  if (!context.leading()) return;
  greet(context, world.objects, compiled, next.manifest.revision);
  await context.revocations.publishing(compiled.config.keys, turn);
  const beganMs = performance.now();
  const publication = await publisher.publish(compiled.config, next, values);
  const publishMs = performance.now() - beganMs;
  const liveKeys = publication.live?.config.keys ?? [];
  context.revocations.published(liveKeys, liveKeys === compiled.config.keys ? turn : 0);
  if (publication.written > 0) context.rollouts.published(changedAtMs);
  const written = publication.written + (context.published?.written ?? 0);
  context.published = {
    compiled,
    objects: world.objects,
    others,
    values,
    publication,
    compileMs,
    publishMs,
    unfinished,
    written,
    tokens,
  };
  const { live, failure } = publication;
  // At once: the config that proxies wait for is published.
  const unnudged = publication.written > 0 && live !== null ? await nudge(context, live.manifest.revision) : null;
  if (failure !== null || unnudged !== null) throw failure ?? unnudged;
}

/** Most time between two passes of a sync. */
const maxRestMs = 2_000;
/** A single change writes fewer ConfigMaps. */
const manyWrites = 8;

/**
 * How long further changes are gathered after a pass that wrote much, as in a sync of thousands of objects: each of its
 * passes writes nearly all ConfigMaps, and revocations, which don't wait for passes, need the API server meanwhile.
 */
export const restAfter = ({
  publishMs,
  unfinished,
  publication,
}: Pick<Published, "publishMs" | "unfinished"> & { publication: Pick<Publication, "written"> }): number =>
  unfinished || publication.written < manyWrites ? 0 : Math.min(maxRestMs, publishMs);

/** The number of proxies is unknown before their first answer. */
function greet(context: Reconciler, objects: readonly WorldObject[], compiled: Compiled, revision: string): void {
  const { ready: total } = context;
  if (total !== null)
    context.statuses.add(firstStatuses(objects, compiled.verdicts, { revision, live: 0, total }, context.nowMs()));
}

/** Asks the proxies, then writes statuses. Returns whether every proxy is at the revision and nothing is left to do. */
export async function observePass(context: Reconciler): Promise<boolean> {
  const { published, settings, publisher } = context;
  if (published === null) return true;
  const { compiled, publication, objects, values, compileMs, tokens } = published;
  const revision = publication.live?.manifest.revision ?? "";
  const fleet = await askFleet(context.cluster, settings, tokens.status).catch((cause: unknown) => {
    // Without the right to find proxies, the last known ones count, so changes are not known to be live.
    if (statusCode(cause) !== 403 || context.fleet === null) throw cause;
    return context.fleet;
  });
  context.fleet = fleet;
  const { proxies, revocations, reports, canaries, watched } = fleet;
  if (context.leading()) await publisher.publishStatusToken(tokens.status);
  context.ready = proxies.length;
  const programmed = { revision, live: proxies.filter((proxy) => proxy === revision).length, total: proxies.length };
  context.budgets.learn(published.others);
  context.objectAlerts.learn(published.others);
  const alerts = context.objectAlerts.report(compiled, reports, watched, context.nowMs(), values);
  const budgets = await readBudgets(context, compiled, values, tokens.status);
  const { decided, patches } = context.canaries.judge(compiled, canaries, context.nowMs());
  // A verdict on a canary changes the rendered config, and so do models that were found.
  if ([decided, context.discovery.learn(reports)].includes(true)) context.changed();
  const foreign = foreignKeyPatches(compiled.verdicts, objects, fleet.foreignKeys);
  const all = [...healthPatches(compiled.others, reports), ...foreign, ...alerts, ...budgets, ...patches];
  const patched = withPatches(compiled.verdicts, all);
  const { written } = published;
  published.written = 0;
  const whole = publication.failure === null;
  const everywhere = programmed.total > 0 && programmed.live === programmed.total;
  const settled = everywhere && whole && context.published === published;
  const liveMs = settled ? context.rollouts.liveMs(context.nowMs()) : null;
  context.observe({ compileMs, written, compiled: { ...compiled, verdicts: patched }, programmed, objects, liveMs });
  const known = whole ? patched : markUnpublished(patched, publication.live?.config ?? null);
  const verdicts = withLosses(known, context.losses());
  if (context.leading())
    context.statuses.offer(
      context.book.due(objects, verdicts, { revision, proxies }, context.nowMs(), context.takenOver?.config),
      context.book.hasMore,
    );
  // Only the first report needs it.
  if (context.leading()) context.takenOver = { config: null };
  if (context.leading()) context.alert(compiled, values);
  const refusing = revocations.every((id) => context.revocations.isEnough(id));
  await hasten(context, revision, { everywhere, refusing });
  if (everywhere && context.published === published) await tidy(context, publication);
  return everywhere && refusing;
}

/** Speeds up proxies that lack the revision or revocations. */
async function hasten(
  context: Reconciler,
  revision: string,
  { everywhere, refusing }: { everywhere: boolean; refusing: boolean },
): Promise<void> {
  if (everywhere && refusing) return;
  if (!refusing && context.leading()) await context.revocations.resend();
  const failure = await nudge(context, revision);
  if (failure !== null) throw failure;
}

/** Every proxy is at the last publication. */
async function tidy({ revocations, publisher, leading }: Reconciler, { live, failure }: Publication): Promise<void> {
  revocations.everywhere();
  if (failure === null && live !== null && leading()) await publisher.tidy(live);
}

async function readBudgets(
  context: Reconciler,
  compiled: Compiled,
  values: ReadonlyMap<string, string>,
  token: string,
): Promise<StatusPatch[]> {
  const readings = compiled.watches.length === 0 ? [] : await askBudgets(context.cluster, context.settings, token);
  const patches = context.budgets.report(compiled, readings, context.nowMs(), values);
  if (readings.length === 0) return patches;
  const seedable = readings.length === 1 || readings.some((reading) => reading.shared);
  // Proxies with a store each would each count the sum over all of them.
  context.seeds = seedable
    ? context.budgets.seeds(compiled.watches, context.publisher.previous()?.seeds ?? [], context.nowMs())
    : [];
  return patches;
}

/** The failure; null if there was none. */
function nudge({ nudger, revocations, leading }: Reconciler, revision: string): Promise<unknown> {
  if (!leading()) return Promise.resolve(null);
  return nudger.nudge(revocations.mark(revision)).then(
    () => null,
    (cause: unknown) => cause,
  );
}

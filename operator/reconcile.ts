/** One pass: read → compile → publish → report. Whoever leads runs it again whenever something may have changed. */

import type { BudgetSeed } from "../proxy/config/budget.ts";
import { capabilitiesByType } from "../proxy/config/capabilities.generated.ts";
import { type EncodeMemo, encode } from "../proxy/config/encode.ts";
import { statusToken } from "../proxy/config/status-token.ts";
import type { Cluster } from "./cluster/api.ts";
import { eachOf } from "./cluster/each.ts";
import type { Rollout } from "./cluster/live-book.ts";
import { askBudgets, askFleet, type Nudger } from "./cluster/proxies.ts";
import type { Publisher } from "./cluster/publish.ts";
import { report } from "./cluster/report.ts";
import type { ClusterSource } from "./cluster/source.ts";
import type { StatusBook } from "./cluster/status-book.ts";
import { type Compiled, compile } from "./compile/compile.ts";
import { healthPatches } from "./compile/health.ts";
import type { CompileMemo } from "./compile/memo.ts";
import type { Programmed } from "./compile/status.ts";
import { type StatusPatch, type Verdict, withPatches } from "./compile/verdict.ts";
import type { WorldObject } from "./compile/world.ts";
import type { ObjectAlertBook } from "./loops/alerts/book.ts";
import type { BudgetBook } from "./loops/budgets/book.ts";
import type { CanaryBook } from "./loops/canaries/book.ts";
import { priceSources, priceTable } from "./prices/table.ts";
import { compileSettings } from "./settings/compile-settings.ts";
import type { ClusterIssuer } from "./settings/identity.ts";
import type { OperatorSettings } from "./settings/settings.ts";

export interface Reconciler {
  cluster: Cluster;
  settings: OperatorSettings;
  source: ClusterSource;
  /** What the API server says of its own tokens; asked for only where an issuer needs it. */
  issuer(): Promise<ClusterIssuer | null>;
  publisher: Publisher;
  nudger: Nudger;
  /** What passes remember for the next one. */
  memo: { compile: CompileMemo; encode: EncodeMemo };
  book: StatusBook;
  canaries: CanaryBook;
  budgets: BudgetBook;
  alarms: ObjectAlertBook;
  /** Tells of what budgets have crossed, and of what providers and policies have come to; with what Secrets hold, by digest. */
  alert(compiled: Compiled, values: ReadonlyMap<string, string>): void;
  nowMs(): number;
  /** What budgets had spent, to be rendered by the next pass; null: what is published. */
  seeds: readonly BudgetSeed[] | null;
  /** Still allowed to write. */
  leading(): boolean;
  observe(pass: { compileMs: number; written: number; compiled: Compiled; programmed: Programmed }): void;
}

/** true when every proxy is at the revision and nothing is left to do. */
export async function reconcile(context: Reconciler): Promise<boolean> {
  const { source, publisher, settings } = context;
  const pepper = await publisher.pepper();
  const token = statusToken(pepper);
  const { world, values, others } = await source.read(pepper);
  context.budgets.learn(others);
  context.alarms.learn(others);
  const began = performance.now();
  const compiled = compile(
    {
      world,
      settings: compileSettings(settings, await context.issuer()),
      previous: publisher.previous(),
      seeds: context.seeds ?? publisher.previous()?.seeds ?? [],
      canaries: context.canaries.facts(others),
      nowMs: context.nowMs(),
      prices: priceTable(new Date(context.nowMs())),
      priceSources,
    },
    capabilitiesByType,
    context.memo.compile,
  );
  const compileMs = performance.now() - began;
  const published = encode(compiled.config, publisher.pepperId(pepper), context.memo.encode);
  if (!context.leading()) return false;
  const written = await publisher.publish(compiled.config, published, values);
  // At once, since the rest of the pass takes a while: what proxies wait for is there.
  const nudged = written > 0 ? nudge(context, published.manifest.revision) : null;
  const { proxies, reports, canaries, watched } = await askFleet(context.cluster, settings, token);
  await publisher.publishStatusToken(token);
  const { revision } = published.manifest;
  const programmed = { revision, live: proxies.filter((one) => one === revision).length, total: proxies.length };
  const alerts = context.alarms.report(compiled, reports, watched, context.nowMs(), values);
  const budgets = await readBudgets(context, compiled, values, token);
  const { decided, patches } = context.canaries.judge(compiled, canaries, context.nowMs());
  const all = [...healthPatches(compiled.others, reports), ...alerts, ...budgets, ...patches];
  const verdicts = withPatches(compiled.verdicts, all);
  context.observe({ compileMs, written, compiled: { ...compiled, verdicts }, programmed });
  const unwritten = await reportAll(context, verdicts, world.objects, { revision, proxies });
  // A status that can't be written must not keep anyone from being told.
  if (context.leading()) context.alert(compiled, values);
  // All had their turn; the pass is done again for those that failed.
  if (unwritten.length > 0) throw unwritten[0];
  const everywhere = programmed.total > 0 && programmed.live === programmed.total;
  const failure = await (nudged ?? (everywhere ? null : nudge(context, programmed.revision)));
  if (failure !== null) throw failure;
  if (everywhere && context.leading()) await publisher.tidy(published);
  // A verdict on a canary changes what is rendered: the next pass does that at once.
  return everywhere && !decided;
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
  const seedable = readings.length === 1 || readings.some((one) => one.shared);
  // Proxies with a store each would count a sum over all of them once for each.
  context.seeds = seedable
    ? context.budgets.seeds(compiled.watches, context.publisher.previous()?.seeds ?? [], context.nowMs())
    : [];
  return patches;
}

/** What went wrong; null where nothing did. */
function nudge({ nudger, leading }: Reconciler, revision: string): Promise<unknown> {
  if (!leading()) return Promise.resolve(null);
  return nudger.nudge(revision).then(
    () => null,
    (cause: unknown) => cause,
  );
}

const writesAtOnce = 8;

/** What went wrong, one for each status that could not be written. */
function reportAll(
  context: Reconciler,
  verdicts: readonly Verdict[],
  objects: readonly WorldObject[],
  now: Rollout,
): Promise<unknown[]> {
  const due = context.book.due(objects, verdicts, now, context.nowMs());
  return eachOf(due, writesAtOnce, async ({ verdict, object, status }) => {
    if (context.leading()) await report(context.cluster, verdict, object, status, context.nowMs());
  });
}

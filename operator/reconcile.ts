/** One pass: read → compile → publish → report. Whoever leads runs it again whenever something may have changed. */

import type { BudgetSeed } from "../proxy/config/budget.ts";
import { capabilities } from "../proxy/config/capabilities.generated.ts";
import { type EncodeMemo, encode } from "../proxy/config/encode.ts";
import type { BudgetBook } from "./budgets.ts";
import type { CanaryBook } from "./canaries.ts";
import type { Cluster } from "./cluster/api.ts";
import { eachOf } from "./cluster/each.ts";
import type { LiveBook } from "./cluster/live-book.ts";
import { askBudgets, askFleet, type Nudger } from "./cluster/proxies.ts";
import type { Publisher } from "./cluster/publish.ts";
import { newStatus, report } from "./cluster/report.ts";
import type { ClusterSource } from "./cluster/source.ts";
import { type Compiled, compile } from "./compile/compile.ts";
import { addHealth } from "./compile/health.ts";
import type { CompileMemo } from "./compile/memo.ts";
import type { Programmed } from "./compile/status.ts";
import type { ObjectMeta, WorldObject } from "./compile/world.ts";
import type { ClusterIssuer } from "./identity.ts";
import { installedPrices, knowsCountries, renderedSettings } from "./installation.ts";
import { priceTable } from "./prices/table.ts";
import type { OperatorSettings } from "./settings.ts";

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
  book: LiveBook;
  canaries: CanaryBook;
  budgets: BudgetBook;
  /** Tells of what budgets have crossed; with what Secrets hold, by digest. */
  alert(compiled: Compiled, values: ReadonlyMap<string, string>, objects: readonly WorldObject[]): void;
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
  const { world, values, objects } = await source.read(pepper);
  context.budgets.learn(objects);
  const began = performance.now();
  const compiled = compile(
    {
      world,
      settings: {
        proxy: renderedSettings(settings, await context.issuer()),
        sharingNamespaces: settings.sharingNamespaces,
        prices: installedPrices(settings),
        privateEndpointNamespaces: settings.privateEndpointNamespaces,
        knowsCountries: knowsCountries(settings),
        knowsRoles: true,
        hasMail: settings.alerts.smtp !== null,
      },
      previous: publisher.previous(),
      seeds: context.seeds ?? publisher.previous()?.seeds ?? [],
      canaries: context.canaries.facts(objects),
      nowMs: context.nowMs(),
      prices: priceTable(new Date(context.nowMs())),
    },
    capabilities,
    context.memo.compile,
  );
  const compileMs = performance.now() - began;
  const published = encode(compiled.config, publisher.pepperId(pepper), context.memo.encode);
  if (!context.leading()) return false;
  const written = await publisher.publish(compiled.config, published, values);
  const { live, total, reports, canaries } = await askFleet(context.cluster, settings, published.manifest.revision);
  const programmed = { revision: published.manifest.revision, live, total };
  addHealth(compiled.verdicts, reports);
  const readings = compiled.watches.length === 0 ? [] : await askBudgets(context.cluster, settings);
  context.budgets.report(compiled, readings, context.nowMs());
  const seedable = readings.length === 1 || readings.some((one) => one.shared);
  // Proxies with a store each would count a sum over all of them once for each.
  if (readings.length > 0) context.seeds = seedable ? context.budgets.seeds(compiled.watches, publisher.previous()?.seeds ?? [], context.nowMs()) : [];
  const decided = context.canaries.judge(compiled, canaries, context.nowMs());
  context.observe({ compileMs, written, compiled, programmed });
  await reportAll(context, compiled, objects, programmed);
  if (context.leading()) context.alert(compiled, values, objects);
  const everywhere = programmed.total > 0 && programmed.live === programmed.total;
  if (!everywhere && context.leading()) await context.nudger.nudge(programmed.revision);
  if (everywhere && context.leading()) await publisher.tidy(published);
  // A verdict on a canary changes what is rendered: the next pass does that at once.
  return everywhere && !decided;
}

const writesAtOnce = 8;
const refOf = ({ kind, meta }: { kind: string; meta: ObjectMeta }): string => `${kind}/${meta.namespace}/${meta.name}`;

async function reportAll(context: Reconciler, compiled: Compiled, objects: readonly WorldObject[], programmed: Programmed): Promise<void> {
  const byRef = new Map(objects.map((object) => [refOf(object), object]));
  const stateOf = context.book.statesOf(compiled, programmed, (verdict) => byRef.get(refOf(verdict))?.status);
  const failures = await eachOf(compiled.verdicts, writesAtOnce, async (verdict) => {
    const object = byRef.get(refOf(verdict));
    const status = object && newStatus(verdict, object, stateOf(verdict), context.nowMs());
    if (object && status && context.leading()) await report(context.cluster, verdict, object, status, context.nowMs());
  });
  // All had their turn; the pass is done again for those that failed.
  if (failures.length > 0) throw failures[0];
}

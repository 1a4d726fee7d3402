/** One pass: read → compile → publish → report. Whoever leads runs it again whenever something may have changed. */
import { capabilities } from "../proxy/config/capabilities.generated.ts";
import { encode } from "../proxy/config/encode.ts";
import type { Cluster } from "./cluster/api.ts";
import { countLive, nudge } from "./cluster/proxies.ts";
import type { Publisher } from "./cluster/publish.ts";
import { newStatus, report } from "./cluster/report.ts";
import type { ClusterSource } from "./cluster/source.ts";
import { type Compiled, compile } from "./compile/compile.ts";
import type { Programmed } from "./compile/status.ts";
import type { WorldObject } from "./compile/world.ts";
import type { OperatorSettings } from "./settings.ts";

export interface Reconciler {
  cluster: Cluster;
  settings: OperatorSettings;
  source: ClusterSource;
  publisher: Publisher;
  nowMs(): number;
  /** Still allowed to write. */
  leading(): boolean;
  observe(pass: { compileMs: number; written: number; compiled: Compiled; programmed: Programmed }): void;
}

/** true when every proxy is at the revision and nothing is left to do. */
export async function reconcile(context: Reconciler): Promise<boolean> {
  const { source, publisher, settings } = context;
  const pepper = await publisher.pepper();
  const { world, values, objects } = await source.read(pepper);
  const began = performance.now();
  const compiled = compile(
    {
      world,
      settings: { proxy: { maxBodyBytes: settings.maxBodyBytes }, sharingNamespaces: settings.sharingNamespaces },
      previous: publisher.previous(),
      nowMs: context.nowMs(),
    },
    capabilities,
  );
  const compileMs = performance.now() - began;
  const published = encode(compiled.config, publisher.pepperId(pepper));
  if (!context.leading()) return false;
  const written = await publisher.publish(published, values);
  if (written > 0) await nudge(context.cluster, settings, published.manifest.revision);
  const counted = await countLive(context.cluster, settings, published.manifest.revision);
  const programmed = { revision: published.manifest.revision, ...counted };
  context.observe({ compileMs, written, compiled, programmed });
  await reportAll(context, compiled, objects, programmed);
  const everywhere = programmed.total > 0 && programmed.live === programmed.total;
  if (everywhere && context.leading()) await publisher.tidy(published);
  return everywhere;
}

async function reportAll(context: Reconciler, compiled: Compiled, objects: readonly WorldObject[], programmed: Programmed): Promise<void> {
  const byRef = new Map(objects.map((object) => [`${object.kind}/${object.meta.namespace}/${object.meta.name}`, object]));
  for (const verdict of compiled.verdicts) {
    const object = byRef.get(`${verdict.kind}/${verdict.meta.namespace}/${verdict.meta.name}`);
    const status = object && newStatus(verdict, object, programmed, context.nowMs());
    if (!object || !status) continue;
    if (!context.leading()) return;
    await report(context.cluster, verdict, object, status, context.nowMs());
  }
}

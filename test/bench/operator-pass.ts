/**
 * Whole passes of the operator, in this process: read, compile, encode, publish, report. The API server is a stand-in that
 * keeps objects in memory and answers at once, so that what is measured is the operator's own work.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type Kind, kindNames, kinds } from "../../crds/kinds.ts";
import type { Cluster } from "../../operator/cluster/api.ts";
import { KeyDuties } from "../../operator/cluster/key-duties.ts";
import { Nudger } from "../../operator/cluster/proxies.ts";
import { Publisher } from "../../operator/cluster/publish.ts";
import { report } from "../../operator/cluster/report.ts";
import { RevocationPath } from "../../operator/cluster/revocation-path.ts";
import type { SecretValues } from "../../operator/cluster/secrets.ts";
import { SharedConditions } from "../../operator/cluster/shared-conditions.ts";
import type { ClusterSource } from "../../operator/cluster/source.ts";
import { StatusBook } from "../../operator/cluster/status-book.ts";
import { StatusWriter } from "../../operator/cluster/status-writer.ts";
import { type CustomObject, SecretFacts, SecretRefs, valuesOf, WorldObjects } from "../../operator/cluster/world.ts";
import { CompileMemo } from "../../operator/compile/memo.ts";
import type { WorldObject } from "../../operator/compile/world.ts";
import { ObjectAlertBook } from "../../operator/loops/alerts/book.ts";
import { BudgetBook } from "../../operator/loops/budgets/book.ts";
import { CanaryBook } from "../../operator/loops/canaries/book.ts";
import { DiscoveryBook } from "../../operator/loops/discovery/book.ts";
import { operatorMetrics } from "../../operator/metrics.ts";
import { observePass, publishPass, type Reconciler } from "../../operator/reconcile.ts";
import { RolloutClock } from "../../operator/rollout-clock.ts";
import { operatorSettings } from "../../operator/settings/settings.ts";
import { EncodeMemo } from "../../proxy/config/encode.ts";

export interface OperatorPasses {
  /** Replaces the spec of an object, as `kubectl apply` does. */
  change(kind: Kind, name: string, spec: unknown): void;
  /** Milliseconds of processor time, and what was written. */
  pass(): Promise<{ cpuMs: number; configMaps: number; statuses: number }>;
  close(): void;
}

type Data = Record<string, string>;

export async function startPasses(
  objects: readonly WorldObject[],
  secrets: ReadonlyMap<string, SecretValues>,
): Promise<OperatorPasses> {
  const raw = new Map(kindNames.map((kind) => [kind, new Map<string, CustomObject>()]));
  for (const { kind, meta, spec } of objects) {
    const metadata = {
      name: meta.name,
      namespace: meta.namespace,
      uid: `${kind}/${meta.name}`,
      generation: 1,
      creationTimestamp: new Date(1_000),
    };
    raw.get(kind)?.set(meta.name, { metadata, spec: spec as Record<string, unknown>, status: {} });
  }
  const maps = new Map<string, Data>();
  // As the cache of objects does.
  const shared = new SharedConditions();
  let [configMaps, statuses] = [0, 0];
  const kindOf = new Map(kindNames.map((kind) => [kinds[kind].plural, kind]));
  const cluster = {
    async apply({ kind, metadata, data }: { kind: string; metadata: { name: string }; data: Data }) {
      if (kind === "ConfigMap") configMaps++;
      maps.set(metadata.name, data);
    },
    async applyStatus(plural: string, { metadata, status }: { metadata: { name: string }; status: unknown }) {
      const all = raw.get(kindOf.get(plural) as Kind);
      all?.set(metadata.name, { ...all.get(metadata.name), status: shared.in(status) });
      statuses++;
    },
    core: { listNamespacedPod: async () => ({ items: [] }), readNamespacedSecret: async () => ({}) },
    events: { createNamespacedEvent: async () => undefined },
  } as unknown as Cluster;

  const proxy = createServer((request, response) => {
    const { revision } = JSON.parse(maps.get("sluice-config")?.["manifest.json"] ?? "{}") as { revision?: string };
    const budgets = request.url?.startsWith("/budgets");
    response.end(
      JSON.stringify(
        budgets
          ? { instance: "p", shared: false, budgets: [] }
          : { ready: true, revision, providers: [], instance: "p" },
      ),
    );
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;

  const settings = operatorSettings.parse({ namespace: "system", proxyStatusUrls: [url] });
  const world = kindNames.map((kind) => ({ kind, objects: new WorldObjects(kind) }));
  const [refs, facts, duties] = [new SecretRefs(), new SecretFacts(), new KeyDuties()];
  const source = {
    async read(pepper: Uint8Array) {
      const lists = world.map((one) => ({
        kind: one.kind,
        objects: one.objects.of([...(raw.get(one.kind)?.values() ?? [])]),
      }));
      const all = lists.flatMap((list) => list.objects);
      const others = lists.filter(({ kind }) => kind !== "ApiKey").flatMap((one) => one.objects);
      refs.update(all);
      duties.of(all, secrets, Date.now());
      const known = facts.of(secrets, pepper);
      return {
        world: { objects: all, namespaces: { bench: {} }, secrets: known },
        values: valuesOf(others, secrets, known),
        others,
      };
    },
  } as unknown as ClusterSource;
  const metrics = operatorMetrics();
  const writer = new StatusWriter(
    ({ verdict, object, status }) => report(cluster, verdict, object, status, Date.now()).then(() => undefined),
    () => undefined,
    () => undefined,
    Number.POSITIVE_INFINITY,
  );
  const context: Reconciler = {
    cluster,
    settings,
    source,
    issuer: async () => null,
    publisher: new Publisher(cluster, "system", "sluice", () => true),
    nudger: new Nudger(cluster, settings),
    revocations: new RevocationPath({
      cluster,
      namespace: "system",
      prefix: "sluice",
      stateOf: () => "Live",
      leading: () => true,
      send: () => Promise.resolve(),
      nudge: () => Promise.resolve(),
      written: () => undefined,
      failed: () => undefined,
    }),
    memo: { compile: new CompileMemo(), encode: new EncodeMemo() },
    book: new StatusBook(),
    canaries: new CanaryBook(),
    discovery: new DiscoveryBook(),
    budgets: new BudgetBook(),
    objectAlerts: new ObjectAlertBook(),
    statuses: writer,
    published: null,
    takenOver: null,
    ready: null,
    fleet: null,
    losses: () => null,
    changed: () => undefined,
    alert: () => undefined,
    nowMs: Date.now,
    seeds: null,
    rollouts: new RolloutClock(),
    leading: () => true,
    observe: metrics.pass,
  };
  return {
    change(kind, name, spec) {
      const all = raw.get(kind);
      const now = all?.get(name);
      if (now !== undefined)
        all?.set(name, {
          ...now,
          metadata: { ...now.metadata, generation: (now.metadata?.generation ?? 0) + 1 },
          spec: spec as never,
        });
    },
    async pass() {
      [configMaps, statuses] = [0, 0];
      const began = process.cpuUsage();
      await publishPass(context);
      await observePass(context);
      await writer.idle();
      const { user, system } = process.cpuUsage(began);
      return { cpuMs: (user + system) / 1000, configMaps, statuses };
    },
    close: () => proxy.close(),
  };
}

/** Parses a proxy's /status leniently: an older or newer proxy may report less or more. */
import { z } from "zod";
import { type ForeignKeyUse, foreignKeyUse } from "../../proxy/config/foreign-key-use.ts";
import { type WatchReading, watchReading } from "../../proxy/config/watch.ts";
import type { CanaryReport } from "../compile/canary.ts";
import type { ProxyReport } from "../compile/health.ts";

const discovered = z.object({
  models: z.array(z.string().max(128)).max(256).nullable(),
  matching: z.int().min(0),
  reason: z.string().max(256).nullable(),
});

const provider = z.object({
  id: z.string(),
  healthy: z.boolean().nullable().catch(null),
  reason: z.string().max(512).nullable().catch(null),
  breakers: z.record(z.string(), z.string()).catch({}),
  causes: z.record(z.string(), z.string().max(64)).catch({}),
  refused: z.array(z.string()).catch([]),
  implausible: z.array(z.string()).catch([]),
  identity: z.string().max(256).nullable().catch(null),
  discovered: discovered.nullable().catch(null),
});

const count = z.int().min(0);
const side = z.object({
  requests: count,
  failures: count,
  priced: count,
  cost: count,
  latency: z.array(count).max(32),
});
const canary = z.object({ route: z.string(), id: z.string(), canary: side, baseline: side });

const proxyStatus = z.object({
  ready: z.boolean().catch(false),
  revision: z.string().nullable().catch(null),
  revocations: z.string().max(64).nullable().catch(null),
  providers: z.array(provider).catch([]),
  instance: z.string().max(64).catch(""),
  canaries: z.array(canary).catch([]),
  watched: z.array(watchReading).catch([]),
  foreignKeys: z.array(foreignKeyUse).catch([]),
});

export interface ProxyStatus {
  ready: boolean;
  revision: string | null;
  /** null from a proxy that doesn't report it. */
  revocations: string | null;
  providers: ProxyReport;
  canaries: CanaryReport[];
  watched: WatchReading[];
  foreignKeys: ForeignKeyUse[];
}

/** null if the body is not a status. */
export function parseProxyStatus(body: unknown): ProxyStatus | null {
  const parsed = proxyStatus.safeParse(body);
  if (!parsed.success) return null;
  const { ready, revision, revocations, providers, instance, watched, foreignKeys } = parsed.data;
  // Counts of a proxy without a name can't be told apart from another's.
  const canaries =
    instance === ""
      ? []
      : parsed.data.canaries.map(({ route, id, ...sides }) => ({ route, id, sample: { proxy: instance, ...sides } }));
  const reports = providers.map(
    ({ id, healthy, reason, breakers, causes, refused, implausible, identity, discovered: models }) => {
      const open = Object.keys(breakers).filter((model) => breakers[model] !== "closed");
      const report = { healthy, reason, open, causes: new Map(Object.entries(causes)), refused };
      return [
        id,
        {
          ...report,
          ...(implausible.length === 0 ? {} : { implausible }),
          ...(identity === null ? {} : { identity }),
          ...(models === null ? {} : { discovered: models }),
        },
      ] as const;
    },
  );
  return { ready, revision, revocations, providers: new Map(reports), canaries, watched, foreignKeys };
}

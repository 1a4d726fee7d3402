/** The status port, on fastify: probes, metrics, the usage ledger, budgets, and what this proxy does now. */
import { randomUUID } from "node:crypto";
import fastify, { type FastifyInstance } from "fastify";
import type { AuditLog } from "./audit/audit.ts";
import type { CloudIdentities } from "./cloud/identities.ts";
import type { BudgetReadings } from "./config/budget.ts";
import { type LedgerReading, renaming } from "./config/ledger-reading.ts";
import type { Quotas } from "./fleet/quotas.ts";
import type { FleetStore } from "./fleet/store.ts";
import { openMetricsText, openMetricsType, wantsOpenMetrics } from "./metrics/openmetrics.ts";
import type { Pickers } from "./picker/pickers.ts";
import { readBudgets } from "./pipeline/budget-report.ts";
import { keyFactsOf } from "./pipeline/own-usage.ts";
import type { Recounts } from "./pipeline/recounts.ts";
import type { CanaryTally } from "./routing/canary.ts";
import type { ModelDiscovery } from "./routing/discovery.ts";
import type { ImplausibleReports } from "./routing/implausible.ts";
import type { TargetRouting } from "./routing/target-routing.ts";
import type { WatchTally } from "./routing/watch.ts";
import type { TrafficState } from "./server.ts";
import type { ShadowTally } from "./shadow/tally.ts";
import type { Current } from "./snapshot/current.ts";
import type { ForeignKeyUses } from "./snapshot/foreign-key-uses.ts";
import type { ProviderEntry } from "./snapshot/snapshot.ts";
import type { Metrics } from "./telemetry/metrics.ts";

export interface StatusParts {
  current: Current;
  metrics: Metrics;
  state: TrafficState;
  routing: TargetRouting;
  canaries: CanaryTally;
  watched: WatchTally;
  ledger: FleetStore;
  quotas: Quotas;
  recounts: Recounts;
  implausible: ImplausibleReports;
  foreignKeys: ForeignKeyUses;
  discovery: ModelDiscovery;
  pickers: Pickers;
  flushLedger(): Promise<void>;
  identities: CloudIdentities;
  shadows: ShadowTally;
  /** null if there is no audit log. */
  audit: Pick<AuditLog, "readings"> | null;
}

/** Where unreadable parts of the state file are. */
function damageOf(store: FleetStore): { damagedState?: string } {
  const damage = store.damage?.() ?? null;
  return damage === null ? {} : { damagedState: damage.path };
}

/** How the store drops counters when its memory is full. */
function evictionOf(store: FleetStore): { evictingState?: string } {
  const policy = store.eviction?.() ?? null;
  return policy === null ? {} : { evictingState: policy };
}

const isReady = ({ current, state }: StatusParts): boolean => current.snapshot() !== null && !state.draining;

function probes(app: FastifyInstance, parts: StatusParts): void {
  const { current, state, metrics } = parts;
  app.get("/livez", async () => "ok");
  app.get("/readyz", async (_request, reply) => {
    if (isReady(parts)) return "ok";
    reply.code(503);
    return state.draining ? "draining" : `no config yet: ${current.rejection()?.reason ?? "waiting"}`;
  });
  app.get("/metrics", async ({ headers }, reply) => {
    const { registry } = metrics;
    const open = wantsOpenMetrics(headers.accept);
    reply.header("content-type", open ? openMetricsType : registry.contentType).header("vary", "accept");
    return open ? openMetricsText(registry) : registry.metrics();
  });
}

const notASpan = { message: "from and to must be times such as 2027-02-28T12:00:00Z" };

/** null if one of them is not a time. */
function spanIn({ from = "", to = "" }: { from?: string; to?: string }): { fromMs: number; toMs: number } | null {
  const [fromMs, toMs] = [Date.parse(from), Date.parse(to)];
  return Number.isNaN(fromMs) || Number.isNaN(toMs) ? null : { fromMs, toMs };
}

/** `instance`: tells this run from the proxy's next one, whose counts start over. */
function money(app: FastifyInstance, parts: StatusParts, instance: string): void {
  const { current, ledger } = parts;
  // Rows of the usage ledger, for reports. `shared`: whether other proxies return the same rows.
  app.get<{ Querystring: { from?: string; to?: string; keys?: string } }>("/usage", async ({ query }, reply) => {
    const span = spanIn(query);
    if (span === null) return reply.code(400).send(notASpan);
    const rows = await ledger.readLedger(span.fromMs, span.toMs);
    const snapshot = current.snapshot();
    const usage: LedgerReading = {
      instance,
      shared: ledger.shared,
      keptFrom: new Date(Date.now() - ledger.ledgerKeptMs).toISOString(),
      currency: snapshot?.settings.currency ?? null,
      ...(query.keys === "true" && snapshot !== null ? { keys: keyFactsOf(rows, snapshot) } : {}),
      rows,
    };
    return usage;
  });
  // Replaces a user's name in the ledger.
  app.post<{ Body: unknown }>("/usage/rename", async ({ body }, reply) => {
    const asked = renaming.safeParse(body);
    if (!asked.success)
      return reply.code(400).send({ message: "user and replacement must be names of 1 to 256 characters" });
    const { user, namespace, replacement } = asked.data;
    await parts.flushLedger();
    return { rows: await ledger.renameInLedger(user, namespace, replacement) };
  });
  app.get<{ Querystring: { readings?: string } }>("/budgets", async ({ query }): Promise<BudgetReadings> => {
    const snapshot = current.snapshot();
    const budgets = snapshot === null ? [] : await readBudgets(snapshot, parts, Date.now(), query.readings !== "false");
    return { instance, shared: ledger.shared, budgets };
  });
}

/** Breakers of a provider, by model. */
interface Breakers {
  states: Record<string, string>;
  causes: Record<string, string>;
  refused: string[];
}

function breakersByProvider(routing: TargetRouting): Map<string, Breakers> {
  const all = new Map<string, Breakers>();
  for (const { provider, model, state, cause, refused } of routing.breakers()) {
    const own = all.get(provider) ?? { states: {}, causes: {}, refused: [] };
    all.set(provider, own);
    own.states[model] = state;
    if (cause !== null) own.causes[model] = cause;
    if (refused) own.refused.push(model);
  }
  return all;
}

function providerStatus(entry: ProviderEntry, breakers: Breakers | undefined, parts: StatusParts) {
  const { account, models } = entry;
  const { id, type } = account.config;
  return {
    id,
    type,
    models: [...models.keys()],
    ...parts.routing.health(id),
    breakers: breakers?.states ?? {},
    causes: breakers?.causes ?? {},
    refused: breakers?.refused ?? [],
    implausible: parts.implausible.of(id),
    identity: parts.identities.reason(id),
    pods: parts.routing.pods(entry),
    picker: parts.pickers.reading(entry),
    discovered: parts.discovery.reading(id),
  };
}

function statusOf(parts: StatusParts, instance: string) {
  const { current, state, ledger, canaries, watched, routing } = parts;
  const snapshot = current.snapshot();
  const rejection = current.rejection();
  const breakers = breakersByProvider(routing);
  return {
    revision: snapshot?.revision ?? null,
    revocations: current.revocations(),
    ready: isReady(parts),
    draining: state.draining,
    rejected: rejection === null ? null : { reason: rejection.reason, since: new Date(rejection.atMs).toISOString() },
    ...damageOf(ledger),
    ...evictionOf(ledger),
    keys: snapshot?.keyCount ?? 0,
    inFlight: state.active.size,
    instance,
    canaries: canaries.readings(),
    watched: watched.readings(),
    foreignKeys: parts.foreignKeys.readings(),
    audit: parts.audit?.readings() ?? null,
    providers: [...(snapshot?.providers.values() ?? [])].map((entry) =>
      providerStatus(entry, breakers.get(entry.account.config.id), parts),
    ),
  };
}

export function proxyStatusServer(parts: StatusParts): FastifyInstance {
  const app = fastify({ logger: false });
  const instance = randomUUID();
  probes(app, parts);
  money(app, parts, instance);
  // Comparisons of calls with their copies, for reports; all of them, or those of a span.
  app.get<{ Querystring: { from?: string; to?: string } }>("/shadow", async ({ query }, reply) => {
    if (query.from === undefined && query.to === undefined) return parts.shadows.reading(instance);
    const span = spanIn(query);
    return span === null ? reply.code(400).send(notASpan) : parts.shadows.reading(instance, span);
  });
  app.get("/status", async () => statusOf(parts, instance));
  return app;
}

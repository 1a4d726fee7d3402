/**
 * The two listeners: traffic on the gateway's own HTTP/1.1, since the pipeline reads and answers every request itself,
 * and status on fastify.
 */
import { Buffer } from "node:buffer";
import { randomUUID } from "node:crypto";
import fastify, { type FastifyInstance } from "fastify";
import type { CloudIdentities } from "./cloud/identities.ts";
import type { BudgetReadings } from "./config/budget.ts";
import { type LedgerReading, renaming } from "./config/ledger-reading.ts";
import { surfaces } from "./dialects/surfaces.ts";
import { failure } from "./failure.ts";
import type { Quotas } from "./fleet/quotas.ts";
import type { FleetStore } from "./fleet/store.ts";
import { readBudgets } from "./pipeline/budget-report.ts";
import type { Gateway } from "./pipeline/gateway.ts";
import { keyFactsOf } from "./pipeline/own-usage.ts";
import type { Recounts } from "./pipeline/recounts.ts";
import { serve } from "./pipeline/serve.ts";
import { randomId } from "./random-id.ts";
import { refuse } from "./refuse.ts";
import type { CanaryTally } from "./routing/canary.ts";
import type { OwnedRouting } from "./routing/create.ts";
import type { ImplausibleReports } from "./routing/implausible.ts";
import type { WatchTally } from "./routing/watch.ts";
import type { Current } from "./snapshot/current.ts";
import type { Snapshot } from "./snapshot/snapshot.ts";
import type { Metrics } from "./telemetry/metrics.ts";
import { ClientConnection } from "./wire/client.ts";
import type { ClientExchange, ServerTimes, TrafficListener, WireFault } from "./wire/client-exchange.ts";
import { http1Listener } from "./wire/http1/listener.ts";
import type { IndexedSet } from "./wire/indexed-set.ts";
import { nodeListener } from "./wire/node-exchange.ts";
import { atEndOfTick, type Task } from "./wire/tick-batch.ts";
import type { TlsMaterial } from "./wire/tls.ts";

const times: ServerTimes = {
  // Longer than load balancers keep idle connections, so that they close them and not we.
  keepAliveMs: 75_000,
  headersMs: 30_000,
  // Uploads may be slow; the body is limited by size. Headers must arrive quickly.
  requestMs: 300_000,
  // Shorter than the idle limits of common load balancers and NAT.
  tcpKeepAliveMs: 30_000,
  maxHeaderBytes: 16_384,
};

export interface TrafficState {
  /** Answers tell clients to reconnect, and the proxy is not ready. */
  draining: boolean;
  /** Calls are refused with a request to try again. */
  refusing: boolean;
  readonly active: IndexedSet<ClientConnection>;
}

const wellFormedId = /^[A-Za-z0-9._:-]{1,128}$/;

function requestIdOf(request: ClientExchange): string {
  const given = request.headers["x-request-id"];
  return typeof given === "string" && wellFormedId.test(given) ? given : randomId();
}

const faults = {
  timeout: ["408 Request Timeout", "request_timeout", "The request took too long to arrive."],
  headers_too_large: ["431 Request Header Fields Too Large", "invalid_value", "The request's headers are too large."],
  malformed: ["400 Bad Request", "invalid_value", "The request is not valid HTTP."],
} as const;

/**
 * The answer to malformed HTTP, in the usual error envelope. `pages`: whether web pages may call. The page's origin is
 * unknown here, but the answer reveals nothing about anyone.
 */
function refusalOf(fault: WireFault, pages: boolean): string {
  const [status, code, message] = faults[fault];
  const body = JSON.stringify(surfaces.openai.errorBody(failure(code, message), ""));
  return `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\n${pages ? "access-control-allow-origin: *\r\n" : ""}content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`;
}

/** A call that waits for the end of the turn. */
class Serving implements Task {
  readonly #client: ClientConnection;
  readonly #gateway: Gateway;
  readonly #snapshot: Snapshot;
  readonly #state: TrafficState;

  constructor(client: ClientConnection, gateway: Gateway, snapshot: Snapshot, state: TrafficState) {
    this.#client = client;
    this.#gateway = gateway;
    this.#snapshot = snapshot;
    this.#state = state;
  }

  run(): void {
    const done = (): void => this.#state.active.delete(this.#client);
    serve(this.#client, this.#gateway, this.#snapshot).then(done, (cause: unknown) => {
      done();
      this.#gateway.unexpected(cause, this.#client.requestId);
    });
  }
}

export interface TrafficOptions {
  /** null for plain HTTP. */
  tls: TlsMaterial | null;
  /** Own: the gateway's HTTP/1.1. Node: that of node:http. */
  http1: "Own" | "Node";
}

export function trafficListener(
  gateway: Gateway,
  current: Current,
  state: TrafficState,
  { tls, http1 }: TrafficOptions,
): TrafficListener {
  const closing = (): boolean => state.draining;
  const handle = (exchange: ClientExchange): void => {
    const client = new ClientConnection(exchange, requestIdOf(exchange), closing);
    if (state.refusing) {
      refuse(client, "draining");
      return;
    }
    const snapshot = current.snapshot();
    if (snapshot === null) {
      refuse(client, "not_ready");
      return;
    }
    state.active.add(client);
    atEndOfTick(new Serving(client, gateway, snapshot, state));
  };
  const refusal = (fault: WireFault): string =>
    refusalOf(fault, (current.snapshot()?.settings.cors.allowedOrigins.length ?? 0) > 0);
  return (http1 === "Own" ? http1Listener : nodeListener)(tls, times, { handle, refusal });
}

/** Where unreadable parts of the state file are. */
function damageOf(store: FleetStore): { damagedState?: string } {
  const damage = store.damage?.() ?? null;
  return damage === null ? {} : { damagedState: damage.path };
}

export function proxyStatusServer(
  current: Current,
  metrics: Metrics,
  state: TrafficState,
  routing: OwnedRouting,
  canaries: CanaryTally,
  watched: WatchTally,
  money: {
    ledger: FleetStore;
    quotas: Quotas;
    recounts: Recounts;
    implausible: ImplausibleReports;
    flushLedger(): Promise<void>;
    identities: CloudIdentities;
  },
): FastifyInstance {
  const app = fastify({ logger: false });
  /** Tells this run from the proxy's next one, whose counts start over. */
  const instance = randomUUID();
  const ready = (): boolean => current.snapshot() !== null && !state.draining;
  app.get("/livez", async () => "ok");
  app.get("/readyz", async (_request, reply) => {
    if (ready()) return "ok";
    reply.code(503);
    return state.draining ? "draining" : `no config yet: ${current.rejection()?.reason ?? "waiting"}`;
  });
  app.get("/metrics", async (_request, reply) => {
    reply.header("content-type", metrics.registry.contentType);
    return metrics.registry.metrics();
  });
  // Rows of the usage ledger, for reports. `shared`: whether other proxies return the same rows.
  app.get<{ Querystring: { from?: string; to?: string; keys?: string } }>("/usage", async ({ query }, reply) => {
    const [fromMs, toMs] = [Date.parse(query.from ?? ""), Date.parse(query.to ?? "")];
    if (Number.isNaN(fromMs) || Number.isNaN(toMs))
      return reply.code(400).send({ message: "from and to must be times such as 2027-02-28T12:00:00Z" });
    const rows = await money.ledger.readLedger(fromMs, toMs);
    const snapshot = current.snapshot();
    const usage: LedgerReading = {
      instance,
      shared: money.ledger.shared,
      keptFrom: new Date(Date.now() - money.ledger.ledgerKeptMs).toISOString(),
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
    await money.flushLedger();
    return { rows: await money.ledger.renameInLedger(user, namespace, replacement) };
  });
  app.get<{ Querystring: { readings?: string } }>("/budgets", async ({ query }): Promise<BudgetReadings> => {
    const snapshot = current.snapshot();
    const budgets = snapshot === null ? [] : await readBudgets(snapshot, money, Date.now(), query.readings !== "false");
    return { instance, shared: money.ledger.shared, budgets };
  });
  app.get("/status", async () => {
    const snapshot = current.snapshot();
    const rejection = current.rejection();
    const breakers: Record<string, Record<string, string>> = {};
    const causes: Record<string, Record<string, string>> = {};
    const refused: Record<string, string[]> = {};
    for (const { provider, model, state: reading, cause, refused: isRefused } of routing.breakers()) {
      breakers[provider] = { ...breakers[provider], [model]: reading };
      if (isRefused) refused[provider] = [...(refused[provider] ?? []), model];
      if (cause !== null) causes[provider] = { ...causes[provider], [model]: cause };
    }
    return {
      revision: snapshot?.revision ?? null,
      ready: ready(),
      draining: state.draining,
      rejected: rejection === null ? null : { reason: rejection.reason, since: new Date(rejection.atMs).toISOString() },
      ...damageOf(money.ledger),
      keys: snapshot?.keyCount ?? 0,
      inFlight: state.active.size,
      instance,
      canaries: canaries.readings(),
      watched: watched.readings(),
      providers: [...(snapshot?.providers.values() ?? [])].map((entry) => ({
        id: entry.account.config.id,
        type: entry.account.config.type,
        models: [...entry.models.keys()],
        ...routing.health(entry.account.config.id),
        breakers: breakers[entry.account.config.id] ?? {},
        causes: causes[entry.account.config.id] ?? {},
        refused: refused[entry.account.config.id] ?? [],
        implausible: money.implausible.of(entry.account.config.id),
        identity: money.identities.reason(entry.account.config.id),
      })),
    };
  });
  return app;
}

/** `sluice proxy`: assembles the data plane and runs it until stopped. */

import { Buffer } from "node:buffer";
import type { FastifyInstance } from "fastify";
import { type Countries, countriesFrom, noCountries } from "./access/countries.ts";
import { gatewayOf } from "./assembly.ts";
import type { Denial } from "./audit/denials.ts";
import { startAudit } from "./audit/start.ts";
import { ownersPlace } from "./cache/batch-owners.ts";
import { ResponseCache } from "./cache/cache.ts";
import { itemsPlace } from "./cache/kept-items.ts";
import { openCache } from "./cache/open.ts";
import { steadyNowMs, systemClock } from "./clock.ts";
import { egressOf } from "./config/egress/egress.ts";
import { Drain } from "./draining.ts";
import { type FleetState, startFleetState } from "./fleet/start.ts";
import { backlog, listen } from "./listening.ts";
import { liveConfig, standingMetrics } from "./live-config.ts";
import { Outbound } from "./outbound.ts";
import { Recounts } from "./pipeline/recounts.ts";
import { Shadows } from "./pipeline/shadow.ts";
import { receiveRevocations } from "./receive-revocations.ts";
import { recordsOf } from "./records.ts";
import { CanaryTally } from "./routing/canary.ts";
import { ImplausibleReports } from "./routing/implausible.ts";
import { fleetQuotas } from "./routing/quotas.ts";
import { TargetRouting } from "./routing/target-routing.ts";
import { WatchTally } from "./routing/watch.ts";
import { type TrafficState, trafficListener } from "./server.ts";
import { type ProxySettings, parseProxySettings } from "./settings.ts";
import { ShadowRoom } from "./shadow/room.ts";
import { ShadowTally } from "./shadow/tally.ts";
import { shadowRecorder } from "./shadow-records.ts";
import { callMetricsOptions } from "./signal-settings.ts";
import type { Current } from "./snapshot/current.ts";
import { ForeignKeyUses } from "./snapshot/foreign-key-uses.ts";
import type { Snapshot } from "./snapshot/snapshot.ts";
import { type ConfigSource, folderSource } from "./snapshot/source.ts";
import { guardStatus } from "./status-access.ts";
import { proxyStatusServer } from "./status-port.ts";
import { serveActivity } from "./telemetry/activity.ts";
import { createLogger, type Logger } from "./telemetry/log.ts";
import { createMetrics } from "./telemetry/metrics.ts";
import { RecentCalls } from "./telemetry/recent-calls.ts";
import { pickerMetrics, stateMetrics } from "./telemetry/state-metrics.ts";
import { TrafficTally } from "./telemetry/traffic.ts";
import { followTlsFiles, tlsFilesOf } from "./tls-files.ts";
import { startTracing } from "./tracing/start.ts";
import { proxyUsage } from "./usage.ts";
import { IndexedSet } from "./wire/indexed-set.ts";
import { readTls } from "./wire/tls.ts";

export interface ProxyOptions {
  settings: ProxySettings;
  source: ConfigSource;
  log?: Logger;
  /** Adds to what the status port serves. */
  extendStatus?(app: FastifyInstance): void;
  /**
   * The cloud's variables are read from it, as the cloud's own libraries read them, and HTTPS_PROXY, HTTP_PROXY and
   * NO_PROXY. Absent: there is neither cloud nor egress proxy.
   */
  env?: Readonly<Record<string, string | undefined>>;
}

export interface RunningProxy {
  trafficUrl: string;
  statusUrl: string;
  current: Current;
  /** Limits, budgets and the usage ledger. */
  state: FleetState;
  /** Reads the config now instead of at the next change. */
  refresh(): Promise<void>;
  /** Counts and logs finished calls now instead of in a moment. */
  settleRecords(): void;
  /**
   * Continues to serve while clients move away (`patient`: for the whole delay), stops accepting, lets calls under way
   * finish within the drain time, and ends the rest with an error event.
   */
  close(patient?: boolean): Promise<void>;
}

const routesOf = (snapshot: Snapshot) =>
  [...snapshot.paths.values()].flatMap((path) => path.routes.map(({ config }) => config));

/** How long copies under way may delay the end of the process, within the drain time. */
const maxShadowDrainMs = 5_000;

/** How often the country database is checked for a new edition. */
const countriesEveryMs = 60_000;

function openCountries(settings: ProxySettings, log: Logger): Promise<Countries> | Countries {
  if (settings.countryDatabase === "") return noCountries;
  return countriesFrom(settings.countryDatabase, countriesEveryMs, (cause) =>
    log.warn({ err: String(cause) }, "country database not read; the old one stays in use"),
  );
}

function reportDamage({ store }: FleetState, log: Logger): void {
  const damage = store.damage?.();
  if (!damage) return;
  log.error(
    { file: damage.path, lines: damage.lines },
    "parts of the state file can't be read and were put aside; hard budgets stay closed until that file is moved away or deleted",
  );
}

function reportEviction(policy: string | null, log: Logger): void {
  if (policy === null) log.info("the store of limits and budgets no longer drops counters");
  else
    log.warn(
      { policy },
      "the store of limits and budgets drops counters when its memory is full; set its maxmemory-policy to noeviction",
    );
}

/**
 * Node cuts small buffers from pieces of 64 KiB, and one that waits for a slow client keeps its whole piece. Larger ones
 * than half of this get memory of their own.
 */
const poolBytes = 8_192;

export async function startProxy(options: ProxyOptions): Promise<RunningProxy> {
  const { settings, source } = options;
  const log = options.log ?? createLogger(settings.logLevel, "sluice-proxy");
  Buffer.poolSize = poolBytes;
  // Runs before anything starts that would have to be stopped again.
  const tls = settings.tlsCert === "" ? null : await readTls(tlsFilesOf(settings));
  const countries = await openCountries(settings, log);
  const egress = egressOf(options.env ?? {});
  const byProxy = egress.summary();
  if (byProxy !== null) log.info({ proxy: byProxy }, "connections to providers go through the egress proxy");
  const outbound = new Outbound(settings, egress, options.env ?? {}, log);
  const fleet = startFleetState(
    settings,
    (cause) => log.warn({ err: String(cause) }, "fleet state not reached; each proxy enforces its own share of limits"),
    (policy) => reportEviction(policy, log),
  );
  reportDamage(fleet, log);
  const watched = new WatchTally(Date.now);
  const routing = new TargetRouting(
    { nowMs: steadyNowMs, random: Math.random },
    { checked: (provider) => outbound.checks.reading(provider), quotas: fleetQuotas(fleet.quotas), watch: watched },
  );
  const cached = openCache(settings, Date.now);
  const cache = new ResponseCache(cached.store, cached.vectors, Date.now, [itemsPlace, ownersPlace]);
  const state: TrafficState = { draining: false, refusing: false, active: new IndexedSet() };
  const metrics = createMetrics(routing, cache, () => state.active.size, callMetricsOptions(settings));
  stateMetrics(metrics.registry, fleet);
  pickerMetrics(metrics.registry, outbound.pickers);
  cached.register(metrics.registry);
  const canaries = new CanaryTally();
  const implausible = new ImplausibleReports(steadyNowMs);
  const foreignKeys = new ForeignKeyUses();
  const cell = liveConfig(source, log, metrics, [
    (snapshot) => outbound.apply(snapshot),
    (snapshot) => routing.keep(snapshot.providers),
    (snapshot) => canaries.apply(snapshot),
    (snapshot) => watched.apply(snapshot),
    (snapshot) => cache.keep(routesOf(snapshot)),
  ]);
  const audit = await startAudit(settings, log, metrics.registry, systemClock, egress);
  const denied = (denial: Denial): void => audit?.deny(denial);
  const tracing = startTracing(settings, log, metrics.registry, systemClock, egress);
  await cell.refresh();
  await fleet.ready();
  const { quotas, sessionTimes, store: ledger } = fleet;
  const recent = new RecentCalls();
  const tally = new TrafficTally(Date.now);
  const records = recordsOf(log, [tracing, metrics, canaries, watched, implausible, fleet, recent, tally]);
  const settled = (): Promise<void> => {
    records.drain();
    return fleet.ledger.flush();
  };
  const recounts = new Recounts(ledger, settled, () => cell.snapshot(), Date.now);
  standingMetrics(metrics, cell, fleet, recounts);
  const shadowTally = new ShadowTally(Date.now);
  const room = new ShadowRoom();
  const shadows = new Shadows(
    shadowRecorder({
      ...{ log, registry: metrics.registry, audit, ledger: fleet, tally: shadowTally, room },
      durationBuckets: callMetricsOptions(settings).buckets.duration,
    }),
    room,
  );
  const gateway = gatewayOf(settings, log, records, {
    ...{ shadows, routing, countries, foreignKeys, cache, audit, quotas, sessionTimes, recounts, ledger },
    upstreams: outbound.upstreams,
    auth: outbound.auth,
    pickers: outbound.pickers,
    tokens: outbound.tokens,
    tracer: tracing.tracer,
  });
  const traffic = trafficListener(gateway, cell, state, { tls, http1: settings.http1 });
  const drain = new Drain(traffic, state);
  const stopTls = followTlsFiles(traffic, tls, settings, { log, registry: metrics.registry, denied });
  const status = proxyStatusServer({
    ...{ current: cell, metrics, state, routing, canaries, watched },
    ...{ ledger, quotas, recounts, implausible, foreignKeys, audit, shadows: shadowTally },
    identities: outbound.identities,
    discovery: outbound.discovery,
    pickers: outbound.pickers,
    flushLedger: () => fleet.ledger.flush(),
  });
  guardStatus(status, {
    host: settings.statusHost,
    token: () => cell.snapshot()?.statusToken ?? null,
    operatorToken: () => cell.snapshot()?.operatorToken ?? null,
    registry: metrics.registry,
    denied,
  });
  // Answers on the status port include all finished calls.
  status.addHook("onRequest", (_request, _reply, done) => {
    records.drain();
    done();
  });
  serveActivity(status, recent, tally);
  receiveRevocations(status, cell);
  options.extendStatus?.(status);
  const statusUrl = await listen(status.server, settings.statusHost, settings.statusPort, (host) =>
    status.listen({ host, port: settings.statusPort, backlog }),
  );
  const trafficUrl = await listen(traffic.server, settings.host, settings.port);
  log.info({ traffic: trafficUrl, status: statusUrl }, "listening");
  return {
    trafficUrl,
    statusUrl,
    current: cell,
    state: fleet,
    refresh: () => cell.refresh(),
    settleRecords: () => records.drain(),
    async close(patient = false) {
      const began = performance.now();
      shadows.stop();
      await drain.run({ drainMs: settings.drainMs, delayMs: settings.drainDelayMs, patient });
      await shadows.drain(Math.min(maxShadowDrainMs, Math.max(0, settings.drainMs - (performance.now() - began))));
      gateway.texts.close();
      records.drain();
      cell.close();
      countries.close();
      outbound.stop();
      stopTls();
      await audit?.close();
      await tracing.close();
      await fleet.close();
      await cache.close();
      outbound.upstreams.close();
      await status.close();
    },
  };
}

export async function runProxy(args: readonly string[]): Promise<RunningProxy | null> {
  if (args.includes("--help")) {
    process.stdout.write(`${proxyUsage}\n`);
    return null;
  }
  const settings = parseProxySettings(args, process.env);
  const proxy = await startProxy({
    settings,
    env: process.env,
    source: folderSource(settings.configDir, settings.pollMs),
  });
  // Runs before the logger's own exit hook, which writes out pending lines.
  process.prependOnceListener("exit", () => proxy.settleRecords());
  return proxy;
}

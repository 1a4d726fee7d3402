/** `sluice operator`: composes the control plane and runs it until it is stopped. */

import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { pino } from "pino";
import { EncodeMemo } from "../proxy/config/encode.ts";
import { onHost } from "../proxy/config/listen-host.ts";
import { connectCluster, inWords, loadConfig, statusCode } from "./cluster/api.ts";
import { tellContest } from "./cluster/contest-event.ts";
import { Contests } from "./cluster/contests.ts";
import { issuerReader } from "./cluster/issuer.ts";
import type { PooledKubeConfig } from "./cluster/kube-config.ts";
import { elect } from "./cluster/lease.ts";
import { Nudger, sendRevocations } from "./cluster/proxies.ts";
import { Publisher } from "./cluster/publish.ts";
import { report } from "./cluster/report.ts";
import { RevocationPath } from "./cluster/revocation-path.ts";
import { clusterSource } from "./cluster/source.ts";
import { StatusBook } from "./cluster/status-book.ts";
import { StatusWriter } from "./cluster/status-writer.ts";
import { CompileMemo } from "./compile/memo.ts";
import { startConsole } from "./console/start.ts";
import { AlertLoop } from "./delivery/alert-loop.ts";
import { smtpOf } from "./delivery/smtp.ts";
import { Loop } from "./loop.ts";
import { ObjectAlertBook } from "./loops/alerts/book.ts";
import { BudgetBook } from "./loops/budgets/book.ts";
import { CanaryBook } from "./loops/canaries/book.ts";
import { DiscoveryBook } from "./loops/discovery/book.ts";
import { operatorMetrics } from "./metrics.ts";
import { observePass, publishPass, type Reconciler } from "./reconcile.ts";
import { RolloutClock } from "./rollout-clock.ts";
import { type OperatorSettings, operatorUsage, parseOperatorArguments } from "./settings/settings.ts";
import { operatorStatusServer } from "./status-server.ts";

/** On shutdown, pending statuses are written within this time; the next leader writes the rest. */
const lastStatusesMs = 5_000;
/** How long another installation that writes the same statuses is believed to be there. */
const contestHoldMs = 30 * 60_000;

export interface RunningOperator {
  statusUrl: string;
  consoleUrl: string | null;
  leading(): boolean;
  stop(): Promise<void>;
}

export async function startOperator(settings: OperatorSettings, config: PooledKubeConfig): Promise<RunningOperator> {
  const log = pino({
    level: settings.logLevel,
    base: { name: "sluice-operator" },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  });
  const metrics = operatorMetrics();
  /** Caches must be filled before the next pass uses them. */
  let fresh = true;
  const cluster = connectCluster(config);
  const rollouts = new RolloutClock();
  const publisher = new Publisher(cluster, settings.namespace, settings.publishPrefix, () => election.leading());
  /** Publishes, then asks the proxies and writes statuses. */
  let loop: Loop | null = null;
  let observing: Loop | null = null;
  const source = clusterSource(
    cluster,
    settings,
    () => {
      rollouts.changed(Date.now());
      loop?.trigger();
    },
    (path, cause) => {
      metrics.watchFailed();
      log.warn({ path, status: statusCode(cause), err: inWords(cause) }, "list or watch failed; starting again");
    },
  );
  const nudger = new Nudger(cluster, settings);
  const revocations = new RevocationPath({
    cluster,
    namespace: settings.namespace,
    prefix: settings.publishPrefix,
    stateOf: (id) => source.keyState(id),
    leading: () => election.leading(),
    async send(text) {
      const tokens = context.published?.tokens;
      if (tokens !== undefined) await sendRevocations(cluster, settings, tokens, text);
    },
    async nudge() {
      observing?.trigger();
      await nudger.nudge(revocations.mark(publisher.revision()));
    },
    written: (keys) => log.info({ keys }, "revocations published"),
    failed(cause) {
      metrics.failed();
      log.warn({ status: statusCode(cause), err: inWords(cause) }, "revocations could not be published; trying again");
    },
  });
  source.onKey((id) => revocations.changed(id));
  const election = elect(cluster, {
    namespace: settings.namespace,
    name: `${settings.publishPrefix}-operator`,
    identity: `${hostname()}_${randomUUID()}`,
    times: settings.lease,
    // Never moves back: a lease must not last longer because somebody corrected the clock.
    nowMs: () => performance.timeOrigin + performance.now(),
    changed(leading) {
      metrics.leading(leading);
      log.info({ leading }, "leadership");
      if (leading) {
        fresh = true;
        revocations.forget();
        context.seeds = null;
        context.published = null;
        context.ready = null;
        context.takenOver = null;
        context.book = new StatusBook();
        // Another leader may have got further: what it wrote counts.
        canaries.forget();
        discovery.forget();
        budgets.forget();
        alarms.forget();
        loop?.trigger();
      }
    },
  });
  const canaries = new CanaryBook();
  const discovery = new DiscoveryBook();
  const budgets = new BudgetBook();
  const alarms = new ObjectAlertBook();
  /** Alerts delivered or given up that no pass has put into a status yet. */
  let unsaved = false;
  const alerts = new AlertLoop({
    settings,
    smtp: smtpOf(settings.alerts.smtp, process.env),
    books: [budgets, alarms],
    cluster,
    metrics,
    log,
    leading: () => election.leading(),
    changed() {
      unsaved = true;
      observing?.trigger();
    },
  });
  const contests = new Contests(`${settings.namespace}/${settings.publishPrefix}`, {
    holdMs: contestHoldMs,
    nowMs: () => performance.now(),
    noticed(contest) {
      const { namespace, rival, yields } = contest;
      log.error({ namespace, rival, yields }, "another installation writes statuses of the same objects");
      tellContest(cluster, contest).catch(() => undefined);
    },
  });
  const statuses = new StatusWriter(
    async (due) => {
      const write = election.leading() ? contests.admit(due) : null;
      if (write === null) return;
      const { verdict, object, status } = write;
      if (await report(cluster, verdict, object, status, Date.now())) contests.wrote(write);
    },
    (cause) => {
      metrics.failed();
      log.warn({ status: statusCode(cause), err: inWords(cause) }, "a status could not be written; trying again");
    },
    () => observing?.trigger(),
  );
  let revision = "";
  const context: Reconciler = {
    cluster,
    settings,
    source,
    issuer: issuerReader(
      cluster,
      settings.identity,
      Date.now,
      (cause) =>
        log.warn(
          { status: statusCode(cause), err: inWords(cause) },
          "the API server did not return its token keys; the keys read before stay in use",
        ),
      () => publisher.previous(),
    ),
    publisher,
    nudger,
    revocations,
    memo: { compile: new CompileMemo(), encode: new EncodeMemo() },
    book: new StatusBook(),
    statuses,
    published: null,
    ready: null,
    takenOver: null,
    changed: () => loop?.trigger(),
    canaries,
    discovery,
    budgets,
    alarms,
    seeds: null,
    rollouts,
    alert: (compiled, values) => alerts.tell(compiled, values),
    nowMs: Date.now,
    leading: () => election.leading(),
    observe(pass) {
      metrics.pass(pass);
      metrics.contested(contests.namespaces.length);
      metrics.alarms(alarms.counts());
      if (pass.programmed.revision === revision) return;
      revision = pass.programmed.revision;
      log.info({ revision, written: pass.written, proxies: pass.programmed.total }, "published");
    },
  };
  loop = new Loop(
    async (resync) => {
      if (!source.synced() || !election.leading()) return false;
      if (resync || fresh) {
        source.resync();
        await publisher.read();
        await revocations.found(publisher.previous()?.keys ?? []);
        fresh = false;
      }
      try {
        await publishPass(context);
      } finally {
        observing?.trigger();
      }
      return true;
    },
    settings.resyncMs,
    (cause) => {
      metrics.failed();
      fresh = true;
      log.warn({ status: statusCode(cause), err: inWords(cause) }, "pass failed; trying again");
    },
  );
  observing = new Loop(
    () => {
      if (context.published === null || !election.leading()) return Promise.resolve(true);
      unsaved = false;
      return observePass(context);
    },
    settings.resyncMs,
    (cause) => {
      unsaved = true;
      metrics.failed();
      log.warn(
        { status: statusCode(cause), err: inWords(cause) },
        "the state of the proxies could not be read; trying again",
      );
    },
  );
  loop.trigger();
  const status = operatorStatusServer(metrics, source.synced, () => config.silentMs());
  await onHost(settings.statusHost, (host) => status.listen({ host, port: settings.statusPort }));
  const statusUrl = status.listeningOrigin;
  const shown = await startConsole(settings, cluster, source, (cause) =>
    log.warn({ status: statusCode(cause), err: inWords(cause) }, "the console could not read its data"),
  );
  log.info({ status: statusUrl, ...(shown === null ? {} : { console: shown.url }) }, "operator running");
  return {
    statusUrl,
    consoleUrl: shown?.url ?? null,
    leading: () => election.leading(),
    async stop() {
      alerts.stop();
      await loop?.stop();
      await observing?.stop();
      await revocations.idle();
      revocations.stop();
      await alerts.idle();
      // The next leader sends every alert again that no status records as sent.
      if (unsaved) await observing?.last();
      await statuses.stop(lastStatusesMs);
      await election.stop();
      await source.stop();
      await shown?.close();
      await status.close();
    },
  };
}

export async function runOperator(args: readonly string[]): Promise<{ close(): Promise<void> } | null> {
  if (args.includes("--help")) {
    process.stdout.write(`${operatorUsage}\n`);
    return null;
  }
  const { settings, kubeconfig } = await parseOperatorArguments(args);
  const operator = await startOperator(settings, loadConfig(kubeconfig));
  return {
    async close() {
      await operator.stop();
      process.exit(0);
    },
  };
}

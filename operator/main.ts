/** `sluice operator`: composes the control plane and runs it until told to stop. */

import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { KubeConfig } from "@kubernetes/client-node";
import fastify, { type FastifyInstance } from "fastify";
import { pino } from "pino";
import { EncodeMemo } from "../proxy/config/encode.ts";
import { AlarmBook } from "./alarms.ts";
import { AlarmClock } from "./alerts/alarm-clock.ts";
import { AlertDispatcher } from "./alerts/dispatcher.ts";
import { send } from "./alerts/send.ts";
import { smtpOf } from "./alerts/smtp.ts";
import { BudgetBook } from "./budgets.ts";
import { CanaryBook } from "./canaries.ts";
import { connect, inWords, loadConfig, statusCode } from "./cluster/api.ts";
import { issuerReader } from "./cluster/issuer.ts";
import { elect } from "./cluster/lease.ts";
import { Nudger } from "./cluster/proxies.ts";
import { Publisher } from "./cluster/publish.ts";
import { tellGivenUp } from "./cluster/report.ts";
import { clusterSource } from "./cluster/source.ts";
import { StatusBook } from "./cluster/status-book.ts";
import type { Compiled } from "./compile/compile.ts";
import { CompileMemo } from "./compile/memo.ts";
import { mayBePrivate } from "./compile/private-endpoints.ts";
import { type OperatorMetrics, operatorMetrics } from "./metrics.ts";
import { type Reconciler, reconcile } from "./reconcile.ts";
import { type OperatorSettings, operatorUsage, parseOperatorArguments } from "./settings.ts";

export interface RunningOperator {
  statusUrl: string;
  leading(): boolean;
  stop(): Promise<void>;
}

/** How soon another look follows while proxies are on their way to a revision, and after a failure. */
const firstFollowUpMs = 200;
const longestFollowUpMs = 3_000;
const firstRetryMs = 500;
const longestRetryMs = 15_000;
/** Changes that come together are compiled together. */
const settleMs = 50;

/** Runs passes one at a time: at once when something changed, again until proxies follow, and at every resync. */
class Loop {
  readonly #run: (resync: boolean) => Promise<boolean>;
  readonly #resyncMs: number;
  readonly #failed: (cause: unknown) => void;
  #timer: NodeJS.Timeout | null = null;
  #dueMs = 0;
  #running: Promise<void> | null = null;
  #again = false;
  #stopped = false;
  #retryMs = firstRetryMs;
  #followUpMs = firstFollowUpMs;
  #lastResyncMs = 0;

  constructor(run: (resync: boolean) => Promise<boolean>, resyncMs: number, failed: (cause: unknown) => void) {
    this.#run = run;
    this.#resyncMs = resyncMs;
    this.#failed = failed;
  }

  /** Something changed. */
  trigger(): void {
    this.#followUpMs = firstFollowUpMs;
    this.#schedule(settleMs);
  }

  #schedule(afterMs: number): void {
    if (this.#stopped) return;
    if (this.#running !== null) {
      this.#again = true;
      return;
    }
    const dueMs = performance.now() + afterMs;
    // Never later than what was promised before, or a steady stream of changes would put it off for ever.
    if (this.#timer && this.#dueMs <= dueMs) return;
    if (this.#timer) clearTimeout(this.#timer);
    this.#dueMs = dueMs;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#running = this.#pass();
    }, afterMs);
  }

  async #pass(): Promise<void> {
    const resync = performance.now() - this.#lastResyncMs >= this.#resyncMs;
    let next = this.#resyncMs;
    try {
      const settled = await this.#run(resync);
      if (resync) this.#lastResyncMs = performance.now();
      if (settled) this.#followUpMs = firstFollowUpMs;
      else {
        next = this.#followUpMs;
        this.#followUpMs = Math.min(longestFollowUpMs, this.#followUpMs * 2);
      }
      this.#retryMs = firstRetryMs;
    } catch (cause) {
      this.#failed(cause);
      next = this.#retryMs;
      this.#retryMs = Math.min(longestRetryMs, this.#retryMs * 2);
      this.#lastResyncMs = 0;
    }
    this.#running = null;
    const soon = this.#again;
    this.#again = false;
    this.#schedule(soon ? settleMs : next);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#timer) clearTimeout(this.#timer);
    await this.#running;
  }

  /** One more pass after it was stopped. */
  async last(): Promise<void> {
    await this.#pass();
  }
}

function statusServer(metrics: OperatorMetrics, ready: () => boolean): FastifyInstance {
  const app = fastify({ logger: false });
  app.get("/livez", async () => "ok");
  app.get("/readyz", async (_request, reply) => {
    if (ready()) return "ok";
    reply.code(503);
    return "caches are not filled yet";
  });
  app.get("/metrics", async (_request, reply) => {
    reply.header("content-type", metrics.registry.contentType);
    return metrics.registry.metrics();
  });
  return app;
}

export async function startOperator(settings: OperatorSettings, config: KubeConfig): Promise<RunningOperator> {
  const log = pino({
    level: settings.logLevel,
    base: { name: "sluice-operator" },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  });
  const metrics = operatorMetrics();
  const cluster = connect(config);
  const publisher = new Publisher(cluster, settings.namespace, settings.publishPrefix, () => election.leading());
  let loop: Loop | null = null;
  const source = clusterSource(
    cluster,
    settings,
    () => loop?.trigger(),
    (path, cause) => {
      metrics.watchFailed();
      log.warn({ path, status: statusCode(cause), err: inWords(cause) }, "list or watch failed; starting anew");
    },
  );
  const election = elect(cluster, {
    namespace: settings.namespace,
    name: `${settings.publishPrefix}-operator`,
    identity: `${hostname()}_${randomUUID()}`,
    times: settings.lease,
    // Never set back: a lease must not last longer because somebody mended the clock.
    nowMs: () => performance.timeOrigin + performance.now(),
    changed(leading) {
      metrics.leading(leading);
      log.info({ leading }, "leadership");
      if (leading) {
        fresh = true;
        context.seeds = null;
        // Another leader may have gone further: what it wrote counts.
        canaries.forget();
        budgets.forget();
        alarms.forget();
        loop?.trigger();
      }
    },
  });
  let fresh = true;
  const canaries = new CanaryBook();
  const budgets = new BudgetBook();
  const alarms = new AlarmBook();
  let alerting: { compiled: Compiled; values: ReadonlyMap<string, string> } | null = null;
  /** What was told or given up, and no pass has put into a status yet. */
  let unsaved = false;
  let stopping = false;
  const dispatchAlerts = (): void => {
    if (alerting !== null && !stopping && election.leading()) alerts.dispatch([...budgets.due(alerting.compiled), ...alarms.due(alerting.compiled)]);
  };
  const clock = new AlarmClock(dispatchAlerts);
  const smtp = smtpOf(settings.alerts.smtp, process.env);
  const alerts = new AlertDispatcher({
    send: (alert, channel, namespace, kept) =>
      send(alert, channel, {
        smtp,
        pagerDutyURL: settings.alerts.pagerDutyURL,
        secret: (digest) => alerting?.values.get(digest) ?? kept?.get(digest) ?? null,
        allowPrivate: mayBePrivate(namespace, settings),
        nowMs: Date.now,
      }),
    nowMs: Date.now,
    random: Math.random,
    changed() {
      unsaved = true;
      loop?.trigger();
    },
    wake: (afterMs) => clock.wake(afterMs),
    outcome(one, due) {
      const { alert } = due;
      metrics.alert(one.type, one.result);
      const line = { about: alert.about, event: alert.event, state: alert.state, key: alert.key, channel: one.channel, why: one.why };
      if (one.result === "sent") log.info(line, "alert sent");
      else log.warn(line, one.result === "retried" ? "alert not sent; trying again" : "alert given up");
      if (one.result === "given_up") void tellGivenUp(cluster, due, one.channel, `${alert.event} (${alert.state})`, one.why);
    },
  });
  let revision = "";
  const context: Reconciler = {
    cluster,
    settings,
    source,
    issuer: issuerReader(
      cluster,
      settings.identity,
      Date.now,
      (cause) => log.warn({ status: statusCode(cause), err: inWords(cause) }, "the API server does not tell its token keys; those that are known stay in use"),
      () => publisher.previous(),
    ),
    publisher,
    nudger: new Nudger(cluster, settings),
    memo: { compile: new CompileMemo(), encode: new EncodeMemo() },
    book: new StatusBook(),
    canaries,
    budgets,
    alarms,
    seeds: null,
    alert(compiled, values) {
      alerting = { compiled, values };
      if (stopping) return;
      dispatchAlerts();
      alerts.test([...budgets.testsDue(compiled, Date.now()), ...alarms.testsDue(compiled, Date.now())]);
    },
    nowMs: Date.now,
    leading: election.leading,
    observe(pass) {
      metrics.pass(pass);
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
        fresh = false;
      }
      unsaved = false;
      return reconcile(context);
    },
    settings.resyncMs,
    (cause) => {
      unsaved = true;
      metrics.failed();
      fresh = true;
      log.warn({ status: statusCode(cause), err: inWords(cause) }, "pass failed; trying again");
    },
  );
  loop.trigger();
  const status = statusServer(metrics, source.synced);
  const statusUrl = await status.listen({ host: "0.0.0.0", port: settings.statusPort });
  log.info({ status: statusUrl }, "operator running");
  return {
    statusUrl,
    leading: election.leading,
    async stop() {
      stopping = true;
      clock.stop();
      await loop?.stop();
      await alerts.idle();
      // Whoever leads next tells again what no status says was told.
      if (unsaved) await loop?.last();
      await election.stop();
      await source.stop();
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

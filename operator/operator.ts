/** Composes the control plane: what watches, compiles, publishes, reports and alerts, and the two loops that drive it. */

import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { Logger } from "pino";
import { EncodeMemo } from "../proxy/config/encode.ts";
import { type Cluster, connectCluster } from "./cluster/api.ts";
import type { Contests } from "./cluster/contests.ts";
import { issuerReader } from "./cluster/issuer.ts";
import type { PooledKubeConfig } from "./cluster/kube-config.ts";
import { elect } from "./cluster/lease.ts";
import { lossesBy, rightTexts } from "./cluster/needed-rights.ts";
import { Nudger } from "./cluster/proxies.ts";
import { Publisher } from "./cluster/publish.ts";
import type { RightsCheck } from "./cluster/rights-check.ts";
import { watchRights } from "./cluster/rights-watch.ts";
import { ClusterSource } from "./cluster/source.ts";
import { StatusBook } from "./cluster/status-book.ts";
import type { StatusWriter } from "./cluster/status-writer.ts";
import { openStatuses } from "./cluster/statuses.ts";
import { CompileMemo } from "./compile/memo.ts";
import { AlertLoop } from "./delivery/alert-loop.ts";
import { alertEgress } from "./delivery/egress.ts";
import { smtpOf } from "./delivery/smtp.ts";
import { FailureLog } from "./failure-log.ts";
import { Loop } from "./loop.ts";
import { ObjectAlertBook } from "./loops/alerts/book.ts";
import { BudgetBook } from "./loops/budgets/book.ts";
import { CanaryBook } from "./loops/canaries/book.ts";
import { DiscoveryBook } from "./loops/discovery/book.ts";
import { operatorMetrics } from "./metrics.ts";
import { observePass, publishPass, type Reconciler, restAfter, takeOver } from "./reconcile.ts";
import { RevocationPaths } from "./revocation-paths.ts";
import { RolloutClock } from "./rollout-clock.ts";
import type { OperatorSettings } from "./settings/settings.ts";

/** On shutdown, pending statuses are written within this time; the next leader writes the rest. */
const lastStatusesMs = 5_000;

export class Operator {
  readonly cluster: Cluster;
  readonly metrics = operatorMetrics();
  readonly failures: FailureLog;
  readonly log: Logger;
  readonly source: ClusterSource;
  readonly #settings: OperatorSettings;
  readonly #rollouts = new RolloutClock();
  readonly #publisher: Publisher;
  readonly #nudger: Nudger;
  readonly #revocations: RevocationPaths;
  readonly #canaries = new CanaryBook();
  readonly #discovery = new DiscoveryBook();
  readonly #budgets = new BudgetBook();
  readonly #objectAlerts = new ObjectAlertBook();
  readonly #alerts: AlertLoop;
  readonly #contests: Contests;
  readonly #statuses: StatusWriter;
  readonly #context: Reconciler;
  /** A container restarted in the same Pod continues with the Lease of its predecessor. */
  readonly #identity = `${hostname()}_${process.env["POD_UID"] || randomUUID()}`;
  /** Publishes. */
  readonly #publishing: Loop;
  /** Asks the proxies and writes statuses. */
  readonly #observing: Loop;
  readonly #election: ReturnType<typeof elect>;
  readonly #rights: RightsCheck;
  /** Caches must be filled before the next pass uses them. */
  #fresh = true;
  /** Alerts delivered or given up that no pass has put into a status yet. */
  #unsaved = false;
  /** Revision of the config whose publication was logged last. */
  #revision = "";

  constructor(settings: OperatorSettings, config: PooledKubeConfig) {
    this.#settings = settings;
    this.failures = new FailureLog(settings.logLevel, this.metrics);
    this.log = this.failures.log;
    this.cluster = connectCluster(config);
    const leading = (): boolean => this.leading();
    this.#publisher = new Publisher(this.cluster, settings.namespace, settings.publishPrefix, leading);
    this.#nudger = new Nudger(this.cluster, settings);
    this.source = this.#clusterSource();
    this.#revocations = new RevocationPaths({
      cluster: this.cluster,
      settings,
      failures: this.failures,
      source: this.source,
      sender: this.#identity,
      leading,
      fresh: () => this.#fresh,
      tokens: () => this.#context.published?.tokens ?? null,
      nudge: async (path) => {
        this.#observing.trigger();
        await this.#nudger.nudge(path.mark(this.#publisher.revision()));
      },
    });
    this.#alerts = this.#alertLoop();
    ({ contests: this.#contests, writer: this.#statuses } = openStatuses(this.cluster, settings, {
      log: this.log,
      leading,
      failed: this.failures.warnAndCount("a status could not be written; trying again"),
      again: () => this.#observing.trigger(),
    }));
    this.#context = this.#reconciler();
    const { resyncMs } = settings;
    this.#publishing = new Loop(
      (resync) => this.#publish(resync),
      resyncMs,
      this.failures.warnAndCount("pass failed; trying again", () => {
        this.#fresh = true;
      }),
    );
    this.#observing = new Loop(
      () => this.#observe(),
      resyncMs,
      this.failures.warnAndCount("the state of the proxies could not be read; trying again", () => {
        this.#unsaved = true;
      }),
    );
    this.#election = this.#elect();
    this.#rights = watchRights(this.cluster, config, settings, {
      missing: (rights) => this.metrics.missing(rights),
      log: this.log,
      changed: () => this.#observing.trigger(),
    });
    this.#publishing.trigger();
  }

  /** Why this process can't do its work; "" if it can. */
  unready(): string {
    const { missing } = this.#rights;
    if (missing.length > 0) return `the operator may not ${rightTexts(missing).join(", ")}`;
    if (!this.source.synced()) return "caches are not filled yet";
    // A rollout stops the leader once its successor is ready. By then the successor has read the Secrets, perhaps
    // thousands.
    return this.source.holdsSecrets() ? "" : "the Secrets that objects refer to are not all read yet";
  }

  /** Whether this process may write. */
  leading(): boolean {
    return this.#election.leading();
  }

  async stop(): Promise<void> {
    await this.#rights.stop();
    this.#alerts.stop();
    await this.#publishing.stop();
    await this.#observing.stop();
    await this.#revocations.stop();
    await this.#alerts.idle();
    // The next leader sends every alert again that no status records as sent.
    if (this.#unsaved) await this.#observing.last();
    await this.#statuses.stop(lastStatusesMs);
    await this.#election.stop();
    await this.source.stop();
  }

  #clusterSource(): ClusterSource {
    return new ClusterSource(this.cluster, this.#settings, {
      changed: () => {
        this.#rollouts.changed(Date.now());
        this.#publishing.trigger();
      },
      failed: (path, cause) => this.failures.watchFailed(path, cause),
      recovered: (path) => this.failures.watchRecovered(path),
    });
  }

  #elect(): ReturnType<typeof elect> {
    const { namespace, publishPrefix, lease } = this.#settings;
    return elect(this.cluster, {
      namespace,
      name: `${publishPrefix}-operator`,
      identity: this.#identity,
      times: lease,
      // Never moves back: a lease must not last longer because somebody corrected the clock.
      nowMs: () => performance.timeOrigin + performance.now(),
      changed: (leading, continued) => {
        this.metrics.leading(leading);
        this.log.info({ leading, continued }, "leadership");
        if (leading) this.#lead(continued);
      },
    });
  }

  #lead(continued: boolean): void {
    this.#fresh = true;
    if (!continued) takeOver(this.#context);
    this.#publishing.trigger();
  }

  #alertLoop(): AlertLoop {
    return new AlertLoop({
      settings: this.#settings,
      smtp: smtpOf(this.#settings.alerts.smtp, process.env),
      egress: alertEgress(process.env, this.log),
      books: [this.#budgets, this.#objectAlerts],
      cluster: this.cluster,
      metrics: this.metrics,
      log: this.log,
      leading: () => this.leading(),
      changed: () => {
        this.#unsaved = true;
        this.#observing.trigger();
      },
    });
  }

  #reconciler(): Reconciler {
    return {
      cluster: this.cluster,
      settings: this.#settings,
      source: this.source,
      issuer: issuerReader(
        this.cluster,
        this.#settings.identity,
        Date.now,
        this.failures.warn("the API server did not return its token keys; the keys read before stay in use"),
        () => this.#publisher.previous(),
      ),
      publisher: this.#publisher,
      nudger: this.#nudger,
      revocations: this.#revocations.published,
      memo: { compile: new CompileMemo(), encode: new EncodeMemo() },
      book: new StatusBook(),
      statuses: this.#statuses,
      published: null,
      ready: null,
      takenOver: null,
      changed: () => this.#publishing.trigger(),
      canaries: this.#canaries,
      discovery: this.#discovery,
      budgets: this.#budgets,
      objectAlerts: this.#objectAlerts,
      seeds: null,
      rollouts: this.#rollouts,
      alert: (compiled, values) => this.#alerts.deliver(compiled, values),
      nowMs: Date.now,
      leading: () => this.leading(),
      fleet: null,
      losses: () => lossesBy(this.#rights.missing, this.#settings.namespace),
      observe: (pass) => this.#note(pass),
    };
  }

  #note(pass: Parameters<Reconciler["observe"]>[0]): void {
    this.metrics.pass(pass);
    this.metrics.contested(this.#contests.namespaces.length);
    this.metrics.objectAlerts(this.#objectAlerts.counts());
    const { revision, total } = pass.programmed;
    if (revision === this.#revision) return;
    this.#revision = revision;
    this.log.info({ revision, written: pass.written, proxies: total }, "published");
  }

  /** One pass of the publishing loop. Returns whether nothing is left to wait for. */
  async #publish(resync: boolean): Promise<boolean> {
    if (!this.source.synced()) return false;
    if (!this.leading()) {
      await this.source.warm();
      return false;
    }
    if (resync || this.#fresh) {
      this.source.resync();
      await this.#publisher.read(this.#fresh);
      await this.#revocations.published.found(this.#publisher.previous()?.keys ?? []);
      this.#fresh = false;
    }
    try {
      await publishPass(this.#context);
      if (this.#context.published !== null) this.#publishing.rest(restAfter(this.#context.published));
    } finally {
      this.#observing.trigger();
    }
    return true;
  }

  #observe(): Promise<boolean> {
    if (this.#context.published === null || !this.leading()) return Promise.resolve(true);
    this.#unsaved = false;
    return observePass(this.#context);
  }
}

/** Leader election by a Lease, as in client-go: the holder renews it; when it expires, another process takes it. */
import { type V1Lease, V1MicroTime } from "@kubernetes/client-node";
import { type Cluster, orNull, statusCode } from "./api.ts";

export interface LeaseTimes {
  /** How long others wait after the last renewal. */
  durationMs: number;
  /** A leader that could not renew for this long gives up. */
  renewDeadlineMs: number;
  retryMs: number;
}

/** A Lease as observed, on the observer's own clock, so that the clocks of two machines need not agree. */
export interface ObservedLease {
  holder: string;
  /** Changes with each renewal. */
  version: string;
  sinceMs: number;
}

/** Pure: whether `me` may take or renew the lease now. */
export function mayHoldLease(me: string, seen: ObservedLease | null, nowMs: number, times: LeaseTimes): boolean {
  return seen === null || seen.holder === me || seen.holder === "" || nowMs - seen.sinceMs >= times.durationMs;
}

export interface Election {
  leading(): boolean;
  /** Releases the lease, so that the next leader need not wait. */
  stop(): Promise<void>;
}

export interface ElectionOptions {
  namespace: string;
  name: string;
  identity: string;
  times: LeaseTimes;
  nowMs(): number;
  /** `continued`: nobody else has led since this process led last. */
  changed(leading: boolean, continued: boolean): void;
}

class LeaseElection implements Election {
  readonly #cluster: Cluster;
  readonly #options: ElectionOptions;
  #leading = false;
  #renewedMs = 0;
  #seen: ObservedLease | null = null;
  /** The Lease as this process last wrote it, so that renewing it needs no reading; null to read it. */
  #written: V1Lease | null = null;
  #timer: NodeJS.Timeout | null = null;
  #overdue: NodeJS.Timeout | null = null;
  #stopped = false;

  constructor(cluster: Cluster, options: ElectionOptions) {
    this.#cluster = cluster;
    this.#options = options;
    void this.#loop();
  }

  leading(): boolean {
    const { nowMs, times } = this.#options;
    return this.#leading && nowMs() - this.#renewedMs < times.renewDeadlineMs;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#timer) clearTimeout(this.#timer);
    if (this.#overdue) clearTimeout(this.#overdue);
    if (!this.#leading) return;
    this.#become(false);
    try {
      const lease = await this.#read();
      if (lease?.spec?.holderIdentity === this.#options.identity) await this.#write(lease, "");
    } catch {
      // The lease expires without being released.
    }
  }

  #become(leading: boolean, continued = false): void {
    if (this.#leading === leading) return;
    this.#leading = leading;
    this.#options.changed(leading, continued);
  }

  #read(): Promise<V1Lease | null> {
    const { namespace, name } = this.#options;
    return orNull(this.#cluster.coordination.readNamespacedLease({ namespace, name }));
  }

  #observe(lease: V1Lease | null): void {
    const holder = lease?.spec?.holderIdentity ?? "";
    const version = lease?.metadata?.resourceVersion ?? "";
    if (lease === null) this.#seen = null;
    else if (this.#seen?.version !== version) this.#seen = { holder, version, sinceMs: this.#options.nowMs() };
  }

  async #write(lease: V1Lease | null, holder: string): Promise<V1Lease> {
    const { namespace, name, times, nowMs } = this.#options;
    const fresh = lease?.spec?.holderIdentity !== holder;
    const time = new V1MicroTime(nowMs());
    const spec = {
      ...lease?.spec,
      holderIdentity: holder,
      leaseDurationSeconds: Math.max(1, Math.ceil(times.durationMs / 1000)),
      renewTime: time,
      ...(fresh ? { acquireTime: time, leaseTransitions: (lease?.spec?.leaseTransitions ?? -1) + 1 } : {}),
    };
    const { coordination } = this.#cluster;
    if (lease === null)
      return coordination.createNamespacedLease({ namespace, body: { metadata: { name, namespace }, spec } });
    return coordination.replaceNamespacedLease({
      namespace,
      name,
      body: { metadata: lease.metadata ?? { name }, spec },
    });
  }

  async #turn(): Promise<void> {
    const { identity, times, nowMs } = this.#options;
    const lease = this.#written ?? (await this.#read());
    // Kept only if the write below succeeds: after a failure the Lease is read again.
    this.#written = null;
    this.#observe(lease);
    if (this.#stopped) return;
    if (!mayHoldLease(identity, this.#seen, nowMs(), times)) {
      this.#become(false);
      return;
    }
    // The time before the write: others may count from the moment it is stored, however late the response arrives.
    const beganMs = nowMs();
    const written = await this.#write(lease, identity);
    this.#observe(written);
    this.#written = written;
    this.#renewedMs = beganMs;
    if (this.#overdue) clearTimeout(this.#overdue);
    // Fires in time even while a call hangs.
    this.#overdue = setTimeout(
      () => this.#become(false),
      Math.max(0, this.#renewedMs + times.renewDeadlineMs - nowMs()),
    );
    this.#overdue.unref();
    this.#become(true, lease?.spec?.holderIdentity === identity);
  }

  async #loop(): Promise<void> {
    const wasRead = this.#written === null;
    try {
      await this.#turn();
    } catch (cause) {
      // Changed since it was last written, perhaps by hand: read the Lease to see who holds it.
      if (statusCode(cause) === 409 && !wasRead && !this.#stopped) return this.#loop();
      // Another process was faster, or the API server is unavailable: a leader stays leader until its deadline.
      if (statusCode(cause) === 409) this.#become(false);
    }
    if (!this.#stopped) this.#timer = setTimeout(() => void this.#loop(), this.#options.times.retryMs);
  }
}

export const elect = (cluster: Cluster, options: ElectionOptions): Election => new LeaseElection(cluster, options);

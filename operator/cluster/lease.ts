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

export function elect(
  cluster: Cluster,
  options: {
    namespace: string;
    name: string;
    identity: string;
    times: LeaseTimes;
    nowMs(): number;
    changed(leading: boolean): void;
  },
): Election {
  const { namespace, name, identity, times, nowMs } = options;
  let leading = false;
  let renewedMs = 0;
  let seen: ObservedLease | null = null;
  let timer: NodeJS.Timeout | null = null;
  let overdue: NodeJS.Timeout | null = null;
  let stopped = false;

  const become = (now: boolean): void => {
    if (leading === now) return;
    leading = now;
    options.changed(now);
  };
  const observe = (lease: V1Lease | null): void => {
    const holder = lease?.spec?.holderIdentity ?? "";
    const version = lease?.metadata?.resourceVersion ?? "";
    if (lease === null) seen = null;
    else if (seen?.version !== version) seen = { holder, version, sinceMs: nowMs() };
  };
  const write = async (lease: V1Lease | null, holder: string): Promise<void> => {
    const fresh = lease?.spec?.holderIdentity !== holder;
    const time = new V1MicroTime(nowMs());
    const spec = {
      ...lease?.spec,
      holderIdentity: holder,
      leaseDurationSeconds: Math.max(1, Math.ceil(times.durationMs / 1000)),
      renewTime: time,
      ...(fresh ? { acquireTime: time, leaseTransitions: (lease?.spec?.leaseTransitions ?? -1) + 1 } : {}),
    };
    if (lease === null)
      await cluster.coordination.createNamespacedLease({ namespace, body: { metadata: { name, namespace }, spec } });
    else
      await cluster.coordination.replaceNamespacedLease({
        namespace,
        name,
        body: { metadata: lease.metadata ?? { name }, spec },
      });
  };
  const turn = async (): Promise<void> => {
    const lease = await orNull(cluster.coordination.readNamespacedLease({ namespace, name }));
    observe(lease);
    if (stopped) return;
    if (!mayHoldLease(identity, seen, nowMs(), times)) {
      become(false);
      return;
    }
    // The time before the write: others may count from the moment it is stored, however late the response arrives.
    const beganMs = nowMs();
    await write(lease, identity);
    renewedMs = beganMs;
    if (overdue) clearTimeout(overdue);
    // Fires in time even while a call hangs.
    overdue = setTimeout(() => become(false), Math.max(0, renewedMs + times.renewDeadlineMs - nowMs()));
    overdue.unref();
    become(true);
  };
  const loop = async (): Promise<void> => {
    try {
      await turn();
    } catch (cause) {
      // Another process was quicker, or the API server is away: a leader stays one until its deadline.
      if (statusCode(cause) === 409) become(false);
    }
    if (!stopped) timer = setTimeout(() => void loop(), times.retryMs);
  };
  void loop();
  return {
    leading: () => leading && nowMs() - renewedMs < times.renewDeadlineMs,
    async stop() {
      stopped = true;
      if (timer) clearTimeout(timer);
      if (overdue) clearTimeout(overdue);
      if (!leading) return;
      become(false);
      try {
        const lease = await orNull(cluster.coordination.readNamespacedLease({ namespace, name }));
        if (lease?.spec?.holderIdentity === identity) await write(lease, "");
      } catch {
        // The lease expires without being released.
      }
    },
  };
}

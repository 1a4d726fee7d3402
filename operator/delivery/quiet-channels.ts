/** Decides what may be sent now: channels can be silenced for a while, or collect alerts into one message. Pure. */
import { type Channel, hasIncidents } from "../compile/alerts.ts";
import { digestOf } from "./message.ts";
import type { PendingAlert } from "./pending-alert.ts";

interface ReadyAlert {
  /** Identifies the delivery. */
  name: string;
  pending: PendingAlert;
  channel: Channel;
}

/**
 * Until when an alert is held back from a channel; null if it may be sent. Silence doesn't hold back the end of an
 * incident.
 */
function silentUntil({ alert }: PendingAlert, { id, silencedUntilMs }: Channel, nowMs: number): number | null {
  if (silencedUntilMs === undefined || silencedUntilMs <= nowMs) return null;
  return alert.state === "Over" && hasIncidents(id) ? null : silencedUntilMs;
}

/** One delivery for all alerts of an object to a channel. */
function together(all: readonly PendingAlert[], channel: Channel): PendingAlert {
  const [first] = all as [PendingAlert];
  return {
    ...first,
    alert: digestOf(all.map(({ alert }) => alert)),
    channels: [channel],
    settled: (name, how) => {
      for (const alert of all) alert.settled(name, how);
    },
  };
}

interface Digest {
  channel: Channel;
  digestMs: number;
  all: PendingAlert[];
}

function collect(digests: Map<string, Digest>, alert: PendingAlert, channel: Channel, digestMs: number): void {
  const name = `digest|${alert.alert.about}|${channel.id}`;
  const digest = digests.get(name) ?? { channel, digestMs, all: [] };
  digest.all.push(alert);
  digests.set(name, digest);
}

/** `wakeMs`: when more may be sent; null if nothing waits. */
export function readyAlerts(
  due: readonly PendingAlert[],
  nowMs: number,
): { ready: ReadyAlert[]; wakeMs: number | null } {
  const ready: ReadyAlert[] = [];
  const waits: number[] = [];
  const digests = new Map<string, Digest>();
  for (const alert of due)
    for (const channel of alert.channels) {
      const untilMs = silentUntil(alert, channel, nowMs);
      if (untilMs !== null) waits.push(untilMs);
      else if (channel.digestMs !== undefined) collect(digests, alert, channel, channel.digestMs);
      else ready.push({ name: `${alert.alert.key}|${channel.id}`, pending: alert, channel });
    }
  for (const [name, { channel, digestMs, all }] of digests) {
    const readyMs = Math.min(...all.map(({ alert }) => alert.atMs)) + digestMs;
    if (readyMs > nowMs) waits.push(readyMs);
    else ready.push({ name, pending: together(all, channel), channel });
  }
  return { ready, wakeMs: waits.length === 0 ? null : Math.min(...waits) };
}

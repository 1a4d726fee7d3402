/**
 * Resolutions for channels that no object names any more, whose incidents must still be closed. Kept in memory only,
 * because the status that would hold them is gone.
 */
import type { Channel } from "../compile/alerts.ts";
import type { ReachableChannel } from "./channel-snapshot.ts";
import type { Alert } from "./message.ts";
import { type PendingAlert, targetOf } from "./pending-alert.ts";

export interface PendingResolution extends Pick<PendingAlert, "kind" | "meta">, ReachableChannel {
  alert: Alert;
}

const nameOf = (incident: string, channel: Channel): string => `${incident}|${targetOf(channel)}`;

export class PendingResolutions {
  readonly #all = new Map<string, PendingResolution>();
  /** Forgets which channels objects name: they are unknown at the moment. */
  #onHold = false;

  add(resolutions: readonly PendingResolution[]): void {
    for (const resolution of resolutions)
      this.#all.set(nameOf(resolution.alert.incident, resolution.channel), resolution);
  }

  /** Drops resolutions that were sent, or whose incident an object reports again. */
  drop(incident: string, channels: readonly Channel[]): void {
    for (const channel of channels) this.#all.delete(nameOf(incident, channel));
  }

  /** Holds everything back until `release`. */
  hold(): void {
    this.#onHold = true;
  }

  release(): void {
    this.#onHold = false;
  }

  due(): PendingAlert[] {
    if (this.#onHold) return [];
    return [...this.#all.values()].map((pending) => ({
      kind: pending.kind,
      meta: pending.meta,
      alert: pending.alert,
      channels: [pending.channel],
      kept: pending.kept,
      settled: () => {
        // By the time it is settled, the same incident may have another resolution.
        const name = nameOf(pending.alert.incident, pending.channel);
        if (this.#all.get(name) === pending) this.#all.delete(name);
      },
    }));
  }
}

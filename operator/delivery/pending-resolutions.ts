/**
 * What is to be told to channels that no object names any more: that what they were told of is over. Kept in memory alone,
 * for what they would be kept in is gone.
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
  /** Nobody knows just now who hears of what by an object. */
  #onHold = false;

  add(farewells: readonly PendingResolution[]): void {
    for (const one of farewells) this.#all.set(nameOf(one.alert.incident, one.channel), one);
  }

  /** They were told, or hear of the same incident again by an object. */
  drop(incident: string, channels: readonly Channel[]): void {
    for (const channel of channels) this.#all.delete(nameOf(incident, channel));
  }

  /** None is due until `release`. */
  hold(): void {
    this.#onHold = true;
  }

  release(): void {
    this.#onHold = false;
  }

  due(): PendingAlert[] {
    if (this.#onHold) return [];
    return [...this.#all.values()].map((one) => ({
      kind: one.kind,
      meta: one.meta,
      alert: one.alert,
      channels: [one.channel],
      kept: one.kept,
      settled: () => {
        // By the time it is settled there may be another of the same incident.
        const name = nameOf(one.alert.incident, one.channel);
        if (this.#all.get(name) === one) this.#all.delete(name);
      },
    }));
  }
}

/** Distinguishes deliveries that began before a book cleared its memory: their results are ignored. */
import type { Channel } from "../compile/alerts.ts";
import type { Delivery, PendingAlert } from "./pending-alert.ts";

export class DeliveryEpoch {
  #number = 0;

  /** The memory was cleared. */
  next(): void {
    this.#number++;
  }

  /** Calls `settled` when one of the channels is done with an alert, unless the memory has been cleared since. */
  listener(channels: readonly Channel[], settled: (channel: Channel, how: Delivery) => void): PendingAlert["settled"] {
    const number = this.#number;
    return (id, how) => {
      const channel = channels.find((each) => each.id === id);
      if (channel !== undefined && number === this.#number) settled(channel, how);
    };
  }
}

/** An alert that is still to be sent, whichever book holds it. */
import type { Kind } from "../../crds/kinds.ts";
import type { AlertTest } from "../../crds/types/alerts.ts";
import type { Channel } from "../compile/alerts.ts";
import type { ObjectMeta } from "../compile/world.ts";
import type { Alert } from "./message.ts";

export type Delivery = "sent" | "given_up";

/** An alert that some channels have not received yet. */
export interface PendingAlert {
  kind: Kind;
  meta: ObjectMeta;
  alert: Alert;
  /** Channels that have not received it yet. */
  channels: readonly Channel[];
  /** Digest → clear value, for values that they need but no object refers to any more. */
  kept?: ReadonlyMap<string, string>;
  /** Records that a channel is done with the alert. */
  settled(channel: string, how: Delivery): void;
}

/** Requests a test alert on each channel; any new value works, preferably a timestamp. */
export const testAnnotation = "sluice.dev/test-alerts";

export interface PendingTest {
  /** Identifies the object. */
  about: string;
  namespace: string;
  alert: Alert;
  channels: readonly Channel[];
  tested(results: AlertTest["results"]): void;
}

/** The test that an object's annotation requests; null if there is none or it is done. */
export function requestedTest(meta: ObjectMeta | undefined, last: AlertTest | undefined): string | null {
  const requested = meta?.annotations?.[testAnnotation]?.slice(0, 64);
  return requested === undefined || requested === last?.requestedAt ? null : requested;
}

/** Equal for channels with the same receivers. */
export const targetOf = ({ type, secret, to }: Channel): string => `${type} ${secret} ${to.join(" ")}`;

export const wants = (channel: Channel, event: string): boolean =>
  channel.events === null || channel.events.includes(event);

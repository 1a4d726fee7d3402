/** What is to be said to whom, whichever book it stands in. */
import type { Kind } from "../../crds/kinds.ts";
import type { AlertTest } from "../../crds/types/alerts.ts";
import type { Channel } from "../compile/alerts.ts";
import type { ObjectMeta } from "../compile/world.ts";
import type { Alert } from "./message.ts";

export type Delivery = "sent" | "given_up";

/** Something of which somebody is still to be told. */
export interface PendingAlert {
  kind: Kind;
  meta: ObjectMeta;
  alert: Alert;
  /** Those who are still to be told. */
  channels: readonly Channel[];
  /** Digest → clear value of what they need and no object refers to any more. */
  kept?: ReadonlyMap<string, string>;
  /** A channel need not be told of it any more. */
  settled(channel: string, how: Delivery): void;
}

/** Asks for a test alert by each channel; any new value, best a moment. */
export const testAnnotation = "sluice.dev/test-alerts";

export interface PendingTest {
  /** Tells the object from others. */
  about: string;
  namespace: string;
  alert: Alert;
  channels: readonly Channel[];
  tested(results: AlertTest["results"]): void;
}

/** What an object's annotation asks for; null where nothing is, or where it is done. */
export function requestedTest(meta: ObjectMeta | undefined, last: AlertTest | undefined): string | null {
  const asked = meta?.annotations?.[testAnnotation]?.slice(0, 64);
  return asked === undefined || asked === last?.requestedAt ? null : asked;
}

/** Same for channels that lead to the same people. */
export const targetOf = ({ type, secret, to }: Channel): string => `${type} ${secret} ${to.join(" ")}`;

export const wants = (channel: Channel, event: string): boolean =>
  channel.events === null || channel.events.includes(event);

/**
 * Sends alerts, channel by channel, until each has received them: with growing delays, and not forever. Deliveries are
 * recorded in the object's status, so that neither a restart nor a change of leader sends an alert twice. A process
 * that dies between sending and writing does repeat it, once.
 */
import type { Channel, ChannelType } from "../compile/alerts.ts";
import type { Alert } from "./message.ts";
import { type PendingAlert, type PendingTest, targetOf } from "./pending-alert.ts";
import { readyAlerts } from "./quiet-channels.ts";
import { adviceOf, type Sent } from "./send.ts";

const firstRetryMs = 5_000;
const maxRetryMs = 300_000;
const giveUpAfterMs = 86_400_000;
/** A delivery to one receiver. */
const maxAtOnce = 4;

export interface AlertOutcome {
  type: ChannelType;
  result: "sent" | "retried" | "given_up";
  channel: string;
  /** For the operator's log. */
  why: string;
  /** For the owner of the object. */
  advice: string;
  /** Addresses that the mail server refused; absent if there are none. */
  refused?: readonly string[];
}

export interface DispatcherWith {
  /** `kept`: as in PendingAlert. */
  send(alert: Alert, channel: Channel, namespace: string, kept?: ReadonlyMap<string, string>): Promise<Sent>;
  nowMs(): number;
  /** Random number from 0 to 1. */
  random(): number;
  /** An alert was sent or given up, so the status must be written. */
  changed(): void;
  /** Check again after this many milliseconds. */
  wake(afterMs: number): void;
  outcome(alertOutcome: AlertOutcome, due: PendingAlert): void;
  /** Result of a test alert, for the operator's log. `about`: the object. */
  tested?(result: { channel: string; sent: boolean; why: string }, about: string): void;
}

interface Waiting {
  failures: number;
  nextMs: number;
}

export class AlertDispatcher {
  readonly #with: DispatcherWith;
  readonly #waiting = new Map<string, Waiting>();
  readonly #underWay = new Map<string, Promise<void>>();
  /** Incidents with the receivers of deliveries in progress. */
  readonly #lanes = new Set<string>();
  /** Number of deliveries in progress for each receiver. */
  readonly #targets = new Map<string, number>();
  /** Whether something waits for a lane or a target. */
  #heldBack = false;

  constructor(parts: DispatcherWith) {
    this.#with = parts;
  }

  /** Starts every delivery that is due; `due` is the complete list. Returns at once. */
  dispatch(due: readonly PendingAlert[]): void {
    const known = new Set<string>();
    const nowMs = this.#with.nowMs();
    const { ready, wakeMs } = readyAlerts(due, nowMs);
    for (const { name, pending, channel } of ready) {
      known.add(name);
      this.#begin(name, pending, channel);
    }
    if (wakeMs !== null) this.#with.wake(wakeMs - nowMs);
    for (const name of this.#waiting.keys()) if (!known.has(name)) this.#waiting.delete(name);
  }

  #begin(name: string, pending: PendingAlert, channel: Channel): void {
    if (this.#underWay.has(name)) return;
    const nowMs = this.#with.nowMs();
    const waiting = this.#waiting.get(name) ?? { failures: 0, nextMs: 0 };
    this.#waiting.set(name, waiting);
    if (nowMs < waiting.nextMs) {
      this.#with.wake(waiting.nextMs - nowMs);
      return;
    }
    const [lane, target] = [`${pending.alert.incident}|${targetOf(channel)}`, targetOf(channel)];
    if (!this.#enter(lane, target)) return;
    const run = this.#send(pending.alert, channel, pending.meta.namespace, pending.kept)
      .then((sent) => this.#settle(name, pending, channel, waiting, sent))
      .finally(() => {
        this.#underWay.delete(name);
        this.#exit(lane, target);
      });
    this.#underWay.set(name, run);
  }

  /**
   * Whether a delivery may not start now. The start of an incident must not overtake the end of the previous one, which
   * would end it; and a slow receiver must not be sent everything at once.
   */
  #enter(lane: string, target: string): boolean {
    const there = this.#targets.get(target) ?? 0;
    if (this.#lanes.has(lane) || there >= maxAtOnce) {
      this.#heldBack = true;
      return false;
    }
    this.#lanes.add(lane);
    this.#targets.set(target, there + 1);
    return true;
  }

  #exit(lane: string, target: string): void {
    this.#lanes.delete(lane);
    const left = (this.#targets.get(target) ?? 1) - 1;
    if (left === 0) this.#targets.delete(target);
    else this.#targets.set(target, left);
    if (!this.#heldBack) return;
    this.#heldBack = false;
    this.#with.wake(0);
  }

  /** Contains a channel's failures. Of an unexpected error only the name is logged: its message may hold a secret. */
  #send(alert: Alert, channel: Channel, namespace: string, kept?: ReadonlyMap<string, string>): Promise<Sent> {
    return this.#with.send(alert, channel, namespace, kept).catch((cause: unknown): Sent => {
      const name = cause instanceof Error ? cause.name : typeof cause;
      return { outcome: "retry", why: `it could not be sent (${name})`, afterMs: null };
    });
  }

  #settle(name: string, pending: PendingAlert, channel: Channel, waiting: Waiting, sent: Sent): void {
    const nowMs = this.#with.nowMs();
    const [why, advice] = [sent.outcome === "done" ? "" : sent.why, adviceOf(sent)];
    const refused = sent.outcome === "done" && sent.refused !== undefined ? { refused: sent.refused } : {};
    const report = (result: AlertOutcome["result"]): void =>
      this.#with.outcome({ type: channel.type, result, channel: channel.id, why, advice, ...refused }, pending);
    const late = sent.outcome === "retry" && nowMs - pending.alert.atMs >= giveUpAfterMs;
    if (sent.outcome === "retry" && !late) {
      const pause = Math.min(maxRetryMs, firstRetryMs * 2 ** waiting.failures++);
      waiting.nextMs = nowMs + Math.max(sent.afterMs ?? 0, pause * (0.5 + this.#with.random() / 2));
      report("retried");
      this.#with.wake(waiting.nextMs - nowMs);
      return;
    }
    this.#waiting.delete(name);
    const result = sent.outcome === "done" ? "sent" : "given_up";
    pending.settled(channel.id, result);
    report(result);
    this.#with.changed();
  }

  /** Tries each channel once. */
  test(due: readonly PendingTest[]): void {
    for (const pending of due) {
      const name = `test|${pending.about}`;
      if (this.#underWay.has(name)) continue;
      const run = this.#tryAll(pending).finally(() => this.#underWay.delete(name));
      this.#underWay.set(name, run);
    }
  }

  async #tryAll({ about, alert, channels, namespace, tested }: PendingTest): Promise<void> {
    const results = await Promise.all(
      channels.map(async (channel) => {
        const sent = await this.#send(alert, channel, namespace);
        const why = sent.outcome === "done" ? "" : sent.why;
        this.#with.tested?.({ channel: channel.id, sent: sent.outcome === "done", why }, about);
        return {
          channel: channel.id,
          result: sent.outcome === "done" ? "sent" : adviceOf(sent),
        };
      }),
    );
    tested(results);
    this.#with.changed();
  }

  /** Waits for deliveries in progress. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.#underWay.values());
  }
}

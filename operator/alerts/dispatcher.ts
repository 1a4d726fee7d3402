/**
 * Tells of crossings, channel by channel, until each has heard: with growing pauses, and not for ever. What was told is
 * kept in the Budget's status, so that neither a restart nor a change of leader tells it twice; a process that dies
 * between sending and writing does, once.
 */
import type { BudgetBook, TestDue, Untold } from "../budgets.ts";
import { wants } from "../budgets.ts";
import type { Channel, ChannelType } from "../compile/alerts.ts";
import { usdText } from "../compile/budget-standing.ts";
import type { BudgetWatch } from "../compile/budgets.ts";
import type { Alert } from "./message.ts";
import type { Sent } from "./send.ts";

const firstRetryMs = 5_000;
const longestRetryMs = 300_000;
const giveUpAfterMs = 86_400_000;

export interface AlertOutcome {
  type: ChannelType;
  result: "sent" | "retried" | "given_up";
  about: string;
  channel: string;
  why: string;
}

export interface DispatcherWith {
  book: BudgetBook;
  send(alert: Alert, channel: Channel, namespace: string): Promise<Sent>;
  nowMs(): number;
  /** 0 to 1. */
  random(): number;
  /** Something was told or given up: the status is to be written. */
  changed(): void;
  /** Look again after so long, in milliseconds. */
  wake(afterMs: number): void;
  outcome(one: AlertOutcome, untold: Untold): void;
}

interface Waiting {
  failures: number;
  nextMs: number;
}

export function alertOf({ watch, crossing, key, resetsAtMs }: Untold): Alert {
  const { config } = watch;
  return {
    key,
    event: crossing.event,
    severity: crossing.event === "Spike" ? "warning" : crossing.percent >= 100 ? "critical" : "warning",
    about: `Budget/${config.id}`,
    facts: {
      budget: config.id,
      subject: crossing.subject,
      percent: String(crossing.percent),
      spent: crossing.spent,
      amount: usdText(config.amountNanoUsd),
      resetsAt: resetsAtMs === null ? "" : new Date(resetsAtMs).toISOString(),
      event: crossing.event,
    },
    atMs: Date.parse(crossing.at),
  };
}

function testAlert({ config }: BudgetWatch, requestedAt: string, atMs: number): Alert {
  const amount = usdText(config.amountNanoUsd);
  const facts = { budget: config.id, subject: "", percent: "0", spent: "0.00", amount, resetsAt: "", event: "Test" };
  return { key: `${config.id}|test|${requestedAt}`, event: "Test", severity: "info", about: `Budget/${config.id}`, facts, atMs };
}

export class AlertDispatcher {
  readonly #with: DispatcherWith;
  readonly #waiting = new Map<string, Waiting>();
  readonly #underWay = new Map<string, Promise<void>>();

  constructor(parts: DispatcherWith) {
    this.#with = parts;
  }

  /** Begins what is due. Returns at once. */
  dispatch(untold: readonly Untold[]): void {
    const known = new Set<string>();
    for (const one of untold)
      for (const channel of one.watch.channels) {
        if (!wants(channel.on, one.crossing.event) || one.crossing.told.includes(channel.id)) continue;
        const name = `${one.key}|${channel.id}`;
        known.add(name);
        this.#begin(name, one, channel);
      }
    for (const name of this.#waiting.keys()) if (!known.has(name)) this.#waiting.delete(name);
  }

  #begin(name: string, one: Untold, channel: Channel): void {
    if (this.#underWay.has(name)) return;
    const nowMs = this.#with.nowMs();
    const waiting = this.#waiting.get(name) ?? { failures: 0, nextMs: 0 };
    this.#waiting.set(name, waiting);
    if (nowMs < waiting.nextMs) {
      this.#with.wake(waiting.nextMs - nowMs);
      return;
    }
    const run = this.#send(alertOf(one), channel, one.meta.namespace)
      .then((sent) => this.#settle(name, one, channel, waiting, sent))
      .finally(() => this.#underWay.delete(name));
    this.#underWay.set(name, run);
  }

  /** Whatever goes wrong in one channel is that channel's. */
  #send(alert: Alert, channel: Channel, namespace: string): Promise<Sent> {
    return this.#with.send(alert, channel, namespace).catch((): Sent => ({ outcome: "retry", why: "it could not be sent", afterMs: null }));
  }

  #settle(name: string, one: Untold, channel: Channel, waiting: Waiting, sent: Sent): void {
    const nowMs = this.#with.nowMs();
    const told = (result: AlertOutcome["result"], why: string): void =>
      this.#with.outcome({ type: channel.type, result, about: one.watch.config.id, channel: channel.id, why }, one);
    const late = sent.outcome === "retry" && nowMs - Date.parse(one.crossing.at) >= giveUpAfterMs;
    if (sent.outcome === "retry" && !late) {
      const pause = Math.min(longestRetryMs, firstRetryMs * 2 ** waiting.failures++);
      waiting.nextMs = nowMs + Math.max(sent.afterMs ?? 0, pause * (0.5 + this.#with.random() / 2));
      told("retried", sent.why);
      this.#with.wake(waiting.nextMs - nowMs);
      return;
    }
    this.#waiting.delete(name);
    this.#with.book.told(one, channel.id);
    told(sent.outcome === "done" ? "sent" : "given_up", sent.outcome === "done" ? "" : sent.why);
    this.#with.changed();
  }

  /** Tries each channel once. */
  test(due: readonly TestDue[]): void {
    for (const { watch, requestedAt } of due) {
      const name = `test|${watch.config.id}`;
      if (this.#underWay.has(name)) continue;
      const run = this.#tryAll(watch, requestedAt).finally(() => this.#underWay.delete(name));
      this.#underWay.set(name, run);
    }
  }

  async #tryAll(watch: BudgetWatch, requestedAt: string): Promise<void> {
    const alert = testAlert(watch, requestedAt, this.#with.nowMs());
    const namespace = watch.config.namespace;
    const results = await Promise.all(
      watch.channels.map(async (channel) => {
        const sent = await this.#send(alert, channel, namespace);
        return { channel: channel.id, result: sent.outcome === "done" ? "sent" : sent.why.slice(0, 256) };
      }),
    );
    this.#with.book.tested(watch.config.id, { requestedAt, results });
    this.#with.changed();
  }

  /** Waits for what is under way. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.#underWay.values());
  }
}

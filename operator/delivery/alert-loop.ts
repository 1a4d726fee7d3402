/** Sends alerts in a running operator: between passes, the leader sends what is pending in the books. */
import type { Logger } from "pino";
import type { Egress } from "../../proxy/config/egress/egress.ts";
import type { Cluster } from "../cluster/api.ts";
import { reportUndelivered } from "../cluster/report.ts";
import type { Compiled } from "../compile/compile.ts";
import { mayBePrivate } from "../compile/private-endpoints.ts";
import type { OperatorMetrics } from "../metrics.ts";
import type { OperatorSettings } from "../settings/settings.ts";
import { AlertDispatcher, type AlertOutcome } from "./dispatcher.ts";
import { type Alert, type AlertLinks, withLinks } from "./message.ts";
import type { PendingAlert, PendingTest } from "./pending-alert.ts";
import { type Smtp, send } from "./send.ts";
import { WakeTimer } from "./wake-timer.ts";

/** The book of pending alerts for one sort of object. */
export interface AlertBook {
  due(compiled: Compiled): PendingAlert[];
  testsDue(compiled: Compiled, nowMs: number): PendingTest[];
}

/** The alerts in a digest have their own links. */
const linked = (alert: Alert, links: AlertLinks): Alert =>
  alert.parts === undefined
    ? withLinks(alert, links)
    : { ...withLinks(alert, links), parts: alert.parts.map((part) => withLinks(part, links)) };

export interface AlertLoopParts {
  settings: OperatorSettings;
  /** null: there is no mail server. */
  smtp: Smtp | null;
  egress: Egress;
  books: readonly AlertBook[];
  cluster: Cluster;
  metrics: Pick<OperatorMetrics, "alert">;
  log: Logger;
  leading(): boolean;
  /** An alert was sent or given up, so the status must be written. */
  changed(): void;
}

export class AlertLoop {
  readonly #with: AlertLoopParts;
  readonly #clock = new WakeTimer(() => this.#dispatch());
  readonly #dispatcher: AlertDispatcher;
  /** Results of the last pass. */
  #compiled: Compiled | null = null;
  #values: ReadonlyMap<string, string> = new Map();
  #stopping = false;

  constructor(parts: AlertLoopParts) {
    this.#with = parts;
    const { settings, smtp, egress } = parts;
    this.#dispatcher = new AlertDispatcher({
      send: (alert, channel, namespace, kept) =>
        send(linked(alert, settings.alerts.links), channel, {
          smtp,
          egress,
          pagerDutyURL: settings.alerts.pagerDutyURL,
          secret: (digest) => this.#values.get(digest) ?? kept?.get(digest) ?? null,
          allowPrivate: mayBePrivate(namespace, settings),
          nowMs: Date.now,
        }),
      nowMs: Date.now,
      random: Math.random,
      changed: parts.changed,
      wake: (afterMs) => this.#clock.wake(afterMs),
      outcome: (outcome, due) => this.#note(outcome, due),
      tested: (result, about) => parts.log.info({ about, ...result }, "test alert"),
    });
  }

  /** Sends what is due after a pass. `values`: values of Secrets, by digest. */
  deliver(compiled: Compiled, values: ReadonlyMap<string, string>): void {
    this.#compiled = compiled;
    this.#values = values;
    if (this.#stopping) return;
    this.#dispatch();
    this.#dispatcher.test(this.#with.books.flatMap((book) => book.testsDue(compiled, Date.now())));
  }

  #dispatch(): void {
    const compiled = this.#compiled;
    if (compiled === null || this.#stopping || !this.#with.leading()) return;
    this.#dispatcher.dispatch(this.#with.books.flatMap((book) => book.due(compiled)));
  }

  #note({ type, result, channel, why, advice, refused = [] }: AlertOutcome, due: PendingAlert): void {
    const { cluster, metrics, log } = this.#with;
    const { about, event, state, key } = due.alert;
    metrics.alert(type, result);
    const line = { about, event, state, key, channel, why };
    if (result === "sent") log.info(line, "alert sent");
    else log.warn(line, result === "retried" ? "alert not sent; trying again" : "alert given up");
    for (const address of refused) {
      log.warn({ ...line, address }, "the mail server refused a recipient");
      void reportUndelivered(
        cluster,
        due,
        `${address} (${channel})`,
        `${event} (${state})`,
        "the mail server refused the address",
      );
    }
    if (result === "given_up") void reportUndelivered(cluster, due, channel, `${event} (${state})`, advice);
  }

  /** Starts no further deliveries. */
  stop(): void {
    this.#stopping = true;
    this.#clock.stop();
  }

  /** Waits for deliveries in progress. */
  idle(): Promise<void> {
    return this.#dispatcher.idle();
  }
}

/** The operator's log, and its way to report failures of calls to the API server. */
import { type Logger, pino } from "pino";
import { inWords, statusCode } from "./cluster/api.ts";
import type { OperatorMetrics } from "./metrics.ts";
import { Outages } from "./outages.ts";

type FailureCounts = Pick<OperatorMetrics, "failed" | "watchFailed">;
type Report = (cause: unknown) => void;

export class FailureLog {
  readonly log: Logger;
  readonly #metrics: FailureCounts;
  readonly #outages = new Outages();

  constructor(level: string, metrics: FailureCounts) {
    this.#metrics = metrics;
    this.log = pino({
      level,
      base: { name: "sluice-operator" },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    });
  }

  /** Logs a failure of a call to the API server. */
  warn(message: string): Report {
    return (cause) => this.log.warn({ status: statusCode(cause), err: inWords(cause) }, message);
  }

  /** Like `warn`, for failures that keep the operator from working. */
  warnAndCount(message: string, then: () => void = () => undefined): Report {
    const warn = this.warn(message);
    return (cause) => {
      this.#metrics.failed();
      then();
      warn(cause);
    };
  }

  /** Counts each failure, and logs the first of an outage and then few. */
  watchFailed(path: string, cause: unknown): void {
    this.#metrics.watchFailed();
    const status = statusCode(cause);
    const failed = this.#outages.failed(path, status, performance.now());
    if (failed === null) return;
    this.log.warn({ path, status, err: inWords(cause), ...failed }, "list or watch failed; starting again");
  }

  watchRecovered(path: string): void {
    const failed = this.#outages.ended(path, performance.now());
    if (failed !== null) this.log.info({ path, ...failed }, "list and watch work again");
  }
}

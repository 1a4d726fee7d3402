/**
 * Decides which failures of repeated calls are logged: the first of an outage, then a summary every few minutes, and
 * the end. Pure, except for what it remembers.
 */
const summaryMs = 5 * 60_000;
/** Longer than the longest pause between two attempts: a failure after it belongs to another outage. */
const apartMs = 2 * 60_000;
const maxOutages = 1_000;

interface Outage {
  status: number;
  attempts: number;
  sinceMs: number;
  lastMs: number;
  loggedMs: number;
}

export interface FailedAttempts {
  attempts: number;
  forSeconds: number;
}

const summaryOf = ({ attempts, sinceMs }: Outage, nowMs: number): FailedAttempts => ({
  attempts,
  forSeconds: Math.round((nowMs - sinceMs) / 1000),
});

export class Outages {
  readonly #outages = new Map<string, Outage>();

  /** Records a failed attempt. Returns the number of failures to log; null to log nothing. */
  failed(what: string, status: number, nowMs: number): FailedAttempts | null {
    const known = this.#outages.get(what);
    const goesOn = known !== undefined && known.status === status && nowMs - known.lastMs < apartMs;
    const outage = goesOn ? known : { status, attempts: 0, sinceMs: nowMs, lastMs: nowMs, loggedMs: nowMs };
    outage.attempts++;
    outage.lastMs = nowMs;
    this.#outages.delete(what);
    this.#outages.set(what, outage);
    const [oldest] = this.#outages.keys();
    if (this.#outages.size > maxOutages && oldest !== undefined) this.#outages.delete(oldest);
    if (goesOn && nowMs - outage.loggedMs < summaryMs) return null;
    outage.loggedMs = nowMs;
    return summaryOf(outage, nowMs);
  }

  /** Records a successful attempt. Returns the outage that it ends; null if there was none. */
  ended(what: string, nowMs: number): FailedAttempts | null {
    const outage = this.#outages.get(what);
    this.#outages.delete(what);
    return outage === undefined ? null : summaryOf(outage, nowMs);
  }
}

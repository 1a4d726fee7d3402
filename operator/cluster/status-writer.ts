/**
 * Writes statuses in the background, so that nothing that callers depend on waits for them: a revocation is published
 * while thousands of statuses are being written. Namespaces take turns, and only the newest status of each object is
 * written.
 */
import { hash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { StatusWrite } from "./status-book.ts";

const writesAtOnce = 8;
const defaultPerSecond = 100;
/** Unused capacity of the rate limit accumulates for up to this time. */
const burstMs = 1_000;
/** How long the watch may take to return what was written. */
const echoMs = 10_000;
/** With fewer in the queue, the next ones are asked for. */
const refillAt = 200;
const firstRetryMs = 500;
const maxRetryMs = 15_000;

const refOf = ({ verdict: { kind, meta } }: StatusWrite): string => `${kind}/${meta.namespace}/${meta.name}`;

/** Equal for statuses that differ only in the transition times of their conditions. */
export const statusDigest = (status: unknown): string =>
  hash(
    "sha1",
    JSON.stringify(status, (name, value: unknown) => (name === "lastTransitionTime" ? undefined : value)),
    "base64",
  );

export class StatusWriter {
  readonly #write: (due: StatusWrite) => Promise<void>;
  readonly #failed: (cause: unknown) => void;
  readonly #again: () => void;
  readonly #perSecond: number;
  /** Namespace → object → its newest status. */
  readonly #waiting = new Map<string, Map<string, StatusWrite>>();
  readonly #running = new Map<string, { done: Promise<void>; digest: string }>();
  /** Recent writes, oldest first. */
  readonly #written = new Map<string, { uid: string; digest: string; status: Record<string, unknown>; atMs: number }>();
  #nextMs = 0;
  /** Whether more are due than were offered. */
  #hasMore = false;
  #retryMs = firstRetryMs;
  #retry: NodeJS.Timeout | null = null;
  #stopped = false;

  /** `again`: called when statuses should be offered once more: after a failed write, or when the queue runs out. */
  constructor(
    write: (due: StatusWrite) => Promise<void>,
    failed: (cause: unknown) => void,
    again: () => void,
    perSecond = defaultPerSecond,
  ) {
    this.#perSecond = perSecond;
    this.#write = write;
    this.#failed = failed;
    this.#again = again;
  }

  /**
   * Takes all statuses that are due now; queued ones that are not among them are dropped. Queued statuses keep their
   * place, so that objects whose status changes all the time don't hold up the others.
   */
  offer(due: readonly StatusWrite[], hasMore = false): void {
    this.#hasMore = hasMore;
    const fresh = this.#news(due);
    this.#refresh(fresh);
    this.#enqueue(fresh);
  }

  /** Takes statuses in addition to those that were offered. */
  add(due: readonly StatusWrite[]): void {
    if (due.length > 0) this.#enqueue(this.#news(due));
  }

  /** Drops queued statuses that are not among the fresh ones, and takes the others out of `fresh`. */
  #refresh(fresh: Map<string, StatusWrite>): void {
    for (const [namespace, ofNamespace] of this.#waiting) {
      for (const ref of ofNamespace.keys()) {
        const newest = fresh.get(ref);
        if (newest === undefined) ofNamespace.delete(ref);
        else ofNamespace.set(ref, newest);
        fresh.delete(ref);
      }
      if (ofNamespace.size === 0) this.#waiting.delete(namespace);
    }
  }

  #enqueue(fresh: ReadonlyMap<string, StatusWrite>): void {
    for (const [ref, write] of fresh) {
      const { namespace } = write.verdict.meta;
      const ofNamespace = this.#waiting.get(namespace) ?? new Map<string, StatusWrite>();
      this.#waiting.set(namespace, ofNamespace.set(ref, write));
    }
    this.#pump();
  }

  /** Leaves out statuses that are being written or were just written: the watch may not have returned them yet. */
  #news(due: readonly StatusWrite[]): Map<string, StatusWrite> {
    const oldestMs = performance.now() - echoMs;
    for (const [ref, { atMs }] of this.#written) {
      if (atMs >= oldestMs) break;
      this.#written.delete(ref);
    }
    return new Map(
      due
        .map((write) => [refOf(write), write] as const)
        .filter(([ref, { verdict, status }]) => {
          const digest = statusDigest(status);
          const written = this.#written.get(ref);
          return (
            this.#running.get(ref)?.digest !== digest &&
            (written?.uid !== verdict.meta.uid || written.digest !== digest)
          );
        }),
    );
  }

  #refill(): void {
    if (!this.#hasMore || this.#stopped) return;
    let left = 0;
    for (const { size } of this.#waiting.values()) left += size;
    if (left >= refillAt) return;
    this.#hasMore = false;
    this.#again();
  }

  #pump(): void {
    this.#refill();
    while (this.#running.size < writesAtOnce) {
      const next = this.#take();
      if (next === null) return;
      const ref = refOf(next);
      const done = this.#run(next).finally(() => {
        this.#running.delete(ref);
        this.#pump();
      });
      this.#running.set(ref, { done, digest: statusDigest(next.status) });
    }
  }

  /** The next status of the namespace whose turn it is. One status of an object is written at a time. */
  #take(): StatusWrite | null {
    for (const [namespace, ofNamespace] of this.#waiting) {
      for (const [ref, next] of ofNamespace) {
        if (this.#running.has(ref)) continue;
        ofNamespace.delete(ref);
        // Move to the end of the queue.
        this.#waiting.delete(namespace);
        if (ofNamespace.size > 0) this.#waiting.set(namespace, ofNamespace);
        return next;
      }
    }
    return null;
  }

  async #run(due: StatusWrite): Promise<void> {
    const nowMs = performance.now();
    this.#nextMs = Math.max(this.#nextMs, nowMs - burstMs) + 1000 / this.#perSecond;
    if (this.#nextMs > nowMs && !this.#stopped) await sleep(this.#nextMs - nowMs);
    try {
      const ref = refOf(due);
      await this.#write(this.#afterOwnWrite(ref, due));
      this.#written.delete(ref);
      const { uid } = due.verdict.meta;
      this.#written.set(ref, { uid, digest: statusDigest(due.status), status: due.status, atMs: performance.now() });
      this.#retryMs = firstRetryMs;
    } catch (cause) {
      this.#failed(cause);
      this.#scheduleRetry();
    }
  }

  /**
   * The write, with the status before it as this process wrote it last. The watch may not have returned that one yet, and
   * Events are made of the difference: against an older status they would be recorded twice.
   */
  #afterOwnWrite(ref: string, due: StatusWrite): StatusWrite {
    const written = this.#written.get(ref);
    const own = written?.uid === due.verdict.meta.uid && written.atMs >= performance.now() - echoMs;
    return own ? { ...due, object: { ...due.object, status: written.status } } : due;
  }

  #scheduleRetry(): void {
    if (this.#retry !== null || this.#stopped) return;
    this.#retry = setTimeout(() => {
      this.#retry = null;
      this.#again();
    }, this.#retryMs);
    this.#retryMs = Math.min(maxRetryMs, this.#retryMs * 2);
  }

  /** Resolves when nothing is left to write. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all([...this.#running.values()].map(({ done }) => done));
  }

  /** Resolves when nothing is left to write, or after `withinMs`; the rest is then dropped. */
  async stop(withinMs: number): Promise<void> {
    this.#stopped = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
    const endMs = performance.now() + withinMs;
    while (this.#running.size > 0 && performance.now() < endMs) {
      const timer = new AbortController();
      await Promise.race([
        Promise.all([...this.#running.values()].map(({ done }) => done)),
        sleep(endMs - performance.now(), undefined, { signal: timer.signal }).catch(() => undefined),
      ]);
      timer.abort();
    }
    this.#waiting.clear();
  }
}

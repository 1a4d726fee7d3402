/**
 * Worker threads for texts whose reading would delay all other calls. They start with the first such text and end when
 * none came for a while. Not a library: none shares threads fairly between namespaces, and this is all that is needed.
 */
import { Worker } from "node:worker_threads";
import { type Failure, failure, remarked } from "../failure.ts";
import { FairQueue } from "./fair-queue.ts";
import type { JobResult, ResultOf, TextJob } from "./job.ts";
import { SharedTurns } from "./shared-turns.ts";

export interface PoolBounds {
  /** Most threads. 0: all texts are read on the event loop. */
  threads: number;
  /** How many jobs of one namespace may wait. */
  maxWaiting: number;
  /** Longest time for one job, in milliseconds. */
  maxJobMs: number;
  /** How long a thread without work is kept, in milliseconds. */
  idleMs: number;
}

export const usualBounds: Omit<PoolBounds, "threads"> = { maxWaiting: 64, maxJobMs: 30_000, idleMs: 60_000 };

const busy = failure(
  "rate_limit_exceeded",
  "Too many large requests of this namespace wait until their texts are read. Try again in a moment, or send shorter ones.",
  { retryAfterMs: 1_000 },
);
const endless = failure(
  "prompt_too_large",
  "Reading the texts of this request for its policy takes too long. Shorten them, or ask the owner of the policy for simpler patterns.",
);
const stopping = failure("draining", "The gateway is being restarted. Try again.");

interface Pending {
  namespace: string;
  job: TextJob;
  resolve(result: unknown): void;
  reject(cause: Error): void;
}

/** Bundled code is one folder of modules; source is TypeScript, which Node runs as it is. */
const entry = new URL(import.meta.url.endsWith(".ts") ? "./worker.ts" : "./text-worker.mjs", import.meta.url);

/** Memory of one thread, in MiB: several times the largest body. */
const maxThreadMb = 512;

class Thread {
  readonly #worker: Worker;
  #pending: Pending | null = null;
  #timer: NodeJS.Timeout | undefined;

  /** `free`: the thread has done its job. `gone`: it has ended. */
  constructor(events: { free(thread: Thread): void; gone(thread: Thread): void }) {
    // Neither flags nor environment: a worker reads nothing but its jobs.
    this.#worker = new Worker(entry, {
      execArgv: [],
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: maxThreadMb },
    });
    this.#worker.unref();
    this.#worker.on("message", ({ read, failed }: JobResult) => {
      const pending = this.#settled();
      events.free(this);
      pending?.resolve(failed ? remarked(read as Failure) : read);
    });
    this.#worker.on("error", (cause: Error & { code?: string }) => {
      const pending = this.#settled();
      events.gone(this);
      if (cause.code === "ERR_WORKER_OUT_OF_MEMORY") pending?.resolve(endless);
      else pending?.reject(cause);
    });
    this.#worker.on("exit", () => {
      const pending = this.#settled();
      events.gone(this);
      pending?.resolve(stopping);
    });
  }

  get namespace(): string | null {
    return this.#pending?.namespace ?? null;
  }

  run(pending: Pending, maxMs: number): void {
    clearTimeout(this.#timer);
    this.#pending = pending;
    this.#timer = setTimeout(() => {
      this.#settled()?.resolve(endless);
      this.end();
    }, maxMs);
    this.#worker.ref();
    this.#worker.postMessage(pending.job);
  }

  #settled(): Pending | null {
    const pending = this.#pending;
    this.#pending = null;
    clearTimeout(this.#timer);
    this.#worker.unref();
    return pending;
  }

  /** Ends it unless it gets a job before; `ending` is called first. */
  endAfter(ms: number, ending: () => void): void {
    this.#timer = setTimeout(() => {
      ending();
      this.end();
    }, ms).unref();
  }

  end(): void {
    clearTimeout(this.#timer);
    void this.#worker.terminate();
  }
}

export class TextPool {
  /** For texts that can't be moved to a thread. */
  readonly turns = new SharedTurns();
  readonly #bounds: PoolBounds;
  readonly #queue: FairQueue<Pending>;
  readonly #threads = new Set<Thread>();
  readonly #idle: Thread[] = [];
  #closed = false;

  constructor(bounds: PoolBounds) {
    this.#bounds = bounds;
    this.#queue = new FairQueue(bounds.maxWaiting);
  }

  get size(): { threads: number; running: number; waiting: number } {
    const threads = this.#threads.size;
    return { threads, running: threads - this.#idle.length, waiting: this.#queue.size };
  }

  get works(): boolean {
    return this.#bounds.threads > 0;
  }

  /** `paid`: the work belongs to an answer that is there already, and is not refused. */
  run<Job extends TextJob>(
    namespace: string,
    job: Job,
    { paid = false, signal }: { paid?: boolean; signal?: AbortSignal } = {},
  ): Promise<ResultOf<Job> | Failure> {
    if (this.#closed) return Promise.resolve(stopping);
    if (!paid && !this.#queue.hasRoom(namespace)) return Promise.resolve(busy);
    return new Promise((resolve, reject) => {
      const pending: Pending = { namespace, job, resolve: resolve as Pending["resolve"], reject };
      signal?.addEventListener("abort", () => {
        if (this.#queue.remove(namespace, pending)) resolve(stopping);
      });
      this.#queue.add(namespace, pending);
      this.#next();
    });
  }

  /** One thread stays free for other namespaces, if there are several. */
  readonly #mayRun = (namespace: string): boolean => {
    let running = 0;
    for (const thread of this.#threads) if (thread.namespace === namespace) running++;
    return running < Math.max(1, this.#bounds.threads - 1);
  };

  #next(): void {
    while (this.#queue.size > 0) {
      if (this.#idle.length === 0 && this.#threads.size >= this.#bounds.threads) return;
      const pending = this.#queue.take(this.#mayRun);
      if (pending === undefined) return;
      (this.#idle.pop() ?? this.#started()).run(pending, this.#bounds.maxJobMs);
    }
  }

  #started(): Thread {
    const thread = new Thread({
      free: (freed) => {
        this.#idle.push(freed);
        freed.endAfter(this.#bounds.idleMs, () => this.#idle.splice(this.#idle.indexOf(freed), 1));
        this.#next();
      },
      gone: (ended) => {
        if (!this.#threads.delete(ended)) return;
        const place = this.#idle.indexOf(ended);
        if (place >= 0) this.#idle.splice(place, 1);
        if (!this.#closed) this.#next();
      },
    });
    this.#threads.add(thread);
    return thread;
  }

  close(): void {
    this.#closed = true;
    for (const pending of this.#queue.clear()) pending.resolve(stopping);
    for (const thread of this.#threads) thread.end();
  }
}

/**
 * A clock that jumps from one timer to the next, in place of the process's own while it runs. Hours pass in seconds,
 * and the same seed gives the same run. What awaits real input or output has no place in it.
 */

interface Timer {
  atMs: number;
  /** Breaks ties in the order of setting. */
  order: number;
  ms: number;
  run: () => void;
  live: boolean;
}

export interface VirtualTime {
  nowMs(): number;
  /** 0 to 1, from the seed. */
  random(): number;
  /** Runs timers until none is left, or until then. */
  runUntil(ms: number): Promise<void>;
  /** Gives the process its timers back. */
  restore(): void;
}

/** mulberry32: small, and good enough to draw arrivals from. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** A binary heap by time, then by order. */
class Queue {
  readonly #items: Timer[] = [];

  static #before(a: Timer, b: Timer): boolean {
    return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
  }

  push(timer: Timer): void {
    const items = this.#items;
    let at = items.push(timer) - 1;
    while (at > 0) {
      const up = (at - 1) >> 1;
      const parent = items[up] as Timer;
      if (!Queue.#before(timer, parent)) break;
      items[at] = parent;
      at = up;
    }
    items[at] = timer;
  }

  peek(): Timer | undefined {
    return this.#items[0];
  }

  pop(): Timer | undefined {
    const items = this.#items;
    const first = items[0];
    const last = items.pop();
    if (first === undefined || last === undefined || items.length === 0) return first;
    let at = 0;
    for (;;) {
      let down = 2 * at + 1;
      const right = items[down + 1];
      if (right !== undefined && Queue.#before(right, items[down] as Timer)) down++;
      const child = items[down];
      if (child === undefined || !Queue.#before(child, last)) break;
      items[at] = child;
      at = down;
    }
    items[at] = last;
    return first;
  }
}

export function virtualTime(seed: number, startMs = Date.parse("2026-01-01T00:00:00Z")): VirtualTime {
  const real = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout };
  const settle = setImmediate;
  const queue = new Queue();
  let now = startMs;
  let order = 0;

  const set = (run: () => void, ms = 0): object => {
    let timer: Timer = { atMs: now + ms, order: order++, ms, run, live: true };
    queue.push(timer);
    const handle = {
      ref: () => handle,
      unref: () => handle,
      refresh() {
        timer.live = false;
        timer = { atMs: now + timer.ms, order: order++, ms: timer.ms, run, live: true };
        queue.push(timer);
        return handle;
      },
      cancel() {
        timer.live = false;
      },
    };
    return handle;
  };
  const clear = (handle: { cancel?: () => void } | null | undefined): void => handle?.cancel?.();
  Object.assign(globalThis, { setTimeout: set, clearTimeout: clear });

  return {
    nowMs: () => now,
    random: seeded(seed),
    async runUntil(ms) {
      for (let next = queue.peek(); next !== undefined && next.atMs <= ms; next = queue.peek()) {
        queue.pop();
        if (!next.live) continue;
        next.live = false;
        now = Math.max(now, next.atMs);
        next.run();
        // Promises that hang on what just happened.
        await new Promise<void>((resolve) => settle(resolve));
      }
      now = Math.max(now, ms);
    },
    restore: () => void Object.assign(globalThis, real),
  };
}

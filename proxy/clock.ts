/** Time as injected into the parts of a proxy, so that tests can control it. */
export interface Clock {
  /** Epoch milliseconds. */
  nowMs(): number;
  /** Calls once after `ms` milliseconds. Returns a function that cancels the call. */
  after(ms: number, then: () => void): () => void;
}

/**
 * Milliseconds that never go backward and start as the time since 1970. Durations are measured with this clock: if the
 * system clock is set back, deadlines taken from it would be late by that much.
 */
export const steadyNowMs = (): number => performance.timeOrigin + performance.now();

/** For durations: the process's own timers and a clock that never goes backward. */
export const steadyClock: Clock = {
  nowMs: steadyNowMs,
  after: (ms, then) => systemClock.after(ms, then),
};

/** The process's own clock and timers. The timers don't keep the process alive. */
export const systemClock: Clock = {
  nowMs: Date.now,
  after(ms, then) {
    const timer = setTimeout(then, ms).unref();
    return () => clearTimeout(timer);
  },
};

/** Time as the parts of a proxy take it, so that tests can move it. */
export interface Clock {
  /** Epoch milliseconds. */
  nowMs(): number;
  /** Calls once, after so many milliseconds; what is given back calls it off. */
  after(ms: number, then: () => void): () => void;
}

/**
 * Milliseconds that only go forward, and at the start of the process are those since 1970. Spans of time are measured by
 * it: the clock on the wall can be set back, and then nothing would end before its old time is reached again.
 */
export const steadyNowMs = (): number => performance.timeOrigin + performance.now();

/** For spans: the process's own timers, and a time that only goes forward. */
export const steadyClock: Clock = {
  nowMs: steadyNowMs,
  after: (ms, then) => systemClock.after(ms, then),
};

/** The process's own. Its timers don't keep the process alive. */
export const systemClock: Clock = {
  nowMs: Date.now,
  after(ms, then) {
    const timer = setTimeout(then, ms).unref();
    return () => clearTimeout(timer);
  },
};

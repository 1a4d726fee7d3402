/** Time as the parts of a proxy take it, so that tests can move it. */
export interface Clock {
  /** Epoch milliseconds. */
  nowMs(): number;
  /** Calls once, after so many milliseconds; what is given back calls it off. */
  after(ms: number, then: () => void): () => void;
}

/** The process's own. Its timers don't keep the process alive. */
export const systemClock: Clock = {
  nowMs: Date.now,
  after(ms, then) {
    const timer = setTimeout(then, ms).unref();
    return () => clearTimeout(timer);
  },
};

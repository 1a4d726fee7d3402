/** Figures of interleaved rounds. Pure. */
export interface Spread {
  min: number;
  median: number;
  max: number;
}

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const median =
    sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
  return { min: sorted[0] ?? 0, median, max: sorted.at(-1) ?? 0 };
}

/** `1.23ms`, `456.00us`, `1.2s` as wrk prints them → microseconds. */
export function microseconds(text: string): number {
  const [, number = "0", unit = "us"] = /([\d.]+)(us|ms|s)/.exec(text) ?? [];
  return Number(number) * (unit === "s" ? 1_000_000 : unit === "ms" ? 1000 : 1);
}

export interface WrkResult {
  requestsPerSecond: number;
  /** Microseconds. */
  p50: number;
  p99: number;
  requests: number;
  /** Answers other than 2xx and 3xx, and socket errors. */
  failures: number;
  socketErrors: number;
  /** Answers of another status than the one that is wanted, where the script counts them. */
  unexpected: number;
}

export function parseWrk(output: string): WrkResult {
  const number = (pattern: RegExp): number => Number(pattern.exec(output)?.[1] ?? 0);
  const sockets = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(output)?.slice(1) ?? [];
  const socketErrors = sockets.reduce((sum, count) => sum + Number(count), 0);
  return {
    requests: number(/(\d+) requests in/),
    socketErrors,
    unexpected: number(/Unexpected answers: (\d+)/),
    requestsPerSecond: number(/Requests\/sec:\s+([\d.]+)/),
    p50: microseconds(/50%\s+(\S+)/.exec(output)?.[1] ?? ""),
    p99: microseconds(/99%\s+(\S+)/.exec(output)?.[1] ?? ""),
    failures: number(/Non-2xx or 3xx responses: (\d+)/) + socketErrors,
  };
}

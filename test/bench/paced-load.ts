/**
 * Requests at a fixed rate: Fortio, on the core that isn't measured. Its connections take turns evenly, so that requests
 * don't come in bunches, and what falls behind is caught up with.
 */
import { run } from "../harness/command.ts";
import type { Door, Request } from "./load.ts";
import { cores, pinned } from "./machine.ts";

export interface PacedResult {
  p50Us: number;
  p99Us: number;
}

const connections = 32;

interface Report {
  RetCodes: Record<string, number>;
  /** Seconds. */
  DurationHistogram: { Count: number; Percentiles: { Percentile: number; Value: number }[] };
}

/** Latencies of the answers; throws where one was not 200. */
export async function pacedLatency(
  fortio: string,
  door: Door,
  { path, body, headers = door.headers }: Request,
  perSecond: number,
  seconds: number,
): Promise<PacedResult> {
  const given = Object.entries(headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
  const rate = [
    "-qps",
    String(perSecond),
    "-c",
    String(connections),
    "-t",
    `${seconds}s`,
    "-uniform",
    "-nocatchup=false",
  ];
  const report = ["-r", "0.00001", "-p", "50,99", "-json", "-", "-quiet"];
  const url = `http://127.0.0.1:${door.port}${path}`;
  const done = await run(...pinned(cores.load, fortio, ["load", ...rate, ...report, ...given, "-payload", body, url]));
  if (done.code !== 0) throw new Error(`fortio failed: ${done.stderr}`);
  const { RetCodes: statuses, DurationHistogram: histogram } = JSON.parse(done.stdout) as Report;
  if (statuses["200"] !== histogram.Count)
    throw new Error(`${door.name} ${path}: answers ${JSON.stringify(statuses)} at ${perSecond}/s`);
  const at = (percentile: number): number =>
    Math.round((histogram.Percentiles.find((one) => one.Percentile === percentile)?.Value ?? Number.NaN) * 1e6);
  return { p50Us: at(50), p99Us: at(99) };
}

/** Feeds streams to an observer, split at given positions, and checks the results. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import type { Usage } from "../../../proxy/dialects/canonical.ts";
import type { StreamObserver } from "../../../proxy/dialects/dialect.ts";
import fc from "../../harness/property.ts";

export interface Watched {
  out: string;
  ended: boolean;
  error: { message: string; code: string | null } | null;
  usage: Usage | null;
  contentLength: number;
}

export function watch(observer: StreamObserver, text: string, cuts: readonly number[] = []): Watched {
  const bytes = Buffer.from(text);
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  const out: Uint8Array[] = [];
  let from = 0;
  for (const to of [...places, bytes.length]) {
    // A copy, to catch an observer that keeps a reference to a read's memory.
    const read = Buffer.from(bytes.subarray(from, to));
    const passed = Buffer.from(observer.push(read));
    out.push(passed);
    read.fill(0);
    from = to;
  }
  out.push(observer.flush());
  const { ended, error, usage, contentLength } = observer;
  return { out: Buffer.concat(out).toString("utf8"), ended, error, usage, contentLength };
}

export const cuts = fc.array(fc.nat(), { maxLength: 40 });

/** Every byte on its own. */
export function everyByte(text: string): number[] {
  return Array.from({ length: Buffer.byteLength(text) }, (_, at) => at);
}

/** A stream, and what its observer passes on and finds out. */
export interface ObserverRow {
  in: string;
  /** Default: the same as `in`. */
  out?: string;
  ended?: boolean;
  usage?: unknown;
  error?: unknown;
}

/** Tests each row with its stream in one piece, and byte by byte. */
export function testRows<Row extends ObserverRow>(rows: Record<string, Row>, observerOf: (row: Row) => StreamObserver) {
  for (const [name, row] of Object.entries(rows))
    for (const [way, at] of [
      ["whole", []],
      ["byte by byte", everyByte(row.in)],
    ] as const)
      test(`${name} (${way})`, () => {
        const { out, ended, usage, error } = watch(observerOf(row), row.in, at);
        const expected = { ended: row.ended ?? false, usage: row.usage ?? null, error: row.error ?? null };
        assert.equal(out, row.out ?? row.in);
        assert.deepEqual({ ended, usage, error }, expected);
      });
}

/** Feeds a stream to an observer, split at given positions, and returns the result. */
import { Buffer } from "node:buffer";
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

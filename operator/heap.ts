/**
 * Limits the growth of the operator's heap. V8 lets a heap grow to several times the live data before it collects, and
 * the young generation to 128 MB on a large node. That suits busy servers, but the operator works in short bursts.
 */
import { setFlagsFromString } from "node:v8";

/** Read by V8 at each collection, so they can be set while it runs. */
const thriftyFlags = [
  // The old generation is collected when it is 20 % larger than what the last collection left.
  "--heap-growing-percent=20",
  // The young generation keeps its first size.
  "--semi-space-growth-factor=1",
];

/** Call before the rest of the operator is loaded: loading it lets the young generation grow. */
export function growSlowly(): void {
  for (const flag of thriftyFlags) setFlagsFromString(flag);
}

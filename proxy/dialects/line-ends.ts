/** Which line ends a stream of server-sent events has. */
import type { Buffer } from "node:buffer";

const LF = 10;
const CR = 13;

export type LineEnds = "LF" | "CR";

/**
 * How the lines of a stream end; null if its first line end isn't complete. A CR without LF is as good as an LF in
 * server-sent events, and occurs nowhere else in them, since JSON escapes it.
 */
export function lineEndsIn(work: Buffer): LineEnds | null {
  const cr = work.indexOf(CR);
  const lf = work.indexOf(LF);
  if (lf >= 0 && (cr < 0 || lf <= cr + 1)) return "LF";
  return cr < 0 || cr === work.length - 1 ? null : "CR";
}

/** Replaces each CR in place. */
export function toLineFeeds(work: Buffer): void {
  for (let offset = work.indexOf(CR); offset >= 0; offset = work.indexOf(CR, offset + 1)) work[offset] = LF;
}

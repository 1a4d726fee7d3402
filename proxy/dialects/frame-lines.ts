/** The fields of one frame of a stream of server-sent events. */
import type { Buffer } from "node:buffer";

export interface FrameText {
  event: string;
  /** The `data` lines joined by LF; null if there are none. */
  data: string | null;
  /** Whether there are lines of other fields, such as `event:` and `id:`. Comments don't count. */
  others: boolean;
  /** The frame without those lines. */
  stripped: string;
}

function readLine(line: string, read: FrameText): void {
  const colon = line.indexOf(":");
  const field = colon < 0 ? line : line.slice(0, colon);
  const value = colon < 0 ? "" : line.slice(line.charCodeAt(colon + 1) === 32 ? colon + 2 : colon + 1);
  if (field === "data") read.data = read.data === null ? value : `${read.data}\n${value}`;
  if (field === "event") read.event = value;
  if (field === "data" || field === "") read.stripped += `${line}\n`;
  else read.others = true;
}

/** Parses a frame line by line. */
export function readFrame(frame: Buffer): FrameText {
  const read: FrameText = { event: "", data: null, others: false, stripped: "" };
  for (const line of frame.toString("utf8").split("\n")) {
    const bare = line.endsWith("\r") ? line.slice(0, -1) : line;
    if (bare !== "") readLine(bare, read);
  }
  if (read.stripped !== "") read.stripped += "\n";
  return read;
}

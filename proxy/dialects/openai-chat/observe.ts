/**
 * A chat stream that passes through, watched at byte level. A read that holds whole frames and nothing to take out
 * is handed on as the very buffer that came; only frames that may carry usage, an error or the end are decoded.
 */
import { Buffer } from "node:buffer";
import { isObject } from "../../providers/classify.ts";
import type { JsonObject, Usage } from "../canonical.ts";
import type { StreamObserver } from "../dialect.ts";

const maxFrameBytes = 1_048_576;
/** What a chunk of a chat stream holds besides its text, roughly; for estimates only. */
const frameOverheadBytes = 180;
const LF = 10;
const CR = 13;
const usageKey = Buffer.from('"usage"');
const errorKey = Buffer.from('"error"');
const doneMark = Buffer.from("[DONE]");
const usageNull = /,\s*"usage"\s*:\s*null|"usage"\s*:\s*null\s*,/;

/** Offset behind the blank line that ends the frame beginning at `from`, -1 where it isn't whole yet. */
function frameEnd(bytes: Buffer, from: number): number {
  for (let at = bytes.indexOf(LF, from); at >= 0; at = bytes.indexOf(LF, at + 1)) {
    if (bytes[at + 1] === LF) return at + 2;
    if (bytes[at + 1] === CR && bytes[at + 2] === LF) return at + 3;
  }
  return -1;
}

/** The payload of a frame: its data lines joined, and whether it has lines that OpenAI clients must not see. */
function payload(frame: string): { data: string; event: string; foreign: boolean } {
  let event = "";
  let foreign = false;
  const data: string[] = [];
  for (const line of frame.split(/\r\n|\n|\r/)) {
    if (line.startsWith("data:")) data.push(line.slice(line.charCodeAt(5) === 32 ? 6 : 5));
    else if (line.startsWith("event:") || line.startsWith("id:")) {
      foreign = true;
      if (line.startsWith("event:")) event = line.slice(6).trim();
    }
  }
  return { data: data.join("\n"), event, foreign };
}

function parseObject(text: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

export class OpenAiStreamObserver implements StreamObserver {
  readonly #hideUsage: boolean;
  readonly #usageOf: (body: JsonObject) => Usage | null;
  #held: Buffer | null = null;
  ended = false;
  error: StreamObserver["error"] = null;
  usage: Usage | null = null;
  contentLength = 0;

  constructor(hideUsage: boolean, usageOf: (body: JsonObject) => Usage | null) {
    this.#hideUsage = hideUsage;
    this.#usageOf = usageOf;
  }

  push(chunk: Uint8Array): Uint8Array {
    const fresh = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const bytes = this.#held === null ? fresh : Buffer.concat([this.#held, fresh]);
    this.#held = null;
    const kept: Buffer[] = [];
    let changed = false;
    let from = 0;
    for (let end = frameEnd(bytes, 0); end >= 0 && !this.ended && this.error === null; end = frameEnd(bytes, from)) {
      const frame = bytes.subarray(from, end);
      const out = this.#frame(frame);
      changed ||= out !== frame;
      if (out !== null) kept.push(out);
      from = end;
    }
    if (this.ended || this.error) return changed || from < bytes.length ? Buffer.concat(kept) : bytes;
    if (from < bytes.length) this.#hold(bytes.subarray(from));
    return changed ? Buffer.concat(kept) : bytes.subarray(0, from);
  }

  flush(): Uint8Array {
    const rest = this.#held;
    this.#held = null;
    // A last frame without its blank line: servers that close right behind [DONE] do that.
    return rest === null ? Buffer.alloc(0) : (this.#frame(Buffer.concat([rest, Buffer.from("\n\n")])) ?? Buffer.alloc(0));
  }

  #hold(rest: Buffer): void {
    if (rest.length > maxFrameBytes) this.error = { message: "The provider sent an event that is too large.", code: null };
    else this.#held = rest;
  }

  /** The frame as it goes on: itself, a changed one, or null for none. */
  #frame(frame: Buffer): Buffer | null {
    const named = frame[0] !== 0x64 || frame.length < 5;
    if (!named && !frame.includes(usageKey) && !frame.includes(errorKey) && !frame.includes(doneMark)) {
      this.contentLength += Math.max(0, frame.length - frameOverheadBytes);
      return frame;
    }
    return this.#inspect(frame);
  }

  #inspect(frame: Buffer): Buffer | null {
    const text = frame.toString("utf8");
    const { data, event, foreign } = payload(text);
    if (data === "") return foreign || text.trim() === "" ? null : frame;
    if (data.trim() === "[DONE]") {
      this.ended = true;
      return foreign ? Buffer.from("data: [DONE]\n\n") : frame;
    }
    const body = parseObject(data);
    if (body === null) {
      this.error = { message: "The provider's stream could not be read.", code: null };
      return null;
    }
    if (event === "error" || body["error"] || body["object"] === "error") {
      const error = isObject(body["error"]) ? body["error"] : body;
      this.error = { message: typeof error["message"] === "string" ? error["message"] : "The provider broke the answer off.", code: null };
      return null;
    }
    return this.#withoutUsage(body, data, foreign ? Buffer.from(`data: ${data}\n\n`) : frame);
  }

  #withoutUsage(body: JsonObject, data: string, frame: Buffer): Buffer | null {
    const usage = this.#usageOf(body);
    this.usage = usage ?? this.usage;
    if (!this.#hideUsage || !("usage" in body)) return frame;
    const empty = Array.isArray(body["choices"]) && body["choices"].length === 0;
    if (usage !== null && empty) return null;
    if (usage === null) return Buffer.from(`data: ${data.replace(usageNull, "")}\n\n`);
    const { usage: _usage, ...rest } = body;
    return Buffer.from(`data: ${JSON.stringify(rest)}\n\n`);
  }
}

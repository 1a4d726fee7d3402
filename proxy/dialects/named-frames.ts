/**
 * Passthrough of streams with named events (Anthropic's Messages, OpenAI's Responses). Bytes stay unchanged; only
 * events that matter are decoded.
 */
import type { Buffer } from "node:buffer";
import { isObject, type JsonObject, jsonIn } from "../wire/json.ts";
import { readFrame } from "./frame-lines.ts";
import { FrameObserver, type FrameVerdict, Needle, otherFrameLength, textLength } from "./frames.ts";
import type { StreamProgress } from "./verdict/answer.ts";

const prefix = "event:";

export abstract class NamedFrameObserver extends FrameObserver {
  readonly #names: ReadonlySet<string>;
  readonly #idleNames: ReadonlySet<string>;
  readonly #content: Needle;
  readonly #contentNames: ReadonlySet<string>;
  readonly #closing: ReadonlySet<string>;

  /**
   * `names`: events to decode. `contentNames`: events that carry output, whose text follows `contentMarker`. Of the
   * others, `idle`: events that aren't part of the answer, some of them large; `closing`: events after which the answer
   * may be complete if no content follows.
   */
  constructor(
    names: ReadonlySet<string>,
    contentNames: ReadonlySet<string>,
    contentMarker: `"${string}`,
    others: { idle: ReadonlySet<string>; closing: ReadonlySet<string> },
    maxEventBytes?: number,
  ) {
    super(maxEventBytes);
    this.#closing = others.closing;
    this.#names = names;
    this.#idleNames = others.idle;
    this.#contentNames = contentNames;
    this.#content = new Needle(contentMarker);
  }

  /** What an event adds to the answer. */
  protected abstract progressOf(name: string, body: unknown): StreamProgress;
  /** Handles an event that matters. Returns false to withhold it. */
  protected abstract event(name: string, body: JsonObject): boolean;

  protected override begin(text: string): void {
    this.#content.begin(text);
  }

  protected override frame(start: number, end: number): FrameVerdict {
    const { work, text } = this;
    const name = nameAt(text, start, end);
    if (name === null) return this.#unnamed(work.subarray(start, end));
    if (this.#contentNames.has(name)) {
      this.contentLength += textLength(text, this.#content.within(start, end), start, end);
      this.contentEnded = false;
    } else if (this.#closing.has(name)) this.contentEnded = true;
    if (this.#looksAt(name)) this.see(this.progressOf(name, jsonIn(readFrame(work.subarray(start, end)).data ?? "")));
    return this.#names.has(name) ? this.#decode(name, readFrame(work.subarray(start, end)).data) : true;
  }

  #looksAt(name: string): boolean {
    return this.progress !== "begun" && !this.#idleNames.has(name);
  }

  /** Comments, and frames whose name comes later or only in the data. */
  #unnamed(frame: Buffer): FrameVerdict {
    const read = readFrame(frame);
    if (read.data === null) return true;
    const name = read.event === "" ? typeIn(read.data) : read.event;
    if (this.#contentNames.has(name)) this.contentLength += otherFrameLength;
    if (this.#looksAt(name)) this.see(this.progressOf(name, jsonIn(read.data)));
    return this.#names.has(name) ? this.#decode(name, read.data) : true;
  }

  #decode(name: string, data: string | null): boolean {
    const body = this.json(data ?? "");
    if (body === undefined) return false;
    return this.event(name, isObject(body) ? body : {});
  }
}

/** The name on a frame's first line; null if that isn't an `event:` line. */
function nameAt(text: string, start: number, end: number): string | null {
  if (!text.startsWith(prefix, start)) return null;
  return text.slice(start + prefix.length, Math.min(end, text.indexOf("\n", start))).trim();
}

function typeIn(data: string): string {
  const body = jsonIn(data);
  return isObject(body) && typeof body["type"] === "string" ? body["type"] : "";
}

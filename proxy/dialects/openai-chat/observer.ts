/**
 * Observes an OpenAI chat stream that passes through. The gateway's hot path: only frames that hold `"usage"` with a
 * value, `"error"` or `[DONE]` are decoded. Stream format:
 * https://platform.openai.com/docs/api-reference/chat-streaming
 */

import { Buffer } from "node:buffer";
import { isObject, type JsonObject, jsonIn, objectsIn } from "../../wire/json.ts";
import { applyEdits } from "../../wire/json-edit.ts";
import { outline } from "../../wire/json-outline.ts";
import { readFrame } from "../frame-lines.ts";
import { FrameObserver, type FrameVerdict, isOneLine, Needle, otherFrameLength, textLength } from "../frames.ts";
import { choiceError, errorEnvelope, flatError, isFailedReason, progressOfChunk } from "../verdict/answer.ts";
import { progressFromText } from "../verdict/skim.ts";
import { decodeUsage } from "./usage.ts";

const COLON = 58;
const COMMA = 44;
const LETTER_D = 100;
/** Large enough for `data: [DONE]` and its blank line. */
const doneBytes = 24;
/** Longest finish reason, with what stands before it. */
const maxReasonLength = 64;
const doneFrame = /^data: ?\[DONE\]\s*$/;
const nullUsage = Buffer.from(',"usage":null');

export interface OpenAiObserverOptions {
  /** Whether to remove usage because the gateway asked for it and the client did not. */
  hideUsage: boolean;
  /** What precedes a frame's text: `"content":"` for chat, `"text":"` for completions. */
  contentMarker: `"${string}`;
  maxEventBytes?: number;
}

export class OpenAiObserver extends FrameObserver {
  readonly #hideUsage: boolean;
  readonly #usage = new Needle('"usage"');
  readonly #error = new Needle('"error"');
  readonly #content: Needle;
  readonly #finish = new Needle('"finish_reason"');

  constructor(options: OpenAiObserverOptions) {
    super(options.maxEventBytes);
    this.#hideUsage = options.hideUsage;
    this.#content = new Needle(options.contentMarker);
  }

  protected override begin(text: string): void {
    this.#usage.begin(text);
    this.#error.begin(text);
    this.#content.begin(text);
    this.#finish.begin(text);
  }

  protected override frame(start: number, end: number): FrameVerdict {
    const { work, text } = this;
    const first = work[start];
    if (!isOneLine(text, start, end) || (first !== LETTER_D && first !== COLON))
      return this.#lines(work.subarray(start, end));
    return first === COLON ? true : this.#data(start, end);
  }

  /** Handles a frame of one `data` line. */
  #data(start: number, end: number): FrameVerdict {
    if (end - start <= doneBytes && doneFrame.test(this.text.slice(start, end))) {
      this.ended = true;
      return true;
    }
    // Estimated from the text's JSON form: an escape counts by its bytes, and several choices in a frame as one.
    this.contentLength += textLength(this.text, this.#content.within(start, end), start, end);
    const reason = this.#reasonAt(this.#finish.within(start, end));
    if (reason !== null) this.contentEnded = true;
    if (isFailedReason(reason)) return this.#decoded(this.work.subarray(start, end));
    if (this.progress !== "begun" && !this.#lookAt(start, end)) return false;
    const usage = this.#usage.within(start, end);
    if (usage < 0 && this.#error.within(start, end) < 0) return true;
    const plain =
      usage >= 0 && this.#error.within(start, end) < 0 && this.#isNull(usage) && this.#usage.within(usage, end) < 0;
    return plain ? this.#withoutNull(start, end, usage) : this.#decoded(this.work.subarray(start, end));
  }

  /** A finish reason that isn't null: a string begins after the colon and any blanks. */
  #reasonAt(behindKey: number): string | null {
    if (behindKey < 0) return null;
    return /^\s*:\s*"([^"]*)/.exec(this.text.slice(behindKey, behindKey + maxReasonLength))?.[1] ?? null;
  }

  /** Parses the frame only if it must. */
  #lookAt(start: number, end: number): boolean {
    const progress = progressFromText(this.text.slice(start, end));
    if (progress === null) return this.#look(this.work.toString("utf8", start, end));
    this.see(progress);
    return true;
  }

  /** Called until the answer has begun. Returns false if the frame is an error without an envelope. */
  #look(frame: string): boolean {
    const body = jsonIn(frame.slice(frame.indexOf(":") + 1));
    const failed = flatError(body);
    if (failed !== null) return this.#fail(failed);
    this.see(progressOfChunk(body));
    return true;
  }

  #isNull(behindKey: number): boolean {
    return this.text.startsWith(":null", behindKey);
  }

  /** `"usage":null` is present only because the gateway asked for usage. */
  #withoutNull(start: number, end: number, behindKey: number): FrameVerdict {
    if (!this.#hideUsage) return true;
    const from = behindKey - ',"usage"'.length;
    if (this.work[from] !== COMMA) return this.#decoded(this.work.subarray(start, end));
    const out = Buffer.allocUnsafe(end - start - nullUsage.length);
    this.work.copy(out, 0, start, from);
    this.work.copy(out, from - start, from + nullUsage.length, end);
    return out;
  }

  /**
   * A frame of several lines. Removes `event:` and `id:`, since the official SDK yields named frames wrapped rather
   * than as chunks.
   */
  #lines(frame: Buffer): FrameVerdict {
    const read = readFrame(frame);
    if (read.data !== null && read.event === "error") return this.#failed(read.data);
    const reason = /"finish_reason"\s*:\s*"([^"]*)/.exec(read.data ?? "")?.[1] ?? null;
    if (reason !== null) this.contentEnded = true;
    if (isFailedReason(reason)) return this.#decoded(frame);
    if (read.data?.trim() === "[DONE]") this.ended = true;
    else if (read.data !== null && this.progress !== "begun" && !this.#look(`:${read.data}`)) return false;
    else if (read.data !== null && /"usage"|"error"/.test(read.data)) return this.#decoded(frame);
    if (read.data !== null && !this.ended) this.contentLength += otherFrameLength;
    if (!read.others) return true;
    return read.stripped === "" ? false : Buffer.from(read.stripped);
  }

  #failed(data: string): false {
    const body = this.json(data);
    return body === undefined ? false : this.#fail(isObject(body) ? body : { message: data });
  }

  #fail(body: JsonObject): false {
    const error = isObject(body["error"]) ? body["error"] : body;
    const message = error["message"] ?? body["error"];
    const code = error["code"] ?? error["type"];
    return this.fail(
      typeof message === "string" && message !== "" ? message : "The provider broke off the answer.",
      code == null ? null : String(code),
      body,
    );
  }

  #decoded(frame: Buffer): FrameVerdict {
    const read = readFrame(frame);
    const body = this.json(read.data ?? "");
    if (body === undefined) return false;
    const unchanged: FrameVerdict = read.others ? Buffer.from(read.stripped) : true;
    if (!isObject(body)) return unchanged;
    const failed = errorEnvelope(body) === null ? choiceError(objectsIn(body["choices"])) : body;
    if (failed !== null) return this.#fail(failed);
    const usage = decodeUsage(body["usage"], body["service_tier"]);
    if (usage !== null) {
      this.usage = usage;
      // Some servers report usage throughout the stream.
      this.usageIsFinal = this.contentEnded;
    }
    if (!this.#hideUsage || body["usage"] === undefined) return unchanged;
    // Azure's first chunk has no choices either, but no usage: only a chunk without choices and with usage is removed
    // whole.
    const noChoices = !Array.isArray(body["choices"]) || body["choices"].length === 0;
    if (noChoices && isObject(body["usage"])) return false;
    return withoutUsage(read.data ?? "");
  }
}

/** The other members keep their bytes. */
function withoutUsage(data: string): FrameVerdict {
  const bytes = Buffer.from(data);
  const members = outline(bytes, 256);
  if (typeof members === "string") return true;
  const lines = applyEdits(bytes, members, { usage: undefined }).toString("utf8").split("\n");
  return Buffer.from(`${lines.map((line) => `data: ${line}\n`).join("")}\n`);
}

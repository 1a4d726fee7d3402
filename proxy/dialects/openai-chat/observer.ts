/**
 * OpenAI's chat stream passing through. The hot path of the gateway: only frames that hold `"usage"` with a value,
 * `"error"` or `[DONE]` are decoded. Stream format: https://platform.openai.com/docs/api-reference/chat-streaming
 */

import { Buffer } from "node:buffer";
import { isObject, type JsonObject, jsonIn } from "../../wire/json.ts";
import { applyEdits, outline } from "../../wire/json-edit.ts";
import {
  FrameObserver,
  type FrameVerdict,
  isOneLine,
  Needle,
  otherFrameLength,
  readFrame,
  textLength,
} from "../frames.ts";
import { choiceError, errorEnvelope, flatError, objectsIn, progressOfChunk } from "../verdict/answer.ts";
import { decodeUsage } from "./usage.ts";

const COLON = 58;
const COMMA = 44;
const LETTER_D = 100;
/** `data: [DONE]` and its blank line fit. */
const doneBytes = 24;
const doneFrame = /^data: ?\[DONE\]\s*$/;
const nullUsage = Buffer.from(',"usage":null');

export interface OpenAiObserverOptions {
  /** The gateway asked for usage and the client did not: take it out. */
  hideUsage: boolean;
  /** What stands before a frame's text: `"content":"` for chat, `"text":"` for completions. */
  contentMarker: string;
  maxEventBytes?: number;
}

export class OpenAiObserver extends FrameObserver {
  readonly #hideUsage: boolean;
  readonly #usage = new Needle('"usage"');
  readonly #error = new Needle('"error"');
  readonly #content: Needle;
  readonly #finish = new Needle('"finish_reason"');
  #work: Buffer = nullUsage;

  constructor(options: OpenAiObserverOptions) {
    super(options.maxEventBytes);
    this.#hideUsage = options.hideUsage;
    this.#content = new Needle(options.contentMarker);
  }

  protected override begin(work: Buffer): void {
    this.#work = work;
    this.#usage.begin(work);
    this.#error.begin(work);
    this.#content.begin(work);
    this.#finish.begin(work);
  }

  protected override frame(work: Buffer, start: number, end: number): FrameVerdict {
    const first = work[start];
    if (!isOneLine(work, start, end) || (first !== LETTER_D && first !== COLON))
      return this.#lines(work.subarray(start, end));
    return first === COLON ? true : this.#data(start, end);
  }

  /** A frame of one `data` line. */
  #data(start: number, end: number): FrameVerdict {
    if (end - start <= doneBytes && doneFrame.test(this.#work.toString("latin1", start, end))) {
      this.ended = true;
      return true;
    }
    this.#count(start, end);
    this.contentEnded ||= this.#isFinish(this.#finish.within(start, end));
    if (this.progress !== "begun" && !this.#look(this.#work.toString("utf8", start, end))) return false;
    const usage = this.#usage.within(start, end);
    if (usage < 0 && this.#error.within(start, end) < 0) return true;
    const plain =
      usage >= 0 && this.#error.within(start, end) < 0 && this.#isNull(usage) && this.#usage.within(usage, end) < 0;
    return plain ? this.#withoutNull(start, end, usage) : this.#decoded(this.#work.subarray(start, end));
  }

  /** A finish reason, and not null: a text begins behind the colon and its blanks. */
  #isFinish(behindKey: number): boolean {
    if (behindKey < 0) return false;
    return /^\s*:\s*"/.test(this.#work.toString("latin1", behindKey, behindKey + 8));
  }

  /** Until the answer has begun. false: the frame is an error that has no envelope. */
  #look(frame: string): boolean {
    const body = jsonIn(frame.slice(frame.indexOf(":") + 1));
    const failed = flatError(body);
    if (failed !== null) return this.#fail(failed);
    this.see(progressOfChunk(body));
    return true;
  }

  #isNull(behindKey: number): boolean {
    return this.#work.toString("latin1", behindKey, behindKey + 5) === ":null";
  }

  /** Estimates the text's length from its JSON form: an escape counts for its bytes, several choices in a frame for one. */
  #count(start: number, end: number): void {
    this.contentLength += textLength(this.#work, this.#content.within(start, end), start, end);
  }

  /** `"usage":null` is only there because the gateway asked for usage. */
  #withoutNull(start: number, end: number, behindKey: number): FrameVerdict {
    if (!this.#hideUsage) return true;
    const from = behindKey - ',"usage"'.length;
    if (this.#work[from] !== COMMA) return this.#decoded(this.#work.subarray(start, end));
    const out = Buffer.allocUnsafe(end - start - nullUsage.length);
    this.#work.copy(out, 0, start, from);
    this.#work.copy(out, from - start, from + nullUsage.length, end);
    return out;
  }

  /** A frame of several lines. `event:` and `id:` are taken out: the official SDK yields named frames wrapped, not as chunks. */
  #lines(frame: Buffer): FrameVerdict {
    const read = readFrame(frame);
    if (read.data !== null && read.event === "error") return this.#failed(read.data);
    this.contentEnded ||= /"finish_reason"\s*:\s*"/.test(read.data ?? "");
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
      typeof message === "string" && message !== "" ? message : "The provider broke the answer off.",
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
      // Some servers tell of usage all along.
      this.usageIsFinal = this.contentEnded;
    }
    if (!this.#hideUsage || body["usage"] === undefined) return unchanged;
    // Azure's first chunk has no choices either, but holds no usage: only a chunk with both is taken out whole.
    const noChoices = !Array.isArray(body["choices"]) || body["choices"].length === 0;
    if (noChoices && isObject(body["usage"])) return false;
    return withoutUsage(read.data ?? "");
  }
}

/** The other members keep their bytes. */
function withoutUsage(data: string): FrameVerdict {
  const bytes = Buffer.from(data);
  const found = outline(bytes, 256);
  if (typeof found === "string") return true;
  const lines = applyEdits(bytes, found, { usage: undefined }).toString("utf8").split("\n");
  return Buffer.from(`${lines.map((line) => `data: ${line}\n`).join("")}\n`);
}

/**
 * Changes the texts of an answer on its way to the client, in whole answers and in streams of every client format. In a
 * stream, a text arrives in pieces: what may be the start of a match waits for the next piece, and is sent in its own
 * frame before whatever ends the text.
 */
import { Buffer } from "node:buffer";
import type { WireFormat } from "../config/capabilities.ts";
import { type Template, type TextKind, type TextReader, textReaders } from "../dialects/frame-texts.ts";
import { isObject, type JsonObject, jsonIn } from "../wire/json.ts";
import type { ReplyFilter } from "../wire/reply-filter.ts";
import { SseDecoder, type SseFrame } from "../wire/sse.ts";
import { changedTexts, type TextChanges } from "./texts.ts";

export interface TextChange {
  /** Members that would reveal the words outside their text, and are removed: tokens and their log probabilities. */
  readonly hidesTokens?: boolean;
  /** Changes a complete text. */
  whole(text: string): string;
  /** Changes a piece of a channel's text. Returns what can be released now of the piece and of the held text. */
  piece(channel: string, text: string, kind: TextKind): string;
  /** Ends a channel's text. Returns the held text. */
  end(channel: string): string;
}

const written = ({ event, data }: SseFrame): string =>
  `${event === "" ? "" : `event: ${event}\n`}${data
    .split("\n")
    .map((line) => `data: ${line}`)
    .join("\n")}\n\n`;

const tokens: ReadonlySet<string> = new Set(["logprobs", "prompt_logprobs", "token_ids", "prompt_token_ids"]);

/** Returns the same value if there is nothing to remove. */
function withoutTokens(value: unknown): unknown {
  if (Array.isArray(value)) {
    const list = value.map(withoutTokens);
    return list.some((element, index) => element !== value[index]) ? list : value;
  }
  if (!isObject(value)) return value;
  let out = value;
  for (const name of Object.keys(value)) {
    const member = value[name];
    // Keep an empty list where there was a list: SDKs read it.
    const left =
      tokens.has(name) && typeof member === "object" && member !== null
        ? Array.isArray(member)
          ? []
          : null
        : withoutTokens(member);
    if (left === member) continue;
    if (out === value) out = { ...value };
    out[name] = left;
  }
  return out;
}

export class ReplyTexts implements ReplyFilter {
  readonly #change: TextChange;
  /** Whether answers may be plain text. */
  readonly #isWritten: boolean;
  readonly #whole: TextChanges = { text: (text) => this.#change.whole(text) };
  readonly #read: TextReader;
  /** The size of the input was limited where it was read. */
  readonly #decoder = new SseDecoder(Number.MAX_SAFE_INTEGER);
  /** Channels whose text has not ended. */
  readonly #open = new Map<string, Template>();
  #out = "";

  constructor(format: WireFormat, change: TextChange) {
    this.#change = change;
    this.#isWritten = format === "openai.transcriptions" || format === "openai.translations";
    this.#read = textReaders[format] ?? ((json) => json);
  }

  whole(body: Uint8Array | string): Uint8Array | string {
    const text =
      typeof body === "string" ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8");
    const json = jsonIn(text);
    if (json === undefined) return this.#isWritten ? this.#change.whole(text) : body;
    const changed = this.#hidden(changedTexts(json, this.#whole), text);
    return changed === json ? body : JSON.stringify(changed);
  }

  chunk(bytes: Uint8Array | string): string {
    this.#out = "";
    for (const frame of this.#decoder.push(typeof bytes === "string" ? Buffer.from(bytes) : bytes)) this.#frame(frame);
    return this.#taken();
  }

  last(): string {
    this.#over("");
    return this.#taken();
  }

  #taken(): string {
    const out = this.#out;
    this.#out = "";
    return out;
  }

  /** Takes the text already parsed, since most texts have nothing to mask. */
  #hidden(json: unknown, text: string): unknown {
    return this.#change.hidesTokens === true && /logprobs|token_ids|\\/.test(text) ? withoutTokens(json) : json;
  }

  #frame(frame: SseFrame): void {
    const json = jsonIn(frame.data);
    if (!isObject(json)) {
      // The end marker, or a frame that no client could read either.
      if (frame.data === "[DONE]") this.#over("");
      this.#out += written(frame);
      return;
    }
    const changed = this.#read(this.#hidden(json, frame.data) as JsonObject, frame.event, {
      piece: (channel, holder, member, kind, template) => {
        this.#open.set(channel, template);
        holder[member] = this.#change.piece(channel, String(holder[member]), kind);
      },
      over: (prefix) => this.#over(prefix),
      whole: (value) => changedTexts(value, this.#whole) as JsonObject,
    });
    this.#out += written({ event: frame.event, data: JSON.stringify(changed) });
  }

  /** Releases the held text of these channels before the frame that ends them. */
  #over(prefix: string): void {
    for (const [channel, template] of [...this.#open]) {
      if (!channel.startsWith(prefix)) continue;
      this.#open.delete(channel);
      const held = this.#change.end(channel);
      if (held !== "") this.#out += written(template(held));
    }
  }
}

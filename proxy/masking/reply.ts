/**
 * Changes the texts of an answer on its way to the client, in whole answers and in streams of every client format. In a
 * stream a text comes in pieces: what may be the beginning of something waits for the next piece, and leaves with a
 * frame of its own before whatever ends the text.
 */
import { Buffer } from "node:buffer";
import type { WireFormat } from "../config/capabilities.ts";
import { type Template, type TextKind, type TextReader, textReaders } from "../dialects/frame-texts.ts";
import { isObject, type JsonObject, jsonIn } from "../wire/json.ts";
import type { ReplyFilter } from "../wire/reply-filter.ts";
import { SseDecoder, type SseFrame } from "../wire/sse.ts";
import { changedTexts, type TextChanges } from "./texts.ts";

export interface TextChange {
  /** What would tell the words beside their text is taken out: tokens, and how probable they were. */
  readonly hidesTokens?: boolean;
  /** A text that is all there. */
  whole(text: string): string;
  /** A piece of the text of a channel: what of it, and of what was held back, can go on now. */
  piece(channel: string, text: string, kind: TextKind): string;
  /** The text of the channel is over: what was held back. */
  end(channel: string): string;
}

const written = ({ event, data }: SseFrame): string =>
  `${event === "" ? "" : `event: ${event}\n`}${data
    .split("\n")
    .map((line) => `data: ${line}`)
    .join("\n")}\n\n`;

const tokens: ReadonlySet<string> = new Set(["logprobs", "prompt_logprobs", "token_ids", "prompt_token_ids"]);

/** The same value where there is nothing to take out. */
function withoutTokens(value: unknown): unknown {
  if (Array.isArray(value)) {
    const list = value.map(withoutTokens);
    return list.some((one, at) => one !== value[at]) ? list : value;
  }
  if (!isObject(value)) return value;
  let out = value;
  for (const name of Object.keys(value)) {
    const one = value[name];
    // An empty list where there was one: SDKs read on in it.
    const left =
      tokens.has(name) && typeof one === "object" && one !== null
        ? Array.isArray(one)
          ? []
          : null
        : withoutTokens(one);
    if (left === one) continue;
    if (out === value) out = { ...value };
    out[name] = left;
  }
  return out;
}

export class ReplyTexts implements ReplyFilter {
  readonly #change: TextChange;
  readonly #whole: TextChanges = { text: (text) => this.#change.whole(text) };
  readonly #read: TextReader;
  /** What comes here was bounded where it was read. */
  readonly #decoder = new SseDecoder(Number.MAX_SAFE_INTEGER);
  /** Channels with text that is not over. */
  readonly #open = new Map<string, Template>();
  #out = "";

  constructor(format: WireFormat, change: TextChange) {
    this.#change = change;
    this.#read = textReaders[format] ?? ((json) => json);
  }

  whole(body: Uint8Array | string): Uint8Array | string {
    const text =
      typeof body === "string" ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8");
    const json = jsonIn(text);
    if (json === undefined) return body;
    const changed = this.#hidden(changedTexts(json, this.#whole), text);
    return changed === json ? body : JSON.stringify(changed);
  }

  chunk(bytes: Uint8Array | string): string {
    this.#out = "";
    for (const frame of this.#decoder.push(typeof bytes === "string" ? Buffer.from(bytes) : bytes)) this.#frame(frame);
    return this.#out;
  }

  last(): string {
    this.#out = "";
    this.#over("");
    return this.#out;
  }

  /** `text`: what was parsed, in which most have nothing to hide. */
  #hidden(json: unknown, text: string): unknown {
    return this.#change.hidesTokens === true && /logprobs|token_ids|\\/.test(text) ? withoutTokens(json) : json;
  }

  #frame(frame: SseFrame): void {
    const json = jsonIn(frame.data);
    if (!isObject(json)) {
      // The end marker, or what no client could read either.
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

  /** What is held back of these channels leaves now, before the frame that ends them. */
  #over(prefix: string): void {
    for (const [channel, template] of [...this.#open]) {
      if (!channel.startsWith(prefix)) continue;
      this.#open.delete(channel);
      const held = this.#change.end(channel);
      if (held !== "") this.#out += written(template(held));
    }
  }
}

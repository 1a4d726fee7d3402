/**
 * Changes the texts of an answer on its way to the client, in whole answers and in streams of every client format. In a
 * stream, a text arrives in pieces: what may be the start of a match waits for the next piece, and is sent in its own
 * frame before whatever ends the text.
 */
import { Buffer } from "node:buffer";
import type { WireFormat } from "../config/capabilities.ts";
import { type Template, type TextKind, type TextReader, textReaders } from "../dialects/frame-texts.ts";
import { asBuffer } from "../wire/framing.ts";
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

/** How a long text is changed in several turns of the event loop. */
export interface TextTurns {
  /** How many characters to read in one turn. */
  readonly size: number;
  /** Whether the rest is of no interest any more. */
  stopped(): boolean;
  /** Resolves in a later turn. */
  next(): Promise<void>;
}

const nothing = Buffer.alloc(0);

/** A channel that no dialect has, for a complete text that is changed in pieces. */
const wholeChannel = "whole";

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

/** The offset, or the one after it if a surrogate pair would be split. */
function wholeCharacters(text: string, offset: number): number {
  const code = text.charCodeAt(offset - 1);
  return code >= 0xd800 && code < 0xdc00 ? offset + 1 : offset;
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

  /** Bytes of a frame that has not arrived completely. */
  get heldBytes(): number {
    return this.#decoder.heldBytes;
  }

  /** As `chunk`, while other calls go on. In between, only the bytes are held, and not all of their frames. */
  async chunkInTurns(bytes: Uint8Array | string, turns: TextTurns): Promise<Uint8Array> {
    const source = asBuffer(bytes);
    const out: Buffer[] = [];
    this.#out = "";
    for (let from = 0; from < source.length; from += turns.size) {
      const frames = this.#decoder.push(source.subarray(from, from + turns.size));
      if (frames.length === 0) continue;
      await turns.next();
      await this.#framesInTurns(frames, turns);
      if (turns.stopped()) return nothing;
      if (this.#out !== "") out.push(Buffer.from(this.#taken()));
    }
    return Buffer.concat(out);
  }

  async #framesInTurns(frames: readonly SseFrame[], turns: TextTurns): Promise<void> {
    let read = 0;
    for (const frame of frames) {
      if (read > 0 && read + frame.data.length > turns.size) {
        await turns.next();
        read = 0;
      }
      if (turns.stopped()) return;
      read += frame.data.length;
      if (frame.data.length > turns.size) await this.#frameInTurns(frame, turns);
      else this.#frame(frame);
    }
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

  /** Reads the frame twice: once to change its texts, in turns, and once to put them in. */
  async #frameInTurns(frame: SseFrame, turns: TextTurns): Promise<void> {
    const json = jsonIn(frame.data);
    if (!isObject(json)) {
      this.#frame(frame);
      return;
    }
    const shown = this.#hidden(json, frame.data) as JsonObject;
    const changed: string[] = [];
    for (const step of this.#stepsOf(shown, frame.event)) {
      const text = await step(turns);
      if (text !== null) changed.push(text);
    }
    let index = 0;
    const put = (text: string): string => changed[index++] ?? text;
    const texts: TextChanges = { text: put };
    const out = this.#read(shown, frame.event, {
      piece: (_channel, holder, member) => {
        holder[member] = put(String(holder[member]));
      },
      over: () => undefined,
      whole: (value) => changedTexts(value, texts) as JsonObject,
    });
    this.#out += written({ event: frame.event, data: JSON.stringify(out) });
  }

  /** What a frame asks for, in its order. A step returns the changed text, or null if it has none. */
  #stepsOf(json: JsonObject, event: string): ((turns: TextTurns) => Promise<string | null>)[] {
    const steps: ((turns: TextTurns) => Promise<string | null>)[] = [];
    const texts: TextChanges = {
      text: (text) => {
        steps.push((turns) => this.#wholeInTurns(text, turns));
        return text;
      },
    };
    this.#read(json, event, {
      piece: (channel, holder, member, kind, template) => {
        const text = String(holder[member]);
        steps.push((turns) => {
          this.#open.set(channel, template);
          return this.#pieceInTurns(channel, text, kind, turns);
        });
      },
      over: (prefix) =>
        steps.push(async () => {
          this.#over(prefix);
          return null;
        }),
      whole: (value) => changedTexts(value, texts) as JsonObject,
    });
    return steps;
  }

  async #pieceInTurns(channel: string, text: string, kind: TextKind, turns: TextTurns): Promise<string> {
    let out = "";
    for (let from = 0; from < text.length && !turns.stopped(); ) {
      const to = wholeCharacters(text, from + turns.size);
      out += this.#change.piece(channel, text.slice(from, to), kind);
      from = to;
      if (from < text.length) await turns.next();
    }
    return out;
  }

  async #wholeInTurns(text: string, turns: TextTurns): Promise<string> {
    if (text.length <= turns.size) return this.#change.whole(text);
    return (await this.#pieceInTurns(wholeChannel, text, "text", turns)) + this.#change.end(wholeChannel);
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

/**
 * Records answers for the audit log: watches them on their way to the client, whatever their source, without changing
 * them.
 */
import type { WireFormat } from "../config/capabilities.ts";
import { everyMask } from "../masking/masker.ts";
import { ReplyTexts } from "../masking/reply.ts";
import type { ReplyFilter } from "../wire/reply-filter.ts";

/** Most characters kept of a stream: slightly more than the audit log records. */
const most = 17_000;

export class AnswerRecorder implements ReplyFilter {
  readonly #texts = new Map<string, string>();
  readonly #reader: ReplyTexts;
  #left = most;
  #whole: Uint8Array | string | null = null;
  #ended = false;

  constructor(format: WireFormat) {
    this.#reader = new ReplyTexts(format, {
      whole: (text) => text,
      piece: (channel, text) => {
        this.#texts.set(channel, (this.#texts.get(channel) ?? "") + text.slice(0, Math.max(0, this.#left)));
        this.#left -= text.length;
        return text;
      },
      end: () => "",
    });
  }

  /** Returns a whole answer, or for a stream an object with each of its texts; "" if there was neither. */
  get body(): Uint8Array | string {
    if (this.#whole !== null) return this.#whole;
    if (this.#texts.size === 0) return "";
    // If a text was cut short, its last word may be half of something that would have to be masked.
    const said = (text: string): string =>
      this.#ended && this.#left >= 0 ? text : text.slice(0, everyMask.openEnd(text));
    return JSON.stringify(Object.fromEntries([...this.#texts].map(([channel, text]) => [channel, said(text)])));
  }

  whole(body: Uint8Array | string): Uint8Array | string {
    this.#whole = body;
    return body;
  }

  chunk(bytes: Uint8Array | string): Uint8Array | string {
    if (this.#left > 0) this.#read(bytes);
    return bytes;
  }

  #read(bytes: Uint8Array | string): void {
    try {
      this.#reader.chunk(bytes);
    } catch {
      // The event is too large to parse. Recording stops, but the call must not fail for it.
      this.#left = -1;
    }
  }

  last(): string {
    this.#ended = true;
    return "";
  }
}

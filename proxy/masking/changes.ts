/** The two changes made to an answer's texts: masking what the provider says, and restoring placeholders. */
import type { TextKind } from "../dialects/frame-texts.ts";
import type { Masker } from "./masker.ts";
import type { TextChange } from "./reply.ts";
import type { Tally } from "./tally.ts";

const inString = (value: string): string => JSON.stringify(value).slice(1, -1);

/** Replaces placeholders with the original values, even if a placeholder arrives in pieces. */
export class Restore implements TextChange {
  readonly #tally: Tally;
  readonly #held = new Map<string, { text: string; kind: TextKind }>();

  constructor(tally: Tally) {
    this.#tally = tally;
  }

  whole(text: string): string {
    return this.#tally.restore(text);
  }

  piece(channel: string, text: string, kind: TextKind): string {
    const all = (this.#held.get(channel)?.text ?? "") + text;
    const cut = this.#tally.openEnd(all);
    this.#held.set(channel, { text: all.slice(cut), kind });
    return this.#restored(all.slice(0, cut), kind);
  }

  end(channel: string): string {
    const held = this.#held.get(channel);
    this.#held.delete(channel);
    return held === undefined ? "" : this.#restored(held.text, held.kind);
  }

  #restored(text: string, kind: TextKind): string {
    return this.#tally.restore(text, kind === "json" ? inString : undefined);
  }
}

const contextLength = 48;
/** How much text to hold before examining it again, as long as it can only be the middle of a match. */
const maxUnread = 384;

/** Whether no character ends a number, or none a word. The semicolon of an HTML escape ends no word. */
const goesOn = (text: string): boolean =>
  /^(?:[\p{Nd}\p{Cf}\p{Cs}\s+().\-/:]*|(?:#?\w*;)?(?:[^\s,;:<>()[\]"]|&#?\w*;)*)$/u.test(text);

interface Held {
  /** The last characters that were released. What precedes a match decides whether it is one. */
  before: string;
  text: string;
  /** How much of the text's end was not examined yet. */
  unread: number;
}

/** Masks what the provider says. Holds back what may be the start of a match, at most a few hundred characters. */
export class MaskAnswer implements TextChange {
  readonly hidesTokens = true;
  readonly #masker: Masker;
  readonly #stride: number;
  readonly #tally: Tally;
  readonly #held = new Map<string, Held>();

  constructor(masker: Masker, tally: Tally) {
    this.#masker = masker;
    this.#stride = masker.stride;
    this.#tally = tally;
  }

  whole(text: string): string {
    return this.#tally.mask(text, false);
  }

  piece(channel: string, text: string): string {
    const held = this.#held.get(channel) ?? { before: "", text: "", unread: 0 };
    held.unread += text.length;
    // Pieces are short: examining all the held text for each one would be most of the work.
    const waits = held.text.length + text.length < maxUnread && goesOn(text);
    if (held.text !== "" && (waits || held.unread < this.#stride)) {
      held.text += text;
      return "";
    }
    const all = held.before + held.text + text;
    const from = held.before.length;
    const { findings, open } = this.#masker.examine(all, from);
    let cut = Math.max(from, open);
    // A match that ends where the text does may continue in the next piece.
    for (const { start, end } of findings) if (start < cut && (end > cut || end === all.length)) cut = start;
    let out = "";
    let index = from;
    for (const { start, end, type } of findings) {
      if (end > cut) continue;
      this.#tally.counts[type] = (this.#tally.counts[type] ?? 0) + 1;
      out += all.slice(index, start) + this.#masker.replacement(type);
      index = end;
    }
    this.#held.set(channel, {
      before: all.slice(Math.max(0, cut - contextLength), cut),
      text: all.slice(cut),
      unread: 0,
    });
    return out + all.slice(index, Math.max(index, cut));
  }

  end(channel: string): string {
    const held = this.#held.get(channel);
    this.#held.delete(channel);
    if (held === undefined) return "";
    return this.#tally.mask(held.before + held.text, false, held.before.length);
  }
}

/** The two changes of an answer's texts: what the provider says is masked, and placeholders are put back. */
import type { TextKind } from "../dialects/frame-texts.ts";
import type { Masker } from "./masker.ts";
import type { TextChange } from "./reply.ts";
import type { Tally } from "./tally.ts";

const inString = (value: string): string => JSON.stringify(value).slice(1, -1);

/** Puts back what stood where the placeholders are, also where one comes in pieces. */
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
/** So much is held before it is looked at again, as long as it can only be the middle of something. */
const mostUnread = 384;

/** Nothing in it ends a number, or a word. */
const goesOn = (text: string): boolean => /^(?:[\p{Nd}\p{Cf}\s+().\-/:]*|[\w@.%+\\-]*)$/u.test(text);

interface Held {
  /** The last characters that went on: what stands before a match decides whether it is one. */
  before: string;
  text: string;
}

/** Masks what the provider says. What may be the beginning of something is held back, a few hundred characters at most. */
export class MaskAnswer implements TextChange {
  readonly hidesTokens = true;
  readonly #masker: Masker;
  readonly #tally: Tally;
  readonly #held = new Map<string, Held>();

  constructor(masker: Masker, tally: Tally) {
    this.#masker = masker;
    this.#tally = tally;
  }

  whole(text: string): string {
    return this.#tally.mask(text, false);
  }

  piece(channel: string, text: string): string {
    const held = this.#held.get(channel) ?? { before: "", text: "" };
    // Pieces are short: most of the work would be to look at what is held once more for each.
    if (held.text.length + text.length < mostUnread && held.text !== "" && goesOn(text)) {
      held.text += text;
      return "";
    }
    const all = held.before + held.text + text;
    const from = held.before.length;
    const found = this.#masker.find(all, from);
    let cut = Math.max(from, this.#masker.openEnd(all));
    // One that ends where the text does may go on.
    for (const { start, end } of found) if (start < cut && (end > cut || end === all.length)) cut = start;
    let out = "";
    let at = from;
    for (const { start, end, type } of found) {
      if (end > cut) continue;
      this.#tally.counts[type] = (this.#tally.counts[type] ?? 0) + 1;
      out += all.slice(at, start) + this.#masker.replacement(type);
      at = end;
    }
    this.#held.set(channel, { before: all.slice(Math.max(0, cut - contextLength), cut), text: all.slice(cut) });
    return out + all.slice(at, Math.max(at, cut));
  }

  end(channel: string): string {
    const held = this.#held.get(channel);
    this.#held.delete(channel);
    if (held === undefined) return "";
    return this.#tally.mask(held.before + held.text, false, held.before.length);
  }
}

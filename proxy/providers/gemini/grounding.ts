/**
 * Web pages that a text is grounded in or quotes (https://ai.google.dev/api/generate-content#GroundingMetadata,
 * https://ai.google.dev/api/generate-content#citationmetadata), whose positions are in bytes.
 */
import { Buffer } from "node:buffer";
import { chatAnnotation, webAddress } from "../../dialects/citations.ts";
import { isObject, type JsonObject, objectsIn } from "../../wire/json.ts";

interface Piece {
  /** Characters, which are bytes too where `text` is null. */
  length: number;
  /** null if all of it is ASCII, so that a long answer isn't kept. */
  text: string | null;
}

const widthOf = (character: string): number => Buffer.byteLength(character);

/** Characters of a text by their position in bytes. */
export class TextPositions {
  readonly #pieces: Piece[] = [];
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  add(text: string): void {
    const bytes = Buffer.byteLength(text);
    this.#bytes += bytes;
    const last = this.#pieces.at(-1);
    if (bytes !== text.length) this.#pieces.push({ length: text.length, text });
    else if (last?.text === null) last.length += text.length;
    else this.#pieces.push({ length: text.length, text: null });
  }

  /** Position in bytes → in characters, in one pass over the text. */
  of(places: readonly number[]): ReadonlyMap<number, number> {
    const byBytes = new Map<number, number>();
    const waiting = [...new Set(places)].sort((a, b) => b - a);
    let bytes = 0;
    let characters = 0;
    const pass = (upTo: number): void => {
      for (let next = waiting.at(-1); next !== undefined && next <= upTo; next = waiting.at(-1)) {
        byBytes.set(next, characters + Math.max(0, next - bytes));
        waiting.pop();
      }
    };
    for (const { length, text } of this.#pieces) {
      if (text === null) {
        pass(bytes + length);
        bytes += length;
        characters += length;
        continue;
      }
      for (const character of text) {
        pass(bytes);
        bytes += widthOf(character);
        characters += character.length;
      }
    }
    for (const place of waiting) byBytes.set(place, characters);
    return byBytes;
  }
}

interface Source {
  start: number;
  end: number;
  url: string;
  title: string;
}

const place = (value: unknown): number =>
  Number.isSafeInteger(value) && (value as number) > 0 ? (value as number) : 0;
const title = (value: unknown): string => (typeof value === "string" ? value : "");

/** A page that was found; null if it has no address on the web. */
export function pageOf(chunk: JsonObject | undefined): { url: string; title: string } | null {
  const page = [chunk?.["web"], chunk?.["maps"], chunk?.["retrievedContext"]].find(isObject);
  const url = webAddress(page?.["uri"]);
  return url === null ? null : { url, title: title(page?.["title"]) };
}

/** `from`: where a part of the answer begins, in bytes of its text. */
function grounded(metadata: unknown, from: (part: number) => number): Source[] {
  if (!isObject(metadata)) return [];
  const pages = objectsIn(metadata["groundingChunks"]).map(pageOf);
  return objectsIn(metadata["groundingSupports"]).flatMap(({ segment, groundingChunkIndices: indices }) => {
    if (!isObject(segment) || !Array.isArray(indices)) return [];
    const base = from(place(segment["partIndex"]));
    const span = { start: base + place(segment["startIndex"]), end: base + place(segment["endIndex"]) };
    return indices.flatMap((index: unknown) => {
      const page = pages[Number(index)];
      return page == null ? [] : [{ ...span, ...page }];
    });
  });
}

function quoted(metadata: unknown): Source[] {
  if (!isObject(metadata)) return [];
  const sources = objectsIn(metadata["citationSources"] ?? metadata["citations"]);
  return sources.flatMap(({ startIndex, endIndex, uri, title: name }) => {
    const url = webAddress(uri);
    return url === null ? [] : [{ start: place(startIndex), end: place(endIndex), url, title: title(name) }];
  });
}

/** `text`: of the whole answer. */
export function annotationsOf(
  { groundingMetadata, citationMetadata }: JsonObject,
  text: TextPositions,
  from: (part: number) => number = () => 0,
): JsonObject[] {
  const sources = [...grounded(groundingMetadata, from), ...quoted(citationMetadata)];
  if (sources.length === 0) return [];
  const positions = text.of(sources.flatMap(({ start, end }) => [start, end]));
  const characterOf = (bytes: number): number => positions.get(bytes) ?? 0;
  return sources.map(({ start, end, url, title }) =>
    chatAnnotation({ url, title, start: characterOf(start), end: characterOf(end) }),
  );
}

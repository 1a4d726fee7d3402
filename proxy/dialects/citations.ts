/**
 * Citations of a text. Web pages have forms in OpenAI's chat and Responses
 * (https://platform.openai.com/docs/api-reference/chat/object,
 * https://platform.openai.com/docs/api-reference/responses/object). Anthropic's Messages also has forms for places in
 * documents (https://platform.claude.com/docs/en/build-with-claude/citations).
 */
import { isObject, type JsonObject } from "../wire/json.ts";

export interface Citation {
  url: string;
  title: string;
  /** Position in the message's text. */
  start: number;
  end: number;
}

export function webAddress(value: unknown): string | null {
  return typeof value === "string" && /^https?:\/\//i.test(value) ? value : null;
}

const position = (value: unknown): number => (Number.isSafeInteger(value) ? Math.max(0, value as number) : 0);

/** From a chat message's `annotations`; those of other types have no counterpart. */
export function citationsIn(annotations: unknown): Citation[] {
  if (!Array.isArray(annotations)) return [];
  return annotations.filter(isObject).flatMap(({ type, url_citation: cited }) => {
    const url = type === "url_citation" && isObject(cited) ? webAddress(cited["url"]) : null;
    if (url === null || !isObject(cited)) return [];
    const { title, start_index: start, end_index: end } = cited;
    return [{ url, title: typeof title === "string" ? title : "", start: position(start), end: position(end) }];
  });
}

export function chatAnnotation({ url, title, start, end }: Citation): JsonObject {
  return { type: "url_citation", url_citation: { start_index: start, end_index: end, title, url } };
}

/** Positions are in the content part, which begins at `from` in the message's text. */
export function partAnnotation({ url, title, start, end }: Citation, from: number): JsonObject {
  return {
    type: "url_citation",
    start_index: Math.max(0, start - from),
    end_index: Math.max(0, end - from),
    title,
    url,
  };
}

/** No JSON holds it, so only answers in Anthropic's format show it. */
export const claudeCitations = Symbol("citations in Anthropic's form");

/** In Anthropic's form, with its position in the message's text. */
export interface PlacedCitation {
  start: number;
  end: number;
  citation: JsonObject;
}

/** Where Anthropic keeps the page's text, which other providers don't have. */
export const noText = "";

const pageLocation = ({ url, title, start, end }: Citation): PlacedCitation => ({
  start,
  end,
  citation: { type: "web_search_result_location", url, title, cited_text: "", encrypted_index: noText },
});

interface Cited {
  annotations?: unknown;
  [claudeCitations]?: readonly PlacedCitation[];
}

/** Citations of a message or delta, in Anthropic's form. */
export const placedCitations = ({ annotations, [claudeCitations]: own }: Cited): readonly PlacedCitation[] =>
  own ?? citationsIn(annotations).map(pageLocation);

/** A text in pieces, each with its citations. */
export function citedPieces(
  text: string,
  citations: readonly PlacedCitation[],
): { text: string; cited: JsonObject[] }[] {
  const within = citations.filter(({ start, end }) => start < end && end <= text.length);
  const spans = new Map<string, { start: number; end: number; cited: JsonObject[] }>();
  for (const { start, end, citation } of within) {
    const span = spans.get(`${start}:${end}`) ?? { start, end, cited: [] };
    span.cited.push(citation);
    spans.set(`${start}:${end}`, span);
  }
  const pieces: { text: string; cited: JsonObject[] }[] = [];
  let from = 0;
  for (const { start, end, cited } of [...spans.values()].sort((a, b) => a.start - b.start)) {
    // Spans that overlap share a piece.
    const last = pieces.at(-1);
    if (start < from && last !== undefined) {
      last.text += text.slice(from, Math.max(from, end));
      last.cited.push(...cited);
    } else {
      if (start > from) pieces.push({ text: text.slice(from, start), cited: [] });
      pieces.push({ text: text.slice(start, end), cited });
    }
    from = Math.max(from, end);
  }
  if (from < text.length) pieces.push({ text: text.slice(from), cited: [] });
  return pieces;
}

/** A caller's settings for a document, from Anthropic's API. No JSON holds them. */
export const documentWish = Symbol("what is said of a document");

export interface DocumentWish {
  /** Whether the answer is to cite the document. */
  citations: boolean;
  context: string | null;
}

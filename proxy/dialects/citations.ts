/**
 * Web pages that a text cites, in the forms of OpenAI's chat and Responses
 * (https://platform.openai.com/docs/api-reference/chat/object,
 * https://platform.openai.com/docs/api-reference/responses/object). Citations without an address have no form there.
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

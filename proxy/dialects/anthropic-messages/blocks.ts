/** Content blocks of a Messages request → parts of canonical messages (https://platform.claude.com/docs/en/api/messages). */
import { isObject, type JsonObject } from "../../wire/json.ts";
import { type ContentPart, isRefusal, type Refusal, refusal } from "../canonical.ts";
import * as is from "../check.ts";
import { type DocumentWish, documentWish } from "../citations.ts";
import { argumentsIn } from "../tool-arguments.ts";

type PartResult = ContentPart | Refusal;

function unsupported(param: string, what: string): Refusal {
  return refusal(
    param,
    `${what} can't be translated for the provider of this model. Leave it out, or choose an Anthropic model.`,
  );
}

function text(block: JsonObject, param: string): PartResult {
  return is.required(block, "text", is.aString, `${param}.`) ?? { type: "text", text: block["text"] as string };
}

function image(block: JsonObject, param: string): PartResult {
  const problem = is.required(block, "source", is.anObject, `${param}.`);
  if (problem) return problem;
  const source = block["source"] as JsonObject;
  const path = `${param}.source.`;
  if (source["type"] === "url")
    return (
      is.required(source, "url", is.aString, path) ?? { type: "image_url", image_url: { url: source["url"] as string } }
    );
  if (source["type"] !== "base64") return unsupported(`${path}type`, "An image of this kind");
  return base64Refusal(source, path) ?? { type: "image_url", image_url: { url: dataUri(source) } };
}

function base64Refusal(source: JsonObject, path: string): Refusal | null {
  return is.required(source, "media_type", is.aString, path) ?? is.required(source, "data", is.aString, path);
}

function dataUri(source: JsonObject): string {
  return `data:${String(source["media_type"])};base64,${String(source["data"])}`;
}

/** A document's title, context and citation settings, which providers of Claude's models accept. */
function wishOf({ citations, context }: JsonObject): { [documentWish]?: DocumentWish } {
  const cites = isObject(citations) && citations["enabled"] === true;
  const about = typeof context === "string" && context !== "" ? context : null;
  return cites || about !== null ? { [documentWish]: { citations: cites, context: about } } : {};
}

function document(block: JsonObject, param: string): PartResult {
  const part = documentPart(block, param);
  return !isRefusal(part) && part.type === "file" ? { ...part, ...wishOf(block) } : part;
}

function documentPart(block: JsonObject, param: string): PartResult {
  const problem = is.required(block, "source", is.anObject, `${param}.`);
  if (problem) return problem;
  const source = block["source"] as JsonObject;
  const path = `${param}.source.`;
  const filename = typeof block["title"] === "string" ? block["title"] : "document";
  if (source["type"] === "base64")
    return base64Refusal(source, path) ?? { type: "file", file: { filename, file_data: dataUri(source) } };
  if (source["type"] === "text")
    return is.required(source, "data", is.aString, path) ?? { type: "text", text: source["data"] as string };
  if (source["type"] === "url")
    return (
      is.required(source, "url", is.aString, path) ?? {
        type: "file",
        file: { filename, file_data: source["url"] as string },
      }
    );
  if (source["type"] === "content") return blocksOf(source, path);
  return unsupported(`${path}type`, "A document of this kind");
}

/** A document in blocks: their texts. */
function blocksOf(source: JsonObject, path: string): PartResult {
  const parts = partsOf(source["content"] ?? "", `${path}content`);
  if (isRefusal(parts)) return parts;
  if (parts.some((part) => part.type !== "text")) return unsupported(`${path}content`, "A document with images");
  return { type: "text", text: joined(parts, "\n") };
}

/** A search result that the client found: its source and its text. */
function searchResult(block: JsonObject, param: string): PartResult {
  const parts = partsOf(block["content"] ?? "", `${param}.content`);
  if (isRefusal(parts)) return parts;
  const head = [block["title"], block["source"]].filter((line) => typeof line === "string");
  return { type: "text", text: [...head, joined(parts, "\n")].join("\n") };
}

const readers: Readonly<Record<string, (block: JsonObject, param: string) => PartResult>> = {
  text,
  image,
  document,
  search_result: searchResult,
};

/** The block's mark for the prompt cache. */
export const markOf = (block: JsonObject): { cache_control?: JsonObject } =>
  isObject(block["cache_control"]) ? { cache_control: block["cache_control"] } : {};

/** A text, image or document block. */
export function partOf(block: unknown, param: string): PartResult {
  if (!isObject(block)) return is.invalid(param, "an object");
  const type = block["type"];
  if (typeof type !== "string") return is.invalid(`${param}.type`, "a string");
  const read = Object.hasOwn(readers, type) ? readers[type] : undefined;
  if (read === undefined) return unsupported(`${param}.type`, `A block of type ${type.slice(0, 64)}`);
  const part = read(block, param);
  return isRefusal(part) ? part : { ...part, ...markOf(block) };
}

/** A string or a list of blocks, as parts. */
export function partsOf(content: unknown, param: string): ContentPart[] | Refusal {
  if (typeof content === "string") return content === "" ? [] : [{ type: "text", text: content }];
  if (!Array.isArray(content)) return is.invalid(param, "a string or a list of blocks");
  const parts: ContentPart[] = [];
  for (const [index, block] of (content as unknown[]).entries()) {
    const part = partOf(block, `${param}[${index}]`);
    if (isRefusal(part)) return part;
    parts.push(part);
  }
  return parts;
}

/** A single text stays a plain string, which more servers accept than a list. */
export function contentOf(parts: ContentPart[]): string | ContentPart[] {
  const [only] = parts;
  if (only === undefined) return "";
  return parts.length === 1 && only.type === "text" && only.cache_control === undefined ? only.text : parts;
}

/** Texts of a `system` prompt or a tool result, which canonical messages hold as one string. */
export function joined(parts: readonly ContentPart[], by: string): string {
  return parts.flatMap((part) => (part.type === "text" ? [part.text] : [])).join(by);
}

/** A tool's input as JSON text. */
export function inputText(input: unknown): string {
  return JSON.stringify(input ?? {});
}

/**
 * A tool's input from JSON text. Invalid JSON is wrapped as Anthropic's docs on fine-grained tool streaming describe.
 */
export function inputOf(text: string): JsonObject {
  return argumentsIn(text) ?? { INVALID_JSON: text };
}

/**
 * Content of Responses input items → parts of canonical messages
 * (https://platform.openai.com/docs/api-reference/responses/create).
 */
import { isObject, type JsonObject } from "../../wire/json.ts";
import { type ContentPart, isRefusal, type Refusal, refusal } from "../canonical.ts";
import * as is from "../check.ts";

type PartResult = ContentPart | Refusal;

/** Refuses what only OpenAI can do, or what would need memory of earlier calls. */
export function openAiOnly(param: string): Refusal {
  return refusal(
    param,
    `\`${param}\` can't be translated for the provider of this model. Leave it out, or choose an OpenAI model.`,
  );
}

const text = (part: JsonObject, param: string): PartResult =>
  is.required(part, "text", is.aString, `${param}.`) ?? { type: "text", text: part["text"] as string };

function image(part: JsonObject, param: string): PartResult {
  if ((part["file_id"] ?? null) !== null) return openAiOnly(`${param}.file_id`);
  const problem =
    is.required(part, "image_url", is.aString, `${param}.`) ?? is.members(part, { detail: is.aString }, `${param}.`);
  const detail = typeof part["detail"] === "string" ? { detail: part["detail"] } : {};
  return problem ?? { type: "image_url", image_url: { url: part["image_url"] as string, ...detail } };
}

function file(part: JsonObject, param: string): PartResult {
  if ((part["file_id"] ?? null) !== null) return openAiOnly(`${param}.file_id`);
  const source = (part["file_data"] ?? null) === null && (part["file_url"] ?? null) !== null ? "file_url" : "file_data";
  const problem =
    is.required(part, source, is.aString, `${param}.`) ?? is.members(part, { filename: is.aString }, `${param}.`);
  const filename = typeof part["filename"] === "string" ? { filename: part["filename"] } : {};
  return problem ?? { type: "file", file: { file_data: part[source] as string, ...filename } };
}

function audio(part: JsonObject, param: string): PartResult {
  const problem = is.required(part, "input_audio", is.anObject, `${param}.`);
  if (problem) return problem;
  const audio = part["input_audio"] as JsonObject;
  const bad =
    is.required(audio, "data", is.aString, `${param}.input_audio.`) ??
    is.required(audio, "format", is.aString, `${param}.input_audio.`);
  return (
    bad ?? { type: "input_audio", input_audio: { data: audio["data"] as string, format: audio["format"] as string } }
  );
}

const readers: Readonly<Record<string, (part: JsonObject, param: string) => PartResult>> = {
  input_text: text,
  output_text: text,
  input_image: image,
  input_file: file,
  input_audio: audio,
  refusal: (part, param) =>
    is.required(part, "refusal", is.aString, `${param}.`) ?? { type: "refusal", refusal: part["refusal"] as string },
};

/** A string or a list of parts. */
export function partsOf(content: unknown, param: string): ContentPart[] | Refusal {
  if (typeof content === "string") return [{ type: "text", text: content }];
  if (!Array.isArray(content)) return is.invalid(param, "a string or a list of parts");
  const parts: ContentPart[] = [];
  for (const [index, part] of (content as unknown[]).entries()) {
    const where = `${param}[${index}]`;
    if (!isObject(part)) return is.invalid(where, "an object");
    const type = String(part["type"]);
    const read = Object.hasOwn(readers, type) ? readers[type] : undefined;
    const translated =
      read === undefined ? is.invalid(`${where}.type`, `one of ${Object.keys(readers).join(", ")}`) : read(part, where);
    if (isRefusal(translated)) return translated;
    parts.push(translated);
  }
  return parts;
}

/** A single text stays a plain string, which more servers accept than a list. */
export function contentOf(parts: ContentPart[]): string | ContentPart[] {
  const [only] = parts;
  return parts.length === 1 && only?.type === "text" ? only.text : parts;
}

export function textOf(parts: readonly ContentPart[], type: "text" | "refusal"): string {
  return parts
    .flatMap((part) =>
      part.type === "text" && type === "text"
        ? [part.text]
        : part.type === "refusal" && type === "refusal"
          ? [part.refusal]
          : [],
    )
    .join("");
}

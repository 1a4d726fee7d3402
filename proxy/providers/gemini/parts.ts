/** Content parts → Gemini's `parts` (https://ai.google.dev/api/caching#Part). */

import { type ContentPart, isRefusal, type Refusal, refusal } from "../../dialects/canonical.ts";
import type { JsonObject } from "../../wire/json.ts";

const dataUri = /^data:([^;,]+)((?:;[^;,]+)*);base64,(.*)$/s;

/** Types that OpenAI's clients send and Gemini has under another name. */
const mimeTypes: Readonly<Record<string, string>> = { "image/jpg": "image/jpeg" };
/** https://ai.google.dev/gemini-api/docs/audio */
const audioTypes: Readonly<Record<string, string>> = { wav: "audio/wav", mp3: "audio/mp3" };

const imageTypes: Readonly<Record<string, string>> = {
  png: "png",
  gif: "gif",
  webp: "webp",
  heic: "heic",
  heif: "heif",
};

/** By the path's ending, since the type is required and the gateway fetches nothing. */
function imageTypeOf(url: string): string {
  const ending = /\.([a-z]+)(?:[?#]|$)/i.exec(url)?.[1]?.toLowerCase() ?? "";
  return `image/${Object.hasOwn(imageTypes, ending) ? imageTypes[ending] : "jpeg"}`;
}

/** https://ai.google.dev/gemini-api/docs/file-input-methods */
const fileTypes: Readonly<Record<string, string>> = {
  txt: "text/plain",
  md: "text/markdown",
  csv: "text/csv",
  html: "text/html",
  xml: "text/xml",
  json: "application/json",
  mp4: "video/mp4",
  mpeg: "video/mpeg",
  mov: "video/mov",
  webm: "video/webm",
  avi: "video/avi",
  wmv: "video/wmv",
  flv: "video/x-flv",
};

/** https://ai.google.dev/gemini-api/docs/video-understanding */
const isYouTube = (url: string): boolean => /^https:\/\/(www\.|m\.)?(youtube\.com|youtu\.be)\//i.test(url);

/** Most files that are sent by their address are PDFs. */
function fileTypeOf(url: string, filename: string): string {
  if (isYouTube(url)) return "video/*";
  const ending = /\.([a-z]+)(?:[?#]|$)/i.exec(url)?.[1] ?? /\.([a-z]+)$/i.exec(filename)?.[1] ?? "";
  const type = ending.toLowerCase();
  return (Object.hasOwn(fileTypes, type) ? fileTypes[type] : undefined) ?? "application/pdf";
}

function inline(url: string, param: string, words: string): JsonObject | Refusal {
  const match = dataUri.exec(url);
  const mimeType = match?.[1]?.toLowerCase();
  if (match === null || mimeType === undefined) return refusal(param, words);
  return { inlineData: { mimeType: mimeTypes[mimeType] ?? mimeType, data: match[3] ?? "" } };
}

/**
 * A file that some caller's account keeps (https://ai.google.dev/gemini-api/docs/files). The gateway hands out no such
 * address, and one that is guessed may name another tenant's file.
 */
function isAccountFile(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname } = new URL(url);
  return protocol === "gs:" || /generativelanguage.*\.googleapis\.com\.?$/.test(hostname);
}
const accountFile = "Files kept by the provider can't be used by their address. Send the file as a data URI.";

type Read<T extends ContentPart> = (part: T, param: string) => JsonObject | Refusal;

/** Adds names of parts that the model doesn't accept to `dropped`. */
export interface PartOptions {
  dropped: Set<string>;
  /** Whether each picture may have a resolution of its own. */
  resolutions: boolean;
}

/** https://ai.google.dev/gemini-api/docs/generate-content/media-resolution */
const resolutions: Readonly<Record<string, string>> = {
  low: "MEDIA_RESOLUTION_LOW",
  medium: "MEDIA_RESOLUTION_MEDIUM",
  high: "MEDIA_RESOLUTION_HIGH",
  original: "MEDIA_RESOLUTION_ULTRA_HIGH",
};

function resolutionOf(part: ContentPart, options: PartOptions): JsonObject {
  const detail = part.type === "image_url" ? (part.image_url.detail ?? "auto") : "auto";
  if (detail === "auto") return {};
  const level = options.resolutions && Object.hasOwn(resolutions, detail) ? resolutions[detail] : undefined;
  if (level !== undefined) return { mediaResolution: { level } };
  options.dropped.add("image_url.detail");
  return {};
}

const readers: { [T in ContentPart as T["type"]]: Read<T> } = {
  text: (part) => ({ text: part.text }),
  refusal: (part) => ({ text: part.refusal }),
  image_url: (part, param) => {
    const { url } = part.image_url;
    if (isAccountFile(url)) return refusal(`${param}.image_url.url`, accountFile);
    if (/^https?:\/\//i.test(url)) return { fileData: { fileUri: url, mimeType: imageTypeOf(url) } };
    const words = "Send the image by an http(s) URL or as a data URI (`data:image/png;base64,…`).";
    return inline(url, `${param}.image_url.url`, words);
  },
  input_audio: (part, param) => {
    const { format, data } = part.input_audio;
    const mimeType = Object.hasOwn(audioTypes, format) ? audioTypes[format] : undefined;
    if (mimeType === undefined)
      return refusal(`${param}.input_audio.format`, "Gemini accepts audio only as wav or mp3.");
    return { inlineData: { mimeType, data } };
  },
  file: (part, param) => {
    const { file_data: data = "", filename = "" } = part.file;
    if (isAccountFile(data)) return refusal(`${param}.file`, accountFile);
    if (/^https?:\/\//i.test(data)) return { fileData: { fileUri: data, mimeType: fileTypeOf(data, filename) } };
    const words = "Gemini has no access to OpenAI's files. Send the file itself as a data URI in `file_data`.";
    return inline(data, `${param}.file`, words);
  },
};

function readPart(part: ContentPart, param: string, options: PartOptions): JsonObject | Refusal {
  const read = readers[part.type] as Read<ContentPart> | undefined;
  const made = read ? read(part, param) : refusal(`${param}.type`, "Gemini doesn't support this kind of content.");
  return isRefusal(made) ? made : { ...made, ...resolutionOf(part, options) };
}

/** Empty texts are dropped, since Gemini refuses them. */
export function partsOf(
  content: string | ContentPart[] | null | undefined,
  param: string,
  options: PartOptions,
): JsonObject[] | Refusal {
  if (typeof content === "string") return content === "" ? [] : [{ text: content }];
  const parts: JsonObject[] = [];
  for (const [index, contentPart] of (content ?? []).entries()) {
    const part = readPart(contentPart, `${param}[${index}]`, options);
    if (isRefusal(part)) return part;
    if (part["text"] !== "") parts.push(part);
  }
  return parts;
}

/** For places that hold only text. */
export function textOf(content: string | ContentPart[] | null | undefined, param: string): string | Refusal {
  if (typeof content === "string") return content;
  const other = (content ?? []).findIndex((part) => part.type !== "text");
  if (other >= 0) return refusal(`${param}[${other}]`, "Gemini accepts only text here.");
  return (content ?? []).map((part) => (part.type === "text" ? part.text : "")).join("");
}

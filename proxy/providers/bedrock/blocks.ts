/**
 * Content blocks of Converse (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html).
 */

import { type Refusal, refusal } from "../../dialects/canonical.ts";
import { type DocumentWish, documentWish } from "../../dialects/citations.ts";
import type { JsonObject } from "../../wire/json.ts";
import { isSigned } from "../anthropic/blocks.ts";
import { mediaOf } from "../anthropic/media.ts";
import type { BlockForms } from "../anthropic/turns.ts";

const imageFormats: Readonly<Record<string, string>> = {
  "image/png": "png",
  "image/jpeg": "jpeg",
  "image/gif": "gif",
  "image/webp": "webp",
};
const pdf = "application/pdf";
/** https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html */
const documentFormats: Readonly<Record<string, string>> = {
  [pdf]: "pdf",
  "text/csv": "csv",
  "text/html": "html",
  "text/plain": "txt",
  "text/markdown": "md",
  "application/msword": "doc",
  "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
  "application/vnd.ms-excel": "xls",
  "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
};

/** https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_VideoBlock.html */
const videoFormats: Readonly<Record<string, string>> = {
  "video/mp4": "mp4",
  "video/quicktime": "mov",
  "video/mov": "mov",
  "video/webm": "webm",
  "video/x-matroska": "mkv",
  "video/mpeg": "mpeg",
  "video/x-flv": "flv",
  "video/x-ms-wmv": "wmv",
  "video/3gpp": "three_gp",
};
const formatIn = (formats: Readonly<Record<string, string>>, mediaType: string): string | undefined =>
  Object.hasOwn(formats, mediaType) ? formats[mediaType] : undefined;

/** https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_CachePointBlock.html */
export const cachePoint = ({ ttl }: JsonObject): JsonObject => ({
  cachePoint: { type: "default", ...(ttl === "1h" ? { ttl } : {}) },
});

/** Other model families would refuse Claude's signed reasoning. */
function reasoning(block: JsonObject): JsonObject {
  if (block["type"] === "redacted_thinking") return { reasoningContent: { redactedContent: block["data"] } };
  return { reasoningContent: { reasoningText: { text: block["thinking"], signature: block["signature"] } } };
}

export function converseBlocks(claude: boolean): BlockForms {
  let documents = 0;
  /** AWS recommends neutral names, because the model reads them. They must be unique. */
  const document = (data: string, format = "pdf", wish?: DocumentWish): JsonObject => ({
    document: {
      format,
      name: `document-${++documents}`,
      source: { bytes: data },
      ...(wish?.citations === true ? { citations: { enabled: true } } : {}),
      ...(wish?.context == null ? {} : { context: wish.context }),
    },
  });
  const media = (uri: string, param: string): JsonObject | Refusal => {
    const media = mediaOf(uri);
    if (media?.mediaType === pdf) return document(media.data);
    const format =
      media !== null && Object.hasOwn(imageFormats, media.mediaType) ? imageFormats[media.mediaType] : undefined;
    if (media === null || format === undefined)
      return refusal(
        param,
        `\`${param}\` must be a base64 data URI of one of ${Object.keys(imageFormats).join(", ")}: the provider of this model doesn't fetch URLs.`,
      );
    return { image: { format, source: { bytes: media.data } } };
  };
  return {
    text: (text) => ({ text }),
    image: (part, param) => media(part.image_url.url, param),
    file(part, param) {
      const media = mediaOf(part.file.file_data ?? "");
      const video = media === null ? undefined : formatIn(videoFormats, media.mediaType);
      if (media !== null && video !== undefined) return { video: { format: video, source: { bytes: media.data } } };
      const format = media === null ? undefined : formatIn(documentFormats, media.mediaType);
      return media !== null && format !== undefined
        ? document(media.data, format, part[documentWish])
        : refusal(
            param,
            `\`${param}\` must be in \`file_data\`, as one of ${Object.values(documentFormats).join(", ")}.`,
          );
    },
    toolUse: (toolUseId, name, input) => ({ toolUse: { toolUseId, name, input } }),
    // Converse refuses blank text.
    toolResult: (toolUseId, content, failed) => ({
      toolResult: {
        toolUseId,
        content: content.length > 0 ? content.filter((block) => !("cachePoint" in block)) : [{ text: "(empty)" }],
        ...(failed ? { status: "error" } : {}),
      },
    }),
    marked: (block, mark) => (claude ? [block, cachePoint(mark)] : [block]),
    thinking: (block) => (claude && isSigned(block) ? reasoning(block) : null),
  };
}

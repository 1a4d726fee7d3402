/** Content blocks of Anthropic's Messages (https://platform.claude.com/docs/en/api/messages/create). */

import { Buffer } from "node:buffer";
import { refusal } from "../../dialects/canonical.ts";
import { documentWish } from "../../dialects/citations.ts";
import type { JsonObject } from "../../wire/json.ts";
import { foreignSignature } from "../carried.ts";
import { isWebAddress, mediaOf } from "./media.ts";
import type { BlockForms } from "./turns.ts";

/** https://platform.claude.com/docs/en/build-with-claude/vision */
const imageTypes: ReadonlySet<string> = new Set(["image/jpeg", "image/png", "image/gif", "image/webp"]);

const base64 = (type: "image" | "document", media_type: string, data: string): JsonObject => ({
  type,
  source: { type: "base64", media_type, data },
});

const isText = (mediaType: string): boolean => mediaType.startsWith("text/") || mediaType === "application/json";

/** https://platform.claude.com/docs/en/build-with-claude/files#file-types-and-content-blocks */
const textSource = (data: string): JsonObject => ({
  type: "text",
  media_type: "text/plain",
  data: Buffer.from(data, "base64").toString("utf8"),
});

/** Whether a thinking block has a signature or is redacted. Only such blocks can be sent back. */
export function isSigned(block: JsonObject): boolean {
  if (block["type"] === "redacted_thinking") return typeof block["data"] === "string" && block["data"] !== "";
  return (
    block["type"] === "thinking" &&
    typeof block["thinking"] === "string" &&
    typeof block["signature"] === "string" &&
    block["signature"] !== "" &&
    !block["signature"].startsWith(foreignSignature)
  );
}

export const anthropicBlocks: BlockForms = {
  text: (text) => ({ type: "text", text }),
  image(part, param) {
    const { url } = part.image_url;
    if (isWebAddress(url)) return { type: "image", source: { type: "url", url } };
    const media = mediaOf(url);
    if (media?.mediaType === "application/pdf") return base64("document", media.mediaType, media.data);
    if (media !== null && imageTypes.has(media.mediaType)) return base64("image", media.mediaType, media.data);
    return refusal(param, `\`${param}\` must be a URL, or a base64 data URI of one of ${[...imageTypes].join(", ")}.`);
  },
  file(part, param) {
    const { file_data: data = "", filename } = part.file;
    const wish = part[documentWish];
    const title = {
      ...(filename ? { title: filename } : {}),
      ...(wish?.context == null ? {} : { context: wish.context }),
      ...(wish?.citations === true ? { citations: { enabled: true } } : {}),
    };
    if (isWebAddress(data)) return { type: "document", source: { type: "url", url: data }, ...title };
    const media = mediaOf(data);
    if (media?.mediaType === "application/pdf") return { ...base64("document", media.mediaType, media.data), ...title };
    if (media !== null && imageTypes.has(media.mediaType)) return base64("image", media.mediaType, media.data);
    if (media !== null && isText(media.mediaType))
      return { type: "document", source: textSource(media.data), ...title };
    return refusal(param, "The provider of this model accepts files only as a PDF or as text, in `file_data`.");
  },
  toolUse: (id, name, input) => ({ type: "tool_use", id, name, input }),
  toolResult: (tool_use_id, content, failed) => ({
    type: "tool_result",
    tool_use_id,
    ...(content.length > 0 ? { content } : {}),
    ...(failed ? { is_error: true } : {}),
  }),
  marked: (block, cache_control) => [{ ...block, cache_control }],
  thinking: (block) => (isSigned(block) ? block : null),
};

/** The formats that pass through without a chat form, by wire format. */
import type { MediaWireFormat, WireFormat } from "../config/capabilities.ts";
import { speech, transcriptions, translations } from "./audio.ts";
import type { MediaFormat } from "./format.ts";
import { edits, generations, variations } from "./images.ts";
import { moderations } from "./moderations.ts";
import { rerank } from "./rerank.ts";

const media: Readonly<Record<MediaWireFormat, MediaFormat>> = {
  "openai.images": generations,
  "openai.image_edits": edits,
  "openai.image_variations": variations,
  "openai.speech": speech,
  "openai.transcriptions": transcriptions,
  "openai.translations": translations,
  "openai.moderations": moderations,
  "cohere.rerank": rerank,
};

/** null for chats and embeddings. */
export const mediaFormat = (format: WireFormat): MediaFormat | null =>
  (media as Partial<Record<WireFormat, MediaFormat>>)[format] ?? null;

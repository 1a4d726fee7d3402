/** OpenAI's chat completions: the canonical format itself, so decoding only checks the body. */
import type { Dialect } from "../dialect.ts";
import { OpenAiObserver } from "./observer.ts";
import { encodeReply } from "./reply.ts";
import { decode } from "./request.ts";
import { OpenAiChatEncoder } from "./stream.ts";
import { unreadMembers } from "./unread.ts";
import { decodeUsage } from "./usage.ts";

export const dialect: Dialect = {
  format: "openai.chat",
  surface: "openai",
  decode,
  dropped: unreadMembers,
  encodeReply,
  encoder: (context) => new OpenAiChatEncoder(context),
  observer: (options) => new OpenAiObserver({ ...options, contentMarker: '"content":"' }),
  usageOf: (body) => decodeUsage(body["usage"], body["service_tier"]),
};

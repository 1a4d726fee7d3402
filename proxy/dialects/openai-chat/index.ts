/** What OpenAI's SDKs speak: https://platform.openai.com/docs/api-reference/chat */
import { usageOf } from "../../providers/openai/reply.ts";
import type { Dialect } from "../dialect.ts";
import { decodeChat } from "./decode.ts";
import { encodeReply, encoder } from "./encode.ts";
import { OpenAiStreamObserver } from "./observe.ts";

export const dialect: Dialect = {
  format: "openai.chat",
  surface: "openai",
  decode: decodeChat,
  encodeReply,
  encoder,
  observer: ({ hideUsage }) => new OpenAiStreamObserver(hideUsage, (body) => usageOf(body["usage"])),
  usageOf: (body) => usageOf(body["usage"]),
};

/** OpenAI's legacy completions, for clients that never moved to chat. */
import type { Dialect } from "../dialect.ts";
import { OpenAiObserver } from "../openai-chat/observer.ts";
import { decodeUsage } from "../openai-chat/usage.ts";
import { CompletionsEncoder, encodeReply } from "./reply.ts";
import { decode, dropped } from "./request.ts";

export const dialect: Dialect = {
  format: "openai.completions",
  surface: "openai",
  decode,
  dropped,
  encodeReply,
  encoder: (context) => new CompletionsEncoder(context),
  observer: (options) => new OpenAiObserver({ ...options, contentMarker: '"text":"' }),
  usageOf: (body) => decodeUsage(body["usage"], body["service_tier"]),
};

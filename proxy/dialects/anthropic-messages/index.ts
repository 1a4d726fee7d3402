/** Anthropic's Messages API, as its official SDKs speak it. */
import type { Dialect } from "../dialect.ts";
import { AnthropicObserver } from "./observer.ts";
import { encodeReply } from "./reply.ts";
import { decode, dropped } from "./request.ts";
import { AnthropicEncoder } from "./stream.ts";
import { decodeUsage } from "./usage.ts";

export const dialect: Dialect = {
  format: "anthropic.messages",
  surface: "anthropic",
  decode,
  dropped,
  encodeReply,
  encoder: (context) => new AnthropicEncoder(context),
  observer: ({ maxEventBytes }) => new AnthropicObserver(maxEventBytes),
  usageOf: (body) => decodeUsage(body["usage"]),
};

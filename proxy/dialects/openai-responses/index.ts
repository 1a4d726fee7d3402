/** OpenAI's Responses, as far as a gateway without memory of earlier calls can translate them. */
import type { Dialect } from "../dialect.ts";
import { ResponsesObserver } from "./observer.ts";
import { encodeReply } from "./reply.ts";
import { decode, dropped } from "./request.ts";
import { ResponsesEncoder } from "./stream.ts";
import { usageOf } from "./usage.ts";

export const dialect: Dialect = {
  format: "openai.responses",
  surface: "responses",
  decode,
  dropped,
  encodeReply,
  encoder: (context) => new ResponsesEncoder(context),
  observer: ({ maxEventBytes }) => new ResponsesObserver(maxEventBytes),
  usageOf,
};

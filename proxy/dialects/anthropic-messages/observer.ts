/**
 * Observes an Anthropic stream that passes through: usage from `message_start` and `message_delta`, the end, and
 * errors.
 */

import { isObject, type JsonObject } from "../../wire/json.ts";
import { NamedFrameObserver } from "../named-frames.ts";
import { progressOfMessageEvent, type StreamProgress } from "../verdict/answer.ts";
import { decodeUsage, mergeUsage } from "./usage.ts";

const names: ReadonlySet<string> = new Set(["message_start", "message_delta", "message_stop", "error"]);
const idleNames: ReadonlySet<string> = new Set([
  "message_start",
  "ping",
  "content_block_stop",
  "message_stop",
  "error",
]);
const contentNames: ReadonlySet<string> = new Set(["content_block_delta"]);

const closing: ReadonlySet<string> = new Set(["content_block_stop"]);

export class AnthropicObserver extends NamedFrameObserver {
  #raw: JsonObject = {};

  constructor(maxEventBytes?: number) {
    super(names, contentNames, '"text":"', { idle: idleNames, closing }, maxEventBytes);
  }

  protected override progressOf(name: string, body: unknown): StreamProgress {
    return progressOfMessageEvent(name, body);
  }

  protected override event(name: string, body: JsonObject): boolean {
    if (name === "error") return this.#failed(isObject(body["error"]) ? body["error"] : {}, body);
    if (name === "message_delta") this.usageIsFinal = true;
    if (name === "message_stop") this.ended = true;
    else this.#count(name === "message_start" && isObject(body["message"]) ? body["message"]["usage"] : body["usage"]);
    return true;
  }

  #count(usage: unknown): void {
    if (!isObject(usage)) return;
    this.#raw = mergeUsage(this.#raw, usage);
    this.usage = decodeUsage(this.#raw);
  }

  #failed(error: JsonObject, body: JsonObject): false {
    const message =
      typeof error["message"] === "string" && error["message"] !== ""
        ? error["message"]
        : "The provider broke off the answer.";
    return this.fail(message, typeof error["type"] === "string" ? error["type"] : null, body);
  }
}

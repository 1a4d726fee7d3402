/**
 * Observes an OpenAI Responses stream that passes through. `response.failed` is this format's own failure event, so it
 * is passed on.
 */

import { isObject, type JsonObject } from "../../wire/json.ts";
import { NamedFrameObserver } from "../named-frames.ts";
import { lifeCycleEvents, progressOfResponseEvent, type StreamProgress } from "../verdict/answer.ts";
import { usageOf } from "./usage.ts";

const terminal = ["response.completed", "response.incomplete", "response.failed"];
const names: ReadonlySet<string> = new Set([...terminal, "error"]);
const contentNames: ReadonlySet<string> = new Set([
  "response.output_text.delta",
  "response.refusal.delta",
  "response.function_call_arguments.delta",
  "response.reasoning_summary_text.delta",
  "response.reasoning_text.delta",
]);

const closing: ReadonlySet<string> = new Set(["response.output_item.done"]);

export class ResponsesObserver extends NamedFrameObserver {
  failure: { message: string; code: string | null } | null = null;

  constructor(maxEventBytes?: number) {
    super(names, contentNames, '"delta":"', { idle: lifeCycleEvents, closing }, maxEventBytes);
  }

  protected override progressOf(name: string, body: unknown): StreamProgress {
    return progressOfResponseEvent(name, body);
  }

  protected override event(name: string, body: JsonObject): boolean {
    if (name === "error") return this.#failed(isObject(body["error"]) ? body["error"] : body, body);
    this.usageIsFinal = true;
    this.usage = (isObject(body["response"]) ? usageOf(body["response"]) : null) ?? this.usage;
    this.ended = true;
    if (name === "response.failed") {
      const error = isObject(body["response"]) && isObject(body["response"]["error"]) ? body["response"]["error"] : {};
      this.failure = wordsOf(error);
      this.errorBody = { error };
    }
    return true;
  }

  #failed(error: JsonObject, body: JsonObject): false {
    const { message, code } = wordsOf(error);
    return this.fail(message, code, body);
  }
}

function wordsOf(error: JsonObject): { message: string; code: string | null } {
  const message =
    typeof error["message"] === "string" && error["message"] !== ""
      ? error["message"]
      : "The provider broke off the answer.";
  return { message, code: error["code"] == null ? null : String(error["code"]) };
}

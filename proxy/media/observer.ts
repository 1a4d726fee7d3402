/** Observes streams of images, speech and transcripts, whose last event has the usage. */

import type { Usage } from "../dialects/canonical.ts";
import { NamedFrameObserver } from "../dialects/named-frames.ts";
import type { StreamProgress } from "../dialects/verdict/answer.ts";
import { isObject, type JsonObject } from "../wire/json.ts";
import type { MediaFormat, MediaRequest } from "./format.ts";

/** Events that end an image, the speech or the transcript. A stream may hold several images. */
const last = ["image_generation.completed", "image_edit.completed", "speech.audio.done", "transcript.text.done"];
const names: ReadonlySet<string> = new Set([...last, "error"]);
const contentNames: ReadonlySet<string> = new Set(["transcript.text.delta"]);
const none: ReadonlySet<string> = new Set();

const sum = (before: Usage | null, more: Usage): Usage => {
  if (before === null) return more;
  const units = { ...before.units };
  for (const [unit, count] of Object.entries(more.units ?? {}))
    units[unit as keyof typeof units] = (units[unit as keyof typeof units] ?? 0) + count;
  return { ...more, prompt: before.prompt + more.prompt, completion: before.completion + more.completion, units };
};

export class MediaObserver extends NamedFrameObserver {
  readonly #format: MediaFormat;
  readonly #request: MediaRequest;

  constructor(format: MediaFormat, request: MediaRequest, maxEventBytes?: number) {
    super(names, contentNames, '"delta":"', { idle: none, closing: none }, maxEventBytes);
    this.#format = format;
    this.#request = request;
  }

  protected override progressOf(name: string): StreamProgress {
    return name === "error" || name === "" ? "waiting" : "begun";
  }

  protected override event(name: string, body: JsonObject): boolean {
    if (name === "error") {
      const error = isObject(body["error"]) ? body["error"] : body;
      const message = typeof error["message"] === "string" ? error["message"] : "The provider broke off the answer.";
      return this.fail(message, error["code"] == null ? null : String(error["code"]), { error });
    }
    const usage = this.#format.usageOf(body, this.#request);
    if (usage !== null) this.usage = sum(this.usage, usage);
    this.contentEnded = true;
    this.usageIsFinal = true;
    return true;
  }
}

/** Events → `chat.completion.chunk`s (https://platform.openai.com/docs/api-reference/chat-streaming). Frames have no `event:` line. */
import type { ChatDelta, StreamEvent, Usage } from "../canonical.ts";
import type { ChatStreamEncoder, ReplyContext } from "../dialect.ts";
import { tierOf } from "../usage-counts.ts";
import { FreeformCalls, freeformNames } from "./custom-tools.ts";
import { functionPieces, functionReason, offersFunctions } from "./legacy-functions.ts";
import { hidesReasoning, withoutReasoning } from "./spellings.ts";
import { encodeUsage } from "./usage.ts";

export class OpenAiChatEncoder implements ChatStreamEncoder {
  readonly #context: ReplyContext;
  readonly #tail: string;
  readonly #opened = new Set<number>();
  /** null if the client has no freeform tools. */
  readonly #freeform: FreeformCalls | null;
  readonly #functions: boolean;
  readonly #hidesReasoning: boolean;
  #head = "";
  #usage: Usage | null = null;

  constructor(context: ReplyContext) {
    this.#context = context;
    const freeform = freeformNames(context.body);
    this.#functions = offersFunctions(context.body);
    this.#hidesReasoning = hidesReasoning(context.body);
    this.#freeform = freeform.size === 0 ? null : new FreeformCalls(freeform);
    // With include_usage, every chunk but the last has `usage: null`.
    this.#tail = context.includeUsage ? ',"usage":null}\n\n' : "}\n\n";
  }

  encode(event: StreamEvent): string {
    switch (event.kind) {
      case "start":
        this.#begin(event.id, event.fingerprint);
        return "";
      case "delta":
        return this.#open(event.choice) + this.#delta(event.choice, event.delta, event.logprobs);
      case "finish":
        return this.#open(event.choice) + this.#inputs(event.choice) + this.#finish(event);
      case "usage":
        this.#usage = event.usage;
        return "";
      case "ping":
        return ": ping\n\n";
      case "end":
        return `${this.#usageChunk()}data: [DONE]\n\n`;
      case "error":
        return "";
    }
  }

  #finish({ choice, reason, native }: Extract<StreamEvent, { kind: "finish" }>): string {
    return this.#choice(choice, "{}", null, this.#functions ? functionReason(reason) : reason, native);
  }

  #inputs(choice: number): string {
    const calls = this.#freeform?.end(choice) ?? [];
    return calls.length === 0 ? "" : this.#choice(choice, JSON.stringify({ tool_calls: calls }), null, null);
  }

  /** Every chunk has the same id, time and model. */
  #begin(id: string | null, fingerprint?: string): void {
    const { fallbackId, createdSeconds, model } = this.#context;
    const shared = JSON.stringify({
      id: id ?? fallbackId,
      object: "chat.completion.chunk",
      created: createdSeconds,
      model,
      ...(fingerprint === undefined ? {} : { system_fingerprint: fingerprint }),
    });
    this.#head = `data: ${shared.slice(0, -1)},"choices":[`;
  }

  /** The first chunk of each choice has the role. */
  #open(choice: number): string {
    if (this.#head === "") this.#begin(null);
    if (this.#opened.has(choice)) return "";
    this.#opened.add(choice);
    return this.#choice(choice, '{"role":"assistant","content":"","refusal":null}', null, null);
  }

  #delta(choice: number, delta: ChatDelta, logprobs: unknown): string {
    const { role: _role, ...rest } = this.#hidesReasoning ? withoutReasoning(delta) : delta;
    const text = JSON.stringify(this.#inClientsForm(choice, rest));
    return text === "{}" && logprobs === undefined ? "" : this.#choice(choice, text, logprobs, null);
  }

  #inClientsForm(choice: number, delta: ChatDelta): object {
    if (this.#freeform !== null) return this.#withForms(choice, delta, this.#freeform);
    if (!this.#functions) return delta;
    const { tool_calls: pieces, ...rest } = delta;
    return { ...rest, ...functionPieces(pieces) };
  }

  #withForms(choice: number, { tool_calls: calls, ...rest }: ChatDelta, freeform: FreeformCalls): object {
    const pieces = freeform.pieces(choice, calls ?? []);
    return pieces.length === 0 ? rest : { ...rest, tool_calls: pieces };
  }

  #choice(index: number, delta: string, logprobs: unknown, reason: string | null, native?: string): string {
    const more = native === undefined ? "" : `,"native_finish_reason":${JSON.stringify(native)}`;
    const finish = reason === null ? "null" : `"${reason}"`;
    return `${this.#head}{"index":${index},"delta":${delta},"logprobs":${JSON.stringify(logprobs ?? null)},"finish_reason":${finish}${more}}]${this.#tail}`;
  }

  #usageChunk(): string {
    if (this.#usage === null || !this.#context.includeUsage) return "";
    if (this.#head === "") this.#begin(null);
    const tier = tierOf(this.#usage);
    const processed = tier === null ? "" : `,"service_tier":${JSON.stringify(tier)}`;
    return `${this.#head}]${processed},"usage":${JSON.stringify(encodeUsage(this.#usage))}}\n\n`;
  }
}

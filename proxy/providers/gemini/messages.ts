/**
 * Canonical messages → `contents` and `systemInstruction` (https://ai.google.dev/api/generate-content). Gemini pairs a
 * call with its result by position, wants all results of a turn in one separate content, and identifies them by the
 * function's name, which OpenAI's tool messages don't have.
 */
import { type ChatMessage, isRefusal, type Refusal, refusal, type ToolCall } from "../../dialects/canonical.ts";
import { argumentsIn } from "../../dialects/tool-arguments.ts";
import { isObject, type JsonObject, jsonIn } from "../../wire/json.ts";
import { type PartOptions, partsOf, textOf } from "./parts.ts";
import { isShallow } from "./reply.ts";
import { escapeSignature, withoutSignature } from "./signature.ts";

export interface Contents {
  systemInstruction: JsonObject | null;
  contents: JsonObject[];
}

interface Content {
  role: "user" | "model";
  parts: JsonObject[];
  /** Whether a content holds tool results, which are not mixed with other parts. */
  results: boolean;
}

/** A call of the last assistant turn, and its result once there is one. */
interface Pending {
  id: string;
  name: string;
  response: JsonObject | null;
  /** Images and files of the result. */
  media: JsonObject[];
}

function parsedObject(text: string): JsonObject | null {
  const value = jsonIn(text);
  return isObject(value) && isShallow(value) ? value : null;
}

/** Differences between models and APIs. */
export interface ContentForms {
  /** Takes media within a function's response and a resolution for each picture, and refuses calls without a signature. */
  isGemini3: boolean;
  /** Whether calls and their results have ids: Vertex AI pairs them by their order only. */
  callIds: boolean;
}

class Conversation {
  readonly #system: string[] = [];
  readonly #contents: Content[] = [];
  readonly #options: PartOptions;
  readonly #forms: ContentForms;
  #pending: Pending[] = [];

  constructor(dropped: Set<string>, forms: ContentForms) {
    this.#options = { dropped, resolutions: forms.isGemini3 };
    this.#forms = forms;
  }

  add(message: ChatMessage, param: string): Refusal | null {
    if (message.name !== undefined && message.role !== "tool") this.#options.dropped.add("messages.name");
    if (message.role !== "tool") this.#flush();
    switch (message.role) {
      case "system":
      case "developer":
        return this.#instruct(message, param);
      case "user":
        return this.#user(message, param);
      case "assistant":
        return this.#assistant(message, param);
      case "tool":
        return this.#result(message, param);
      default:
        return refusal(
          `${param}.role`,
          "Gemini doesn't support function messages. Use `tool_calls` and the role tool.",
        );
    }
  }

  /** Texts that the caller keeps apart stay apart. */
  #instruct({ content }: ChatMessage, param: string): Refusal | null {
    const text = textOf(content, `${param}.content`);
    if (typeof text !== "string") return text;
    const texts = Array.isArray(content) ? content.map((part) => (part.type === "text" ? part.text : "")) : [text];
    this.#system.push(...texts.filter((words) => words !== ""));
    return null;
  }

  #user(message: ChatMessage, param: string): Refusal | null {
    const parts = partsOf(message.content, `${param}.content`, this.#options);
    if (isRefusal(parts)) return parts;
    this.#push("user", parts.length > 0 ? parts : [{ text: " " }]);
    return null;
  }

  #assistant(message: ChatMessage, param: string): Refusal | null {
    const parts = partsOf(message.content, `${param}.content`, this.#options);
    if (isRefusal(parts)) return parts;
    if (message.refusal) parts.push({ text: message.refusal });
    const pictures = partsOf(message.images ?? [], `${param}.images`, this.#options);
    if (isRefusal(pictures)) return pictures;
    parts.push(...pictures);
    for (const [index, call] of (message.tool_calls ?? []).entries()) {
      const part = this.#call(call, `${param}.tool_calls[${index}]`);
      if (isRefusal(part)) return part;
      parts.push(part);
    }
    if (parts.length > 0) this.#push("model", parts);
    return null;
  }

  #call(call: ToolCall, param: string): JsonObject | Refusal {
    const text = call.function.arguments;
    const args = argumentsIn(text);
    if (args === null)
      return refusal(
        `${param}.function.arguments`,
        `\`${param}.function.arguments\` must be a JSON object.`,
        "invalid_value",
      );
    const { id, signature } = withoutSignature(call.id);
    this.#pending.push({ id: call.id, name: call.function.name, response: null, media: [] });
    return {
      functionCall: { ...this.#idMember(id), name: call.function.name, args },
      ...(signature === null ? {} : { thoughtSignature: signature }),
    };
  }

  #idMember(id: string): { id?: string } {
    return this.#forms.callIds ? { id } : {};
  }

  #result(message: ChatMessage, param: string): Refusal | null {
    const media = Array.isArray(message.content) ? message.content.filter((part) => part.type !== "text") : [];
    const texts = Array.isArray(message.content)
      ? message.content.filter((part) => part.type === "text")
      : message.content;
    const text = textOf(texts, `${param}.content`);
    if (typeof text !== "string") return text;
    const parts = partsOf(media, `${param}.content`, this.#options);
    if (isRefusal(parts)) return parts;
    const call = this.#pending.find((waiting) => waiting.response === null && waiting.id === message.tool_call_id);
    if (call === undefined) {
      return refusal(
        `${param}.tool_call_id`,
        `\`${param}.tool_call_id\` matches no tool call of the assistant message before it.`,
        "invalid_value",
      );
    }
    // A result that isn't an object is wrapped in one; `output` is the key given in the API's reference.
    call.response = message.is_error === true ? { error: text } : (parsedObject(text) ?? { output: text });
    call.media = parts;
    return null;
  }

  /** Results in the order of their calls, whatever order they arrived in. */
  #flush(): void {
    const answered = this.#pending.filter((call) => call.response !== null);
    this.#pending = [];
    if (answered.length === 0) return;
    const parts = answered.map(({ id, name, response, media }) => ({
      functionResponse: {
        ...this.#idMember(withoutSignature(id).id),
        name,
        response,
        ...(this.#forms.isGemini3 && media.length > 0 ? { parts: media } : {}),
      },
    }));
    this.#contents.push({ role: "user", parts, results: true });
    const media = answered.flatMap((call) => call.media);
    if (!this.#forms.isGemini3 && media.length > 0) this.#push("user", media);
  }

  #push(role: "user" | "model", parts: JsonObject[]): void {
    const last = this.#contents.at(-1);
    if (last?.role === role && !last.results) last.parts.push(...parts);
    else this.#contents.push({ role, parts: [...parts], results: false });
  }

  finish(needsSignatures: boolean): Contents {
    this.#flush();
    if (this.#contents.length === 0) this.#push("user", [{ text: " " }]);
    if (needsSignatures) for (const content of this.#contents) sign(content);
    return {
      systemInstruction: this.#system.length === 0 ? null : { parts: this.#system.map((text) => ({ text })) },
      contents: this.#contents.map(({ role, parts }) => ({ role, parts })),
    };
  }
}

const isPicture = (part: JsonObject): boolean => part["inlineData"] !== undefined;

/**
 * Of calls made together, only the first has a signature; each picture has one. Gemini 3 refuses the turn without them
 * (https://ai.google.dev/gemini-api/docs/thought-signatures).
 */
function sign({ role, parts }: Content): void {
  const first = parts.find((part) => part["functionCall"] !== undefined);
  const signed = [...(first === undefined ? [] : [first]), ...(role === "model" ? parts.filter(isPicture) : [])];
  for (const part of signed) part["thoughtSignature"] ??= escapeSignature;
}

export function contentsOf(
  messages: readonly ChatMessage[],
  forms: ContentForms,
  dropped: Set<string>,
): Contents | Refusal {
  const conversation = new Conversation(dropped, forms);
  for (const [index, message] of messages.entries()) {
    const refused = conversation.add(message, `messages[${index}]`);
    if (refused) return refused;
  }
  return conversation.finish(forms.isGemini3);
}

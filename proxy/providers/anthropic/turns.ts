/**
 * Canonical messages → turns of blocks, the conversation format of Anthropic's Messages
 * (https://platform.claude.com/docs/en/api/messages/create) and Bedrock's Converse
 * (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html), which write blocks differently.
 * System prompts are separate, turns alternate and begin with the user, and tool results come first in the user's turn.
 */
import { createHash } from "node:crypto";
import { type OrderedBlock, orderOf } from "../../dialects/block-order.ts";
import type { ChatMessage, ContentPart, FilePart, ImagePart, Refusal } from "../../dialects/canonical.ts";
import { isRefusal, refusal } from "../../dialects/canonical.ts";
import { argumentsIn } from "../../dialects/tool-arguments.ts";
import type { JsonObject } from "../../wire/json.ts";

/** How a provider writes blocks. */
export interface BlockForms {
  text(text: string): JsonObject;
  image(part: ImagePart, param: string): JsonObject | Refusal;
  file(part: FilePart, param: string): JsonObject | Refusal;
  toolUse(id: string, name: string, input: JsonObject): JsonObject;
  /** `content` may be empty. `failed`: the tool failed. */
  toolResult(id: string, content: JsonObject[], failed: boolean): JsonObject;
  /** The block with a mark to cache the prompt up to its end. */
  marked(block: JsonObject, mark: JsonObject): JsonObject[];
  /** A signed reasoning block from an earlier answer of the provider; null if the block isn't the provider's own. */
  thinking(block: JsonObject): JsonObject | null;
}

export interface MessageTurn {
  role: "user" | "assistant";
  content: JsonObject[];
}

export interface Conversation {
  /** Text blocks, in order. */
  system: JsonObject[];
  turns: MessageTurn[];
  dropped: string[];
}

/** Opens a conversation that begins with the assistant or has only a system prompt, both of which OpenAI allows. */
const opening = "(start of the conversation)";

const wellFormedId = /^[A-Za-z0-9_-]{1,64}$/;

/** An id that both providers accept. An id from elsewhere with other characters is replaced, always by the same id. */
export function toolId(id: string): string {
  return wellFormedId.test(id) ? id : `call_${createHash("sha256").update(id).digest("base64url").slice(0, 32)}`;
}

const isBlank = (text: string): boolean => text.trim() === "";

function inputOf(text: string, param: string): { input: JsonObject } | Refusal {
  const input = argumentsIn(text);
  if (input !== null) return { input };
  return refusal(param, `\`${param}\` must be the text of a JSON object.`, "invalid_value");
}

interface OpenTurn extends MessageTurn {
  /** Tool results, which go before the rest of a user's turn. */
  results: JsonObject[];
}

class Turns {
  readonly #forms: BlockForms;
  readonly #turns: OpenTurn[] = [];
  /** Id in the conversation → id sent. */
  readonly #ids = new Map<string, string>();
  readonly #used = new Set<string>();
  readonly #dropped = new Set<string>();
  readonly system: JsonObject[] = [];

  constructor(forms: BlockForms) {
    this.#forms = forms;
  }

  message(message: ChatMessage, param: string, last: boolean): Refusal | null {
    if (message.name && message.role !== "tool") this.#dropped.add("messages.name");
    switch (message.role) {
      case "system":
      case "developer":
        return this.#system(message, param);
      case "user":
        return this.#user(message, param);
      case "assistant":
        return this.#assistant(message, param, last);
      case "tool":
        return this.#result(message, param);
      default:
        return refusal(
          `${param}.role`,
          "The provider of this model doesn't support function messages. Use `tool_calls` and the role tool.",
        );
    }
  }

  close(): Conversation {
    const turns = this.#turns.map(({ role, results, content }) => ({ role, content: [...results, ...content] }));
    if (turns[0]?.role !== "user") turns.unshift({ role: "user", content: [this.#forms.text(opening)] });
    return { system: this.system, turns, dropped: [...this.#dropped] };
  }

  #turn(role: MessageTurn["role"]): OpenTurn {
    const last = this.#turns.at(-1);
    if (last?.role === role) return last;
    const turn: OpenTurn = { role, results: [], content: [] };
    this.#turns.push(turn);
    return turn;
  }

  /** Adds blocks to the turn. Both providers refuse a turn without blocks. */
  #add(role: MessageTurn["role"], blocks: JsonObject[]): void {
    if (blocks.length > 0) this.#turn(role).content.push(...blocks);
  }

  #system(message: ChatMessage, param: string): Refusal | null {
    const blocks = this.#blocks(message.content, param, false);
    if (isRefusal(blocks)) return blocks;
    this.system.push(...blocks);
    return null;
  }

  #user(message: ChatMessage, param: string): Refusal | null {
    const blocks = this.#blocks(message.content, param, true);
    if (isRefusal(blocks)) return blocks;
    this.#add("user", blocks);
    return null;
  }

  #assistant(message: ChatMessage, param: string, last: boolean): Refusal | null {
    // The model continues a conversation that ends here. The providers refuse white space at the end of such a prefill.
    const content = last && typeof message.content === "string" ? message.content.trimEnd() : message.content;
    const blocks = this.#blocks(content, param, false);
    if (isRefusal(blocks)) return blocks;
    const refused =
      typeof message.refusal === "string" && !isBlank(message.refusal) ? [this.#forms.text(message.refusal)] : [];
    const thinking = (message.thinking_blocks ?? [])
      .map((block) => this.#forms.thinking(block))
      .filter((block) => block !== null);
    const calls = this.#calls(message, param);
    if (isRefusal(calls)) return calls;
    // Signed reasoning alone is not an answer, and neither provider accepts a turn that ends with it.
    if (blocks.length + refused.length + calls.length === 0) return null;
    const order = orderOf(message);
    const said = order === null ? [...thinking, ...blocks, ...refused, ...calls] : this.#inOrder(order, message, calls);
    this.#add("assistant", this.#marked(said, message.cache_control));
    return null;
  }

  #inOrder(order: readonly OrderedBlock[], message: ChatMessage, calls: readonly JsonObject[]): JsonObject[] {
    return order.flatMap((block): JsonObject[] => {
      if (block.kind === "text") return isBlank(block.text) ? [] : [this.#forms.text(block.text)];
      if (block.kind === "call") return calls.slice(block.index, block.index + 1);
      const thinking = this.#forms.thinking(message.thinking_blocks?.[block.index] ?? {});
      return thinking === null ? [] : [thinking];
    });
  }

  /** Marks the last of the blocks. */
  #marked(blocks: JsonObject[], mark: JsonObject | undefined): JsonObject[] {
    const last = blocks.at(-1);
    return mark === undefined || last === undefined
      ? blocks
      : [...blocks.slice(0, -1), ...this.#forms.marked(last, mark)];
  }

  #calls(message: ChatMessage, param: string): JsonObject[] | Refusal {
    const blocks: JsonObject[] = [];
    for (const [index, call] of (message.tool_calls ?? []).entries()) {
      const read = inputOf(call.function.arguments, `${param}.tool_calls[${index}].function.arguments`);
      if (isRefusal(read)) return read;
      blocks.push(this.#forms.toolUse(this.#callId(call.id), call.function.name, read.input));
    }
    return blocks;
  }

  /** Ids must be unique, but some servers number their calls from the start in each answer. */
  #callId(id: string): string {
    let own = toolId(id);
    for (let again = 2; this.#used.has(own); again++) own = toolId(`${id}#${again}`);
    this.#used.add(own);
    this.#ids.set(id, own);
    return own;
  }

  #result(message: ChatMessage, param: string): Refusal | null {
    const blocks = this.#blocks(message.content, param, true);
    if (isRefusal(blocks)) return blocks;
    const id = message.tool_call_id ?? "";
    const result = this.#forms.toolResult(this.#ids.get(id) ?? toolId(id), blocks, message.is_error === true);
    this.#turn("user").results.push(...this.#marked([result], message.cache_control));
    return null;
  }

  #blocks(content: ChatMessage["content"], param: string, media: boolean): JsonObject[] | Refusal {
    if (content === null || content === undefined) return [];
    if (typeof content === "string") return isBlank(content) ? [] : [this.#forms.text(content)];
    const blocks: JsonObject[] = [];
    for (const [index, part] of content.entries()) {
      const block = this.#part(part, `${param}.content[${index}]`, media);
      if (block === null) continue;
      if (isRefusal(block)) return block;
      blocks.push(...this.#marked([block], part.cache_control));
    }
    return blocks;
  }

  #part(part: ContentPart, param: string, media: boolean): JsonObject | Refusal | null {
    if (part.type === "text") return isBlank(part.text) ? null : this.#forms.text(part.text);
    if (part.type === "refusal") return isBlank(part.refusal) ? null : this.#forms.text(part.refusal);
    if (media && part.type === "image_url") return this.#image(part, param);
    if (media && part.type === "file") return this.#forms.file(part, `${param}.file`);
    return refusal(
      `${param}.type`,
      `A part of type ${String(part.type).slice(0, 64)} can't be translated in this place for the provider of this model. Leave it out.`,
    );
  }

  #image(part: ImagePart, param: string): JsonObject | Refusal {
    if ((part.image_url.detail ?? "auto") !== "auto") this.#dropped.add("image_url.detail");
    return this.#forms.image(part, `${param}.image_url.url`);
  }
}

export function turnsOf(messages: readonly ChatMessage[], forms: BlockForms): Conversation | Refusal {
  const turns = new Turns(forms);
  for (const [index, message] of messages.entries()) {
    const refused = turns.message(message, `messages[${index}]`, index === messages.length - 1);
    if (refused) return refused;
  }
  return turns.close();
}

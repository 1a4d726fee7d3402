/**
 * Removes parts of a conversation for which a provider has no form: marks for its prompt cache, media and failures in
 * tool results, pictures that an assistant made, system messages that don't stand at the beginning.
 */
import type { Capabilities } from "../config/capabilities.ts";
import type { ChatMessage, ChatRequest, ContentPart, FunctionTool } from "../dialects/canonical.ts";
import { type DocumentWish, documentWish } from "../dialects/citations.ts";

type Carried = NonNullable<Capabilities["carries"]>;

const textOf = (parts: readonly ContentPart[], by: string): string =>
  parts.flatMap((part) => (part.type === "text" ? [part.text] : [])).join(by);

const joinedBy: Readonly<Record<string, string>> = { system: "\n\n", developer: "\n\n", tool: "\n" };

/** Texts that were only kept apart for their marks are joined, since more servers take a string than a list. */
function unmarked(content: ChatMessage["content"], role: string): ChatMessage["content"] {
  if (!Array.isArray(content) || !content.some((part) => part.cache_control !== undefined)) return content;
  const parts = content.map(({ cache_control: _mark, ...part }): ContentPart => part);
  const by = joinedBy[role];
  const onlyTexts = parts.every((part) => part.type === "text");
  return onlyTexts && (by !== undefined || parts.length === 1) ? textOf(parts, by ?? "") : parts;
}

/** Whether an assistant's turn had only pictures: providers refuse empty turns. */
const wasPicture = (given: ChatMessage, { content, tool_calls: calls, images }: ChatMessage): boolean =>
  given.images !== images && (content ?? "").length === 0 && (calls ?? []).length === 0;

const wishes = ({ content }: ChatMessage): DocumentWish[] =>
  Array.isArray(content) ? content.flatMap((part) => (part.type === "file" ? (part[documentWish] ?? []) : [])) : [];

/** Marks a tool's failure in the result's text, for providers that have no other form. */
function withError(content: ChatMessage["content"]): ChatMessage["content"] {
  if (typeof content === "string") return saysError.test(content) ? content : `Error: ${content}`;
  const first = content?.findIndex((part) => part.type === "text") ?? -1;
  return content?.map((part, index) =>
    index === first && part.type === "text" && !saysError.test(part.text)
      ? { ...part, text: `Error: ${part.text}` }
      : part,
  );
}

const saysError = /^.{0,80}(error|fail|exception)/is;

class Plain {
  readonly messages: ChatMessage[] = [];
  readonly #carried: Carried;
  /** Media of tool results, which follow as a user message after all results of the turn. */
  #moved: ContentPart[] = [];
  hadMarks = false;
  hadImages = false;
  /** Names of other parts that are left out. */
  readonly lost = new Set<string>();

  constructor(carried: Carried) {
    this.#carried = carried;
  }

  add(given: ChatMessage): void {
    let message = given;
    if (this.#carried.cacheMarks !== true) message = this.#withoutMarks(message);
    if (this.#carried.assistantImages !== true && message.images !== undefined) message = this.#withoutImages(message);
    if (wasPicture(given, message)) return;
    if (this.#carried.documentCitations !== true) this.#wishes(message);
    if (message.role === "tool") message = this.#result(message);
    else if (message.role === "user") message = this.#withMoved(message);
    else this.flush();
    const isSystem = message.role === "system" || message.role === "developer";
    if (isSystem && this.#carried.systemAnywhere !== true) this.#system(message);
    else this.messages.push(message);
  }

  flush(): void {
    if (this.#moved.length > 0) this.messages.push({ role: "user", content: this.#moved });
    this.#moved = [];
  }

  /** The turn's own parts, and the media of its results after them. */
  #withMoved(message: ChatMessage): ChatMessage {
    if (this.#moved.length === 0) return message;
    const { content } = message;
    const own: ContentPart[] = typeof content === "string" ? [{ type: "text", text: content }] : (content ?? []);
    const moved = this.#moved;
    this.#moved = [];
    return { ...message, content: [...own, ...moved] };
  }

  #wishes(message: ChatMessage): void {
    for (const { citations, context } of wishes(message)) {
      if (citations) this.lost.add("messages.content.citations");
      if (context !== null) this.lost.add("messages.content.context");
    }
  }

  #withoutImages(message: ChatMessage): ChatMessage {
    this.hadImages = true;
    const { images: _images, ...rest } = message;
    return rest;
  }

  #withoutMarks(message: ChatMessage): ChatMessage {
    const content = unmarked(message.content, message.role);
    const isMarked = message.cache_control !== undefined || content !== message.content;
    if (!isMarked) return message;
    this.hadMarks = true;
    const { cache_control: _mark, ...rest } = message;
    return content === undefined ? rest : { ...rest, content };
  }

  #result(message: ChatMessage): ChatMessage {
    const { is_error: failed, ...plain } = message;
    const marked = failed === true ? { ...plain, content: withError(message.content) ?? "" } : plain;
    const kept: ChatMessage = this.#carried.toolErrors === true || failed === undefined ? message : marked;
    const { content } = kept;
    if (this.#carried.toolMedia === true || !Array.isArray(content)) return kept;
    const media = content.filter((part) => part.type !== "text");
    if (media.length === 0) return kept;
    this.#moved.push(...media);
    return { ...kept, content: textOf(content, "\n") };
  }

  /** One system message at the beginning; later ones go along with what stands before them. */
  #system(message: ChatMessage): void {
    const last = this.messages.at(-1);
    const text = typeof message.content === "string" ? message.content : textOf(message.content ?? [], "\n\n");
    if (last === undefined) this.messages.push({ ...message, role: "system", content: text });
    else if (typeof last.content === "string" && last.role === "system") this.#append(last, text);
    else if (typeof last.content === "string" && (last.role === "user" || last.role === "tool"))
      this.#append(last, `<system>\n${text}\n</system>`);
    else this.messages.push({ role: "user", content: `<system>\n${text}\n</system>` });
  }

  #append(last: ChatMessage, text: string): void {
    this.messages[this.messages.length - 1] = { ...last, content: `${String(last.content)}\n\n${text}` };
  }
}

function unmarkedTool(tool: FunctionTool): FunctionTool {
  if (tool.cache_control === undefined) return tool;
  const { cache_control: _mark, ...plain } = tool;
  return plain;
}

/** `dropped`: names what was lost. */
export function plainRequest(request: ChatRequest, carried: Carried = {}): { request: ChatRequest; dropped: string[] } {
  const plain = new Plain(carried);
  for (const message of request.messages) plain.add(message);
  plain.flush();
  const tools = request.tools ?? [];
  const lost =
    carried.cacheMarks !== true && (plain.hadMarks || tools.some((tool) => tool.cache_control !== undefined));
  const own: ChatRequest = { ...request, messages: plain.messages };
  if (lost && tools.length > 0) own.tools = tools.map(unmarkedTool);
  return {
    request: own,
    dropped: [...(lost ? ["cache_control"] : []), ...(plain.hadImages ? ["messages.images"] : []), ...plain.lost],
  };
}

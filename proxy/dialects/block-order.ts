/**
 * The order of an assistant's blocks. The canonical format has reasoning, text and calls in members of their own, in
 * this order. Claude may think between them, and refuses its signed reasoning in another place.
 */
import type { JsonObject } from "../wire/json.ts";

/** `index`: position in `thinking_blocks` or `tool_calls`. */
export type OrderedBlock = { kind: "thinking" | "call"; index: number } | { kind: "text"; text: string };

/** No JSON holds it, so only those that look for it see it. */
export const blockOrder = Symbol("order of an assistant's blocks");

const usual = ["thinking", "text", "call"];

/** The order as a member of the message; nothing for the usual order. */
export function noteOrder(blocks: readonly OrderedBlock[]): { [blockOrder]?: readonly OrderedBlock[] } {
  const places = blocks.map(({ kind }) => usual.indexOf(kind));
  return places.every((place, index) => place >= (places[index - 1] ?? 0)) ? {} : { [blockOrder]: blocks };
}

/** The order of a provider's blocks, whose kinds `kindOf` tells. */
export function orderIn<T>(
  blocks: readonly T[],
  kindOf: (block: T) => OrderedBlock["kind"] | null,
  textOf: (block: T) => string,
): { [blockOrder]?: readonly OrderedBlock[] } {
  const counts = { thinking: 0, call: 0 };
  const order = blocks.flatMap((block): OrderedBlock[] => {
    const kind = kindOf(block);
    if (kind === null) return [];
    return kind === "text" ? [{ kind, text: textOf(block) }] : [{ kind, index: counts[kind]++ }];
  });
  return counts.thinking === 0 ? {} : noteOrder(order);
}

interface Blocks {
  thinking_blocks?: JsonObject[];
  content?: unknown;
  tool_calls?: readonly unknown[];
  [blockOrder]?: readonly OrderedBlock[];
}

/** The noted order, if it still fits the message: masking or a policy's edits may have changed the text. */
export function orderOf(message: Blocks): readonly OrderedBlock[] | null {
  const order = message[blockOrder];
  if (order === undefined) return null;
  const count = (kind: OrderedBlock["kind"]): number => order.filter((block) => block.kind === kind).length;
  const text = order.map((block) => (block.kind === "text" ? block.text : "")).join("");
  const isWhole =
    count("thinking") === (message.thinking_blocks ?? []).length &&
    count("call") === (message.tool_calls ?? []).length &&
    text === (message.content ?? "");
  return isWhole ? order : null;
}

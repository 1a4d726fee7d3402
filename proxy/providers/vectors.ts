/** Embeddings of providers that accept only texts and return vectors as lists of numbers. */
import type { EmbeddingsRequest } from "../dialects/canonical.ts";

/** null if any of the input is tokens. */
export function inputTexts(input: EmbeddingsRequest["input"]): string[] | null {
  if (typeof input === "string") return [input];
  const texts = input.filter((text) => typeof text === "string");
  return texts.length === input.length ? texts : null;
}

export const isVector = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((number) => typeof number === "number");

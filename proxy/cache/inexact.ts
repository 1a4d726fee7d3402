/**
 * Numbers that JavaScript can't represent exactly. Two different ones, such as seeds beyond 2^53, are equal to the gateway
 * once parsed, and different to the provider, which gets the original text. Pure.
 */
import { closingQuote } from "../wire/json.ts";
import { QUOTE } from "../wire/json-outline.ts";

/** Sixteen digits or more, or an exponent of three digits. */
const suspect = /\d[\d.]{15}|[eE][+-]?\d{3}/;
const none: readonly string[] = [];

const isPart = (code: number): boolean =>
  (code >= 48 && code <= 57) || code === 43 || code === 45 || code === 46 || code === 69 || code === 101;

/** In the order of the text, which must be valid JSON. */
export function inexactNumbers(text: string): readonly string[] {
  if (!suspect.test(text)) return none;
  const figures: string[] = [];
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === QUOTE) index = closingQuote(text, index);
    else if (code === 45 || (code >= 48 && code <= 57)) {
      const from = index;
      while (isPart(text.charCodeAt(index + 1))) index++;
      const number = text.slice(from, index + 1);
      if (suspect.test(number)) figures.push(number);
    }
  }
  return figures;
}

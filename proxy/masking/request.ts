/** Masks every text of a request, whatever its dialect. */
import { isUtf8 } from "node:buffer";
import { type Received, withEdits } from "../call/received.ts";
import { type Failure, failure, isFailure } from "../failure.ts";
import { hasTokens } from "../guard/texts.ts";
import type { Tally } from "./tally.ts";
import { changedMembersOf, changedTexts } from "./texts.ts";

const unreadable = failure(
  "prompt_unreadable",
  "This model's policy masks personal data, and Sluice can't read a prompt of token numbers. Send the prompt as text.",
);

/** The request with its texts masked; the same object if nothing matched. */
export function maskRequest(received: Received, tally: Tally): Received | Failure {
  const { json } = received;
  if (hasTokens(json)) return unreadable;
  if (tally.reversible) {
    const texts: string[] = [];
    changedTexts(json, {
      text: (text) => {
        texts.push(text);
        return text;
      },
    });
    tally.avoid(texts);
  }
  const edits = changedMembersOf(json, {
    text: (text) => tally.mask(text),
    number: (text) => tally.maskNumber(text),
    parts: (texts) => tally.maskParts(texts),
  });
  if (Object.keys(edits).length === 0) return received;
  const changed = withEdits(received, edits);
  return isFailure(changed) || received.parts !== undefined || isUtf8(changed.bytes) ? changed : unreadable;
}

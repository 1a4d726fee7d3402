/** Data that is spread over the parts of one message, which a model reads one after the other. */
import { type Finding, settled } from "./detectors.ts";
import type { Masker } from "./masker.ts";

/**
 * Finds matches in each part, and in all parts joined without and with a blank. Positions refer to the parts joined
 * without one.
 */
export function findInParts(masker: Masker, parts: readonly string[]): Finding[] {
  const findings = [...masker.find(parts.join("")), ...betweenBlanks(masker, parts)];
  let offset = 0;
  for (const part of parts) {
    for (const finding of masker.findCustom(part))
      findings.push({ ...finding, start: finding.start + offset, end: finding.end + offset });
    offset += part.length;
  }
  return settled(findings);
}

function* betweenBlanks(masker: Masker, parts: readonly string[]): Generator<Finding> {
  /** Number of blanks before the examined position, and where the next one is. */
  let blanks = 0;
  let next = parts[0]?.length ?? 0;
  const blanksBefore = (place: number): number => {
    while (blanks < parts.length - 1 && next < place) next += 1 + (parts[++blanks]?.length ?? 0);
    return blanks;
  };
  for (const { start, end, type } of masker.findKnown(parts.join(" ")))
    yield { start: start - blanksBefore(start), end: end - blanksBefore(end), type };
}

/**
 * The parts with matches replaced: the replacement goes where the match begins, and the rest of the match is removed
 * from the parts it continues in. A part that would be empty gets the same replacement, since providers refuse empty
 * texts.
 */
export function replaceInParts(
  parts: readonly string[],
  findings: readonly Finding[],
  inPlaceOf: (finding: Finding) => string,
): string[] {
  const out: string[] = [];
  let index = 0;
  let offset = 0;
  let words = "";
  for (const part of parts) {
    const end = offset + part.length;
    let text = "";
    let from = offset;
    for (let finding = findings[index]; finding !== undefined && finding.start < end; finding = findings[++index]) {
      if (finding.start >= offset) {
        words = inPlaceOf(finding);
        text += part.slice(from - offset, finding.start - offset) + words;
      }
      from = Math.min(finding.end, end);
      if (finding.end > end) break;
    }
    text += part.slice(from - offset);
    out.push(text === "" && part !== "" ? words : text);
    offset = end;
  }
  return out;
}

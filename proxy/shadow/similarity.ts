/**
 * How much two answers have in common: the share of their words and pairs of neighbouring words that both have (the
 * Sørensen–Dice coefficient of multisets). It needs no model and takes time in proportion to the texts.
 */

/** In scripts without spaces between words, each character counts as a word. */
const words =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]|[[\p{L}\p{M}]--[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]]+|\p{N}+/gv;

/** Words and pairs of words, with the number of times each occurs. */
function featuresOf(text: string): { counts: Map<string, number>; total: number } {
  const counts = new Map<string, number>();
  let total = 0;
  let previous: string | null = null;
  const add = (feature: string): void => {
    counts.set(feature, (counts.get(feature) ?? 0) + 1);
    total++;
  };
  for (const [word] of text.toLowerCase().matchAll(words)) {
    add(word);
    if (previous !== null) add(`${previous} ${word}`);
    previous = word;
  }
  return { counts, total };
}

/** From 0, nothing in common, to 1, the same words in the same order. */
export function similarity(left: string, right: string): number {
  if (left === right) return 1;
  const [a, b] = [featuresOf(left), featuresOf(right)];
  if (a.total + b.total === 0) return 1;
  let shared = 0;
  for (const [feature, count] of a.counts) shared += Math.min(count, b.counts.get(feature) ?? 0);
  return (2 * shared) / (a.total + b.total);
}

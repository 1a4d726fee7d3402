/** A number with its noun, for messages: "1 call", "2 calls". `plural` where an s isn't enough. */
export const nounCount = (count: number, noun: string, plural = `${noun}s`): string =>
  `${count} ${count === 1 ? noun : plural}`;

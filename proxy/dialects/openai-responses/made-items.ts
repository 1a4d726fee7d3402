/** Recognises items of a Responses conversation that the gateway made, rather than OpenAI. */

/** `PREFIX_ANSWER_POSITION`. OpenAI's own ids have no position: a prefix and hexadecimal digits. */
const madeId = /^(?:rs|msg|fc|ctc|ig|ws)_.*_\d+$/s;

export const itemId = (prefix: string, answer: string, position: number): string => `${prefix}_${answer}_${position}`;

export const isGatewaysItem = (id: unknown): boolean => typeof id === "string" && madeId.test(id);

/** Marks a summary that the gateway sealed. */
export const compactionMarker = "sluice.compaction.";

/** Marks signed reasoning that the gateway packed. */
export const thinkingMarker = "sluice.thinking.";

export const isGatewaysThinking = (content: unknown): boolean =>
  typeof content === "string" && content.startsWith(thinkingMarker);

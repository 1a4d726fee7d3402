/**
 * Data of one provider that travels through clients in the id of a tool call, after a separator. Other providers get
 * the id without it. Ids hold only characters that every provider accepts.
 */

const separator = "__thought__";
const packed = /^[bt][A-Za-z0-9_-]+$/;

/** Begins the signatures of reasoning whose maker is not Anthropic: others ignore them. */
export const foreignSignature = "sluice.reasoning.";

/** Longest id, in characters. What doesn't fit is not carried. */
export const maxIdLength = 16_384;

export const carriesValue = (id: string): boolean => id.includes(separator);

/** `value`: letters, digits, `_` and `-`, after a letter that says how to read it. */
export function withCarried(id: string, value: string): string {
  const whole = id + separator + value;
  return whole.length > maxIdLength ? id : whole;
}

/** An id as the client returns it: the gateway's, a provider's, or the client's own. */
export function carriedIn(id: string): { id: string; value: string | null } {
  const index = id.indexOf(separator);
  const value = index < 1 ? "" : id.slice(index + separator.length);
  return packed.test(value) ? { id: id.slice(0, index), value } : { id, value: null };
}

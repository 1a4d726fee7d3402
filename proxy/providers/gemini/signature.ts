/**
 * Thought signatures: opaque values on the parts of an answer that Gemini 3 requires when a function call is sent again
 * (https://ai.google.dev/gemini-api/docs/thought-signatures). OpenAI's clients drop unknown fields but return a tool
 * call's id unchanged, so the signature travels in the id, after a separator.
 */
import { Buffer } from "node:buffer";
import { randomUUID } from "node:crypto";

/**
 * Ids hold only characters that Anthropic's API accepts (letters, digits, `_`, `-`), so that they survive a change of
 * provider.
 */
const separator = "__thought__";
const idPattern = /^[A-Za-z0-9_-]{1,64}$/;
const packedPattern = /^[bt][A-Za-z0-9_-]+$/;

/** Longest id, in characters. A signature that doesn't fit is dropped. */
export const maxIdLength = 16_384;

/** Google's documented placeholder for a signature that was lost or never existed (a call made by another model). */
export const escapeSignature = "skip_thought_signature_validator";

export type NewId = () => string;

/** 37 characters, since OpenAI's API refuses ids of more than 40. */
export const randomCallId: NewId = () => `call_${randomUUID().replaceAll("-", "")}`;

/** The upstream's own id if it is usable and unique, otherwise a new one. */
export function callId(given: unknown, seen: Set<string>, newId: NewId): string {
  const usable = typeof given === "string" && idPattern.test(given) && !given.includes(separator) && !seen.has(given);
  const id = usable ? given : newId();
  seen.add(id);
  return id;
}

/** Signatures are base64. The shorter form is used for those that can be restored from it exactly. */
function pack(signature: string): string {
  const bytes = Buffer.from(signature, "base64");
  return bytes.toString("base64") === signature
    ? `b${bytes.toString("base64url")}`
    : `t${Buffer.from(signature, "utf8").toString("base64url")}`;
}

export function withSignature(id: string, signature: unknown): string {
  if (typeof signature !== "string" || signature === "") return id;
  const whole = id + separator + pack(signature);
  return whole.length > maxIdLength ? id : whole;
}

/** An id as the client returns it: the gateway's, another provider's, or the client's own. */
export function withoutSignature(id: string): { id: string; signature: string | null } {
  const at = id.indexOf(separator);
  const packed = at < 0 ? "" : id.slice(at + separator.length);
  if (at < 1 || !packedPattern.test(packed)) return { id, signature: null };
  const bytes = Buffer.from(packed.slice(1), "base64url");
  return { id: id.slice(0, at), signature: packed.startsWith("b") ? bytes.toString("base64") : bytes.toString("utf8") };
}

/**
 * Thought signatures: opaque values on the parts of an answer that Gemini 3 wants back with a replayed function call
 * (https://ai.google.dev/gemini-api/docs/thought-signatures). OpenAI's clients drop fields that they don't know but
 * hand a tool call's id back as it is, so the signature travels in the id, behind a separator.
 */
import { Buffer } from "node:buffer";
import { randomUUID } from "node:crypto";

/** Ids hold only what Anthropic's API takes (letters, digits, `_`, `-`), so that they survive a change of provider. */
const separator = "__thought__";
const idPattern = /^[A-Za-z0-9_-]{1,64}$/;
const packedPattern = /^[bt][A-Za-z0-9_-]+$/;

/** Longest id, in characters; a signature that does not fit is not carried. */
export const maxIdLength = 16_384;

/** Google's documented stand-in for a signature that is lost or was never there (a call made by another model). */
export const escapeSignature = "skip_thought_signature_validator";

export type NewId = () => string;

/** 37 characters: OpenAI's API refuses ids of more than 40. */
export const randomCallId: NewId = () => `call_${randomUUID().replaceAll("-", "")}`;

/** The upstream's own id where it can be used and is new, else a fresh one. */
export function callId(given: unknown, seen: Set<string>, newId: NewId): string {
  const usable = typeof given === "string" && idPattern.test(given) && !given.includes(separator) && !seen.has(given);
  const id = usable ? given : newId();
  seen.add(id);
  return id;
}

/** Signatures are base64; the shorter form is for those that come back the same from it. */
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

/** An id as the client hands it back: ours, another provider's, or its own invention. */
export function withoutSignature(id: string): { id: string; signature: string | null } {
  const at = id.indexOf(separator);
  const packed = at < 0 ? "" : id.slice(at + separator.length);
  if (at < 1 || !packedPattern.test(packed)) return { id, signature: null };
  const bytes = Buffer.from(packed.slice(1), "base64url");
  return { id: id.slice(0, at), signature: packed.startsWith("b") ? bytes.toString("base64") : bytes.toString("utf8") };
}

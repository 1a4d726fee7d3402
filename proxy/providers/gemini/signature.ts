/**
 * Thought signatures: opaque values on the parts of an answer that Gemini 3 requires when a function call is sent again
 * (https://ai.google.dev/gemini-api/docs/thought-signatures). OpenAI's clients drop unknown fields but return a tool
 * call's id unchanged, so the signature travels in the id, after a separator.
 */
import { Buffer } from "node:buffer";
import { randomUUID } from "node:crypto";
import { carriedIn, carriesValue, withCarried } from "../carried.ts";

export { maxIdLength } from "../carried.ts";

const idPattern = /^[A-Za-z0-9_-]{1,64}$/;

/** Google's documented placeholder for a signature that was lost or never existed (a call made by another model). */
export const escapeSignature = "skip_thought_signature_validator";

export type NewId = () => string;

/** 37 characters, since OpenAI's API refuses ids of more than 40. */
export const randomCallId: NewId = () => `call_${randomUUID().replaceAll("-", "")}`;

/** The upstream's own id if it is usable and unique, otherwise a new one. */
export function callId(given: unknown, seen: Set<string>, newId: NewId): string {
  const usable = typeof given === "string" && idPattern.test(given) && !carriesValue(given) && !seen.has(given);
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
  return typeof signature === "string" && signature !== "" ? withCarried(id, pack(signature)) : id;
}

/** An id as the client returns it: the gateway's, another provider's, or the client's own. */
export function withoutSignature(given: string): { id: string; signature: string | null } {
  const { id, value } = carriedIn(given);
  if (value === null) return { id, signature: null };
  const bytes = Buffer.from(value.slice(1), "base64url");
  return { id, signature: value.startsWith("b") ? bytes.toString("base64") : bytes.toString("utf8") };
}

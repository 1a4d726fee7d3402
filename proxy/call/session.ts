/**
 * The session that a call belongs to: one run of a coding agent, one conversation. Clients name it in a header or in
 * the body. The name is the client's own claim, so it never decides what a caller may do.
 */
import { createHash } from "node:crypto";
import type { HeaderLookup } from "../access/client-address.ts";
import { isObject, type JsonObject, parseJson } from "../wire/json.ts";

/** Headers of clients that name their session: Claude Code, Codex (since 2026, and before), opencode. */
const clientHeaders = ["x-claude-code-session-id", "session-id", "session_id", "x-session-affinity"] as const;

/** The header that an installation names if its settings don't say otherwise. */
export const usualSessionHeader = "x-session-id";

/** Longest name that is shown as it is. */
const maxPlain = 64;
/** A longer value is not a name. */
const maxRead = 1_024;
const plain = /^[A-Za-z0-9._:-]+$/;

/** As it is written to logs, traces and counters: of bounded length, and without personal data such as an address. */
function nameOf(value: string): string {
  if (value.length <= maxPlain && plain.test(value)) return value;
  return `sha256-${createHash("sha256").update(value).digest("hex").slice(0, 32)}`;
}

/** Claude Code's `metadata.user_id`: JSON with a `session_id`, or in older versions a text that ends with it. */
function sessionInUserId(userId: string): string | null {
  if (!userId.startsWith("{")) return /_session_([0-9a-f-]{36})$/.exec(userId)?.[1] ?? null;
  try {
    const parsed = parseJson(userId);
    const session = isObject(parsed) ? parsed["session_id"] : null;
    return typeof session === "string" ? session : null;
  } catch {
    return null;
  }
}

function sessionInBody(body: JsonObject): string | null {
  const key = body["prompt_cache_key"];
  if (typeof key === "string" && key !== "") return key;
  const metadata = body["metadata"];
  const userId = isObject(metadata) ? metadata["user_id"] : null;
  return typeof userId === "string" && userId.length <= maxRead ? sessionInUserId(userId) : null;
}

function firstOf(headers: HeaderLookup, names: readonly string[]): string | null {
  for (let index = 0; index < names.length; index++) {
    const name = names[index] ?? "";
    const value = name === "" ? null : headers.header(name);
    if (value !== null && value !== "") return value;
  }
  return null;
}

/**
 * The name of a call's session; "" if its client names none. `own`: headers that the policy and the installation name,
 * which come first. `body`: null if it was not read.
 */
export function sessionOf(headers: HeaderLookup, own: readonly string[], body: JsonObject | null): string {
  const value =
    firstOf(headers, own) ?? firstOf(headers, clientHeaders) ?? (body === null ? null : sessionInBody(body));
  return value === null || value === "" ? "" : nameOf(value);
}

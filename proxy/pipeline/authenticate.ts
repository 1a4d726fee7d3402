/** Stage: who calls. A key in `Authorization: Bearer`, `x-api-key` or `api-key`, whichever SDK is used. */
import type { IncomingHttpHeaders } from "node:http";
import type { Socket } from "node:net";
import type { Identity } from "../call/identity.ts";
import { mistypedKey } from "../config/key-form.ts";
import { type Failure, failure } from "../failure.ts";
import { clientTokenPrefix } from "../identity/client-tokens.ts";
import type { ForeignKeyUses } from "../snapshot/foreign-key-uses.ts";
import type { FoundKey } from "../snapshot/keys.ts";
import { LastKey } from "../snapshot/last-key.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import { identifyClient } from "./client-token.ts";
import { anonymous, identify, invalidKey } from "./identify.ts";

/** Longest key, in characters. Anything longer is refused without being digested. */
const maxKeyLength = 512;
/** Longest token, which is the limit for all headers together. */
const maxTokenLength = 16_384;
/** Three base64url parts. The last may be empty, so that an unsigned token is recognised, and refused, as a token. */
const tokenShape = /^[\w-]+\.[\w-]+\.[\w-]*$/;

function presented(headers: IncomingHttpHeaders): string | null {
  const authorization = headers.authorization;
  if (authorization !== undefined) {
    return authorization.length > 7 && authorization.slice(0, 7).toLowerCase() === "bearer "
      ? authorization.slice(7).trim()
      : "";
  }
  const key = headers["x-api-key"] ?? headers["api-key"];
  return typeof key === "string" ? key.trim() : null;
}

const missing = failure(
  "missing_api_key",
  "No API key was given. Send it as Authorization: Bearer, x-api-key or api-key.",
);
const empty = failure(
  "missing_api_key",
  "The API key header is empty. Check that the variable which holds the key is set.",
);
const noScheme = failure(
  "invalid_api_key",
  "The API key was not found in the header. Write it as Authorization: Bearer KEY, or send it as x-api-key.",
);
const malformed = failure("malformed_api_key", "The API key has a typing error: its checksum is wrong. Copy it again.");
const rotated = failure(
  "expired_api_key",
  "The API key was replaced by a new one, and its grace period has ended. Use the new key.",
);

/** The failure for a header that contains nothing like a key. */
const unwritten = (authorization: string): Failure => (/^(bearer)?\s*$/i.test(authorization) ? empty : noScheme);

const lastKeys = new WeakMap<Socket, LastKey>();

function lastKeyOf(socket: Socket | undefined): LastKey | undefined {
  if (socket === undefined) return undefined;
  let last = lastKeys.get(socket);
  if (last === undefined) {
    last = new LastKey();
    lastKeys.set(socket, last);
  }
  return last;
}

interface Request {
  headers: IncomingHttpHeaders;
  /** The connection that carried the request. */
  socket?: Socket;
}

/** `foreignKeys`: notes keys of other gateways that were accepted. */
export function authenticate(
  { headers, socket }: Request,
  snapshot: Snapshot,
  nowMs: number,
  foreignKeys?: ForeignKeyBook,
): Identity {
  const clear = presented(headers);
  if (clear === null) return anonymous(missing);
  if (clear === "") return anonymous(unwritten(headers.authorization ?? ""));
  if (clear.length > maxTokenLength) return anonymous(invalidKey);
  if (clear.startsWith(clientTokenPrefix)) return identifyClient(clear, headers.origin ?? null, snapshot, nowMs);
  const match = clear.length > maxKeyLength ? null : snapshot.findKey(clear, lastKeyOf(socket));
  if (match === null && snapshot.settings.identity.issuers.length > 0 && tokenShape.test(clear))
    return { anonymous: true, failure: invalidKey, token: clear };
  if (match === null && mistypedKey(clear)) return anonymous(malformed);
  if (match !== null && match.untilMs !== null && nowMs >= match.untilMs)
    return { ...anonymous(rotated), known: match.record };
  const identity = identify(match?.record ?? null, nowMs);
  if (!identity.anonymous) noteForeign(match, nowMs, foreignKeys);
  return identity;
}

type ForeignKeyBook = Pick<ForeignKeyUses, "note">;

function noteForeign(match: FoundKey | null, nowMs: number, book: ForeignKeyBook | undefined): void {
  if (match?.foreign !== undefined) book?.note(match.record.id, match.foreign, nowMs);
}

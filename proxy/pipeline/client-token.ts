/** A client token → the identity of the key that minted it, limited to what the token allows. */

import type { Identity } from "../call/identity.ts";
import type { KeyRecord } from "../config/key-record.ts";
import { allowsModel } from "../config/model-pattern.ts";
import { type Failure, failure } from "../failure.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import type { Operation } from "./address.ts";
import { identify } from "./identify.ts";

const invalid = failure("invalid_token", "The token is not valid here. Get a new one.");
const expired = failure("expired_token", "The token has expired. Get a new one.");
const elsewhere = failure("origin_not_allowed", "The token may not be used from this origin.");

/** `known`: the owner of the key that minted the token, for the log. */
const refused = (reason: Failure, known?: KeyRecord): Identity => ({
  anonymous: true,
  failure: reason,
  ...(known ? { known } : {}),
});

export function identifyClient(token: string, origin: string | null, snapshot: Snapshot, nowMs: number): Identity {
  const opened = snapshot.clientTokens.open(token);
  if (opened === null) return refused(invalid);
  if (nowMs >= opened.expiresAtMs) return refused(expired);
  const record = snapshot.keysOf(opened.key).find((record) => opened.isOf(record.digest));
  if (record === undefined) return refused(invalid);
  const identity = identify(record, nowMs);
  if (identity.anonymous) return identity;
  if (identity.key.clientTokens === undefined) return refused(invalid, record);
  if (opened.origin !== null && opened.origin !== origin) return refused(elsewhere, record);
  const { clientTokens: _, ...rest } = identity.key;
  const models = opened.models === null ? rest.models : opened.models.filter((name) => allowsModel(rest.models, name));
  return { ...identity, key: { ...rest, models }, ...(models === null ? {} : { modelsOnly: true }) };
}

/** Operations that a client token limited to models may use. */
const modelOperations: ReadonlySet<Operation["kind"]> = new Set(["generate", "models", "countTokens", "socket"]);
const modelsOnly = failure(
  "access_denied",
  "This token may only call the models that it was made for. Use the API key for files, batches and usage.",
);

export function denyBeyondModels(identity: Identity, operation: Operation): Failure | null {
  return !identity.anonymous && identity.modelsOnly === true && !modelOperations.has(operation.kind)
    ? modelsOnly
    : null;
}

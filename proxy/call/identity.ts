/** Who makes a call. */
import type { KeyRecord } from "../config/key-record.ts";
import type { Failure } from "../failure.ts";

/** A caller identified by a key. */
export interface KeyIdentity {
  anonymous: false;
  key: KeyRecord;
  namespace: string;
  /** Tells a ServiceAccount from an earlier one of the same name. */
  uid?: string;
  /** Set for a client token limited to models: it can call these and nothing else. */
  modelsOnly?: true;
}

/** A caller without a valid key: accepted by open routes; `failure` is the answer everywhere else. */
export interface AnonymousIdentity {
  anonymous: true;
  failure: Failure;
  /** A token that an issuer may vouch for; `verify` resolves whose it is. */
  token?: string;
  /**
   * The record behind an invalid key. Its namespace still applies, so that the caller isn't served where the key would
   * not be.
   */
  known?: KeyRecord;
}

/** Whose the objects and answers are that belong to one user of a namespace, whatever key is used. */
export const userOf = ({ key, uid }: KeyIdentity): string =>
  uid === undefined ? key.user || key.id : `${key.user || key.id} ${uid}`;

export type Identity = KeyIdentity | AnonymousIdentity;

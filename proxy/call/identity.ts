/** Who makes a call. */
import type { KeyRecord } from "../config/key-record.ts";
import type { Failure } from "../failure.ts";

/** A caller that a key names. */
export interface KeyIdentity {
  anonymous: false;
  key: KeyRecord;
  namespace: string;
  /** A client token that is limited to models: it reaches these and nothing else. */
  modelsOnly?: true;
}

/** A caller without a usable key: fine for open routes; everywhere else `failure` is the answer. */
export interface AnonymousIdentity {
  anonymous: true;
  failure: Failure;
  /** A token that an issuer may vouch for; `verify` says who that is. */
  token?: string;
  /** Whose key it was: of the right namespace all the same, so that it isn't served where its key would not be. */
  known?: KeyRecord;
}

export type Identity = KeyIdentity | AnonymousIdentity;

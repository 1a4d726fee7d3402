/**
 * What a stage hands on as proof that it ran. The stages behind it ask for the proof, so that a call that skips a stage
 * doesn't compile (test/proxy/stage-order.ts). Only the stage itself makes its proof, by a cast.
 */
import type { Received } from "../call/received.ts";
import type { ClientConnection } from "../wire/client.ts";
import type { Routed } from "./route.ts";

declare const stage: unique symbol;
type Proof<T, Stage extends string> = T & { readonly [stage]: Stage };

/** The request can be read in one way only, and comes from no page that may not send it. */
export type Unambiguous = Proof<ClientConnection, "preliminary">;
/** The caller may use the route for this model, from where it calls, with this body. */
export type Authorised = Proof<Routed, "authorise">;
/** The body without the personal data that the policy masks. */
export type Masked = Proof<Received, "mask">;
/** The audit log holds the begin of the call, where the policy wants it to. */
export type OnRecord = Proof<object, "on record">;
/** The cache has no answer. */
export type Missed = Proof<object, "cached">;
/** Every rate limit and budget has room for the call. */
export type Admission<T> = Proof<T, "admit">;

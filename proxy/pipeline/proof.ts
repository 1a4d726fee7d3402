/**
 * What a stage returns as proof that it ran. Later stages require the proof, so code that skips a stage doesn't compile
 * (test/proxy/stage-order.ts). Only the stage itself creates its proof, by a cast.
 */
import type { Received } from "../call/received.ts";
import type { RequestTexts } from "../text-work/job.ts";
import type { ClientConnection } from "../wire/client.ts";
import type { Routed } from "./route.ts";

declare const stage: unique symbol;
type Proof<T, Stage extends string> = T & { readonly [stage]: Stage };

/** The request is unambiguous, and does not come from a page of a forbidden origin. */
export type Unambiguous = Proof<ClientConnection, "preliminary">;
/** The caller may use the route for this model, from where it calls, with this body. `texts`: as a worker read them. */
export type Authorised = Proof<Routed & { texts?: RequestTexts }, "authorise">;
/** The body without the personal data that the policy masks. */
export type Masked = Proof<Received, "mask">;
/** The audit log contains the start of the call, if the policy requires that. */
export type OnRecord = Proof<object, "on record">;
/** The cache has no answer. */
export type Missed = Proof<object, "cached">;
/** Every rate limit and budget has room for the call. */
export type Admission<T> = Proof<T, "admit">;

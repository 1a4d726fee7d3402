/**
 * The stages of a call, in their order: the one list. `checks.ts` runs its checks by it, and the table in
 * docs/architecture.md is generated from it. test/repo/docs.test.ts compares the codes with those in `files`.
 */
import type { FailureCode } from "../failure.ts";

interface Stage {
  name: string;
  does: string;
  /** Paths below proxy/. The first is the stage itself; the others contain its answers. */
  files: readonly string[];
  codes: readonly FailureCode[];
  /** Statuses of answers that aren't failures. */
  answers?: readonly number[];
}

const badKey = [
  "missing_api_key",
  "invalid_api_key",
  "malformed_api_key",
  "expired_api_key",
  "revoked_api_key",
  "invalid_token",
  "expired_token",
  "origin_not_allowed",
  "identity_unavailable",
  "access_denied",
] as const satisfies readonly FailureCode[];
const keyFiles = [
  "pipeline/authenticate.ts",
  "pipeline/identify.ts",
  "pipeline/client-token.ts",
  "identity/verify.ts",
] as const;

/**
 * The checks between routing and masking: whether this caller may make this call. `checks.ts` has one function for
 * each.
 */
export const checkStages = [
  {
    name: "authorise",
    does: "Checks the key's role and models and the policy's scope, by the same predicate that decides what `GET /v1/models` lists.",
    files: ["pipeline/route.ts", ...keyFiles],
    codes: ["model_not_allowed", "permission_denied", "unknown_role", ...badKey],
  },
  {
    name: "origin",
    does: "Checks network, country, hour and consent. Residency is checked where targets are resolved, so that no later stage sees the others.",
    files: ["pipeline/circumstances.ts", "access/rules.ts"],
    codes: [
      "network_not_allowed",
      "country_not_allowed",
      "country_unknown",
      "outside_allowed_hours",
      "consent_required",
    ],
  },
  {
    name: "other models",
    does: "Rejects models that the body names besides its own: fallbacks, and a tool's model that the caller may not use.",
    files: ["pipeline/other-models.ts"],
    codes: ["unsupported_parameter"],
  },
  {
    name: "region override",
    does: "Rejects a region that the body names where the policy sets the data's residency.",
    files: ["pipeline/region-override.ts"],
    codes: ["unsupported_parameter"],
  },
  {
    name: "guard",
    does: "Checks the request's texts against the policy's patterns and size limit.",
    files: ["pipeline/guard.ts", "guard/judge.ts", "text-work/pool.ts"],
    codes: ["prompt_denied", "prompt_too_large", "prompt_unreadable", "rate_limit_exceeded", "draining"],
  },
] as const satisfies readonly Stage[];

export type CheckName = (typeof checkStages)[number]["name"];

export const stages: readonly Stage[] = [
  {
    name: "preliminary",
    does: "Rejects requests that two servers could read differently; answers preflights and rejects pages of other origins.",
    files: ["pipeline/preliminary.ts", "pipeline/cors.ts"],
    codes: ["duplicate_header", "invalid_value", "too_many_headers", "origin_not_allowed"],
    answers: [204],
  },
  {
    name: "address",
    does: "Finds the operation and the path prefix, from method and path as they were sent.",
    files: ["pipeline/address.ts"],
    codes: ["unknown_url", "method_not_allowed"],
  },
  {
    name: "authenticate",
    does: "Looks up the key's digest before the body is read. Only a bearer token in the form of a JWT is verified asynchronously. A caller without a key goes on only where a policy under the prefix is open.",
    files: keyFiles,
    codes: badKey,
  },
  {
    name: "open socket",
    does: "Takes the connection over as a WebSocket, if it asks for one. Its responses are then separate calls.",
    files: ["pipeline/open-socket.ts", "web-sockets/server.ts"],
    codes: ["invalid_value", "upgrade_required", "overloaded"],
  },
  {
    name: "room",
    does: "Takes room for the body, before it is read.",
    files: ["pipeline/body-place.ts", "call/body-room.ts"],
    codes: ["rate_limit_exceeded", "overloaded"],
  },
  {
    name: "receive",
    does: "Reads and parses the body, once.",
    files: ["pipeline/receive.ts", "call/received.ts", "wire/request-body.ts"],
    codes: [
      "empty_body",
      "invalid_json",
      "invalid_utf8",
      "invalid_value",
      "client_closed_request",
      "overloaded",
      "request_timeout",
      "request_too_large",
      "unsupported_media_type",
    ],
  },
  {
    name: "route",
    does: "Finds the policy that serves this model to this caller.",
    files: ["pipeline/route.ts"],
    codes: ["model_not_found", "missing_required_parameter"],
  },
  ...checkStages,
  {
    name: "mask",
    does: "Takes personal data out of the request, and sets up what masks the answer or puts data back into it.",
    files: ["pipeline/mask.ts", "masking/request.ts"],
    codes: ["prompt_unreadable"],
  },
  {
    name: "shape",
    does: "Applies the policy's defaults, overrides and prompts.",
    files: ["pipeline/shape.ts"],
    codes: ["invalid_value", "missing_required_parameter"],
  },
  {
    name: "open ids",
    does: "Turns sealed ids of what a provider keeps back into the provider's own, and finds which target keeps it. Ids are sealed where the answer is read (`pipeline/sealed-answer.ts`), so the cache holds sealed ones.",
    files: ["ids/open-request.ts", "ids/unknown-object.ts"],
    codes: ["resource_not_found", "invalid_value"],
  },
  {
    name: "on record",
    does: "Where the policy requires it: writes the call to the audit log before anything is answered. A whole answer, and the last bytes of a stream, wait for the record of the call's end.",
    files: ["pipeline/on-record.ts"],
    codes: ["audit_unavailable"],
  },
  {
    name: "cached",
    does: "Answers from the cache, or waits for an equal call that is under way.",
    files: ["pipeline/cached.ts"],
    codes: ["not_cached", "client_closed_request"],
  },
  {
    name: "admit",
    does: "Reserves the most that the call can use in every limit and budget that covers it: in all of them or in none.",
    files: [
      "pipeline/admit.ts",
      "pipeline/budget-claims.ts",
      "pipeline/limit-claims.ts",
      "pipeline/session-time.ts",
      "pipeline/worst-case.ts",
    ],
    codes: [
      "invalid_value",
      "price_unknown",
      "budget_exceeded",
      "session_time_exceeded",
      "rate_limit_exceeded",
      "state_unavailable",
    ],
  },
  {
    name: "dispatch",
    does: "Tries one target after another until one answers. Nothing is sent twice once a byte has reached the caller.",
    files: [
      "pipeline/dispatch.ts",
      "pipeline/dispatch-outcome.ts",
      "pipeline/try-target.ts",
      "pipeline/attempt.ts",
      "pipeline/attempt-errors.ts",
      "pipeline/reader.ts",
      "pipeline/prepare.ts",
      "pipeline/provider-error.ts",
      "pipeline/route.ts",
      "dialects/verdict/blame.ts",
    ],
    codes: [
      "unsupported_parameter",
      "context_length_exceeded",
      "request_too_large",
      "content_filter",
      "upstream_rejected_request",
      "model_not_found",
      "upstream_rate_limited",
      "upstream_auth_error",
      "upstream_error",
      "upstream_invalid_response",
      "upstream_model_not_found",
      "upstream_stream_truncated",
      "upstream_unreachable",
      "draining",
      "no_usable_target",
      "upstream_unavailable",
      "upstream_timeout",
    ],
  },
  {
    name: "settle",
    does: "Charges what the call used and releases the rest of the reservation.",
    files: ["pipeline/reservation.ts"],
    codes: [],
  },
  {
    name: "record",
    does: "Writes metrics, log and ledger: exactly once, whatever happened.",
    files: ["pipeline/serve.ts", "pipeline/end-call.ts"],
    codes: ["internal_error"],
  },
];

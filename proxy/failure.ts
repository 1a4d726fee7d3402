/**
 * Every way in which a call can fail, in one closed table: code → HTTP status, OpenAI `type`, and who can fix it. The
 * message is public and says what to do; the cause is private and is only logged.
 */
export type Blame = "caller" | "policy" | "provider" | "gateway";

interface Row {
  status: number;
  /** OpenAI's `error.type`. */
  type:
    | "invalid_request_error"
    | "authentication_error"
    | "permission_error"
    | "rate_limit_error"
    | "insufficient_quota"
    | "server_error";
  blame: Blame;
  /** Whether the official SDKs should retry (`x-should-retry`); null leaves that to the status. */
  retry: boolean | null;
}

const invalid = { type: "invalid_request_error", blame: "caller", retry: null } as const;

export const failures = {
  empty_body: { status: 400, ...invalid },
  invalid_json: { status: 400, ...invalid },
  invalid_utf8: { status: 400, ...invalid },
  missing_required_parameter: { status: 400, ...invalid },
  invalid_value: { status: 400, ...invalid },
  duplicate_header: { status: 400, ...invalid },
  unsupported_parameter: { status: 400, ...invalid },
  unsupported_operation: { status: 400, ...invalid, retry: false },
  context_length_exceeded: { status: 400, ...invalid },
  prompt_denied: { status: 400, type: "invalid_request_error", blame: "policy", retry: false },
  prompt_too_large: { status: 400, type: "invalid_request_error", blame: "policy", retry: false },
  prompt_unreadable: { status: 400, type: "invalid_request_error", blame: "policy", retry: false },
  content_filter: { status: 400, type: "invalid_request_error", blame: "policy", retry: false },
  upstream_rejected_request: { status: 400, type: "invalid_request_error", blame: "caller", retry: null },
  missing_api_key: { status: 401, type: "authentication_error", blame: "caller", retry: null },
  invalid_api_key: { status: 401, type: "authentication_error", blame: "caller", retry: null },
  malformed_api_key: { status: 401, type: "authentication_error", blame: "caller", retry: null },
  expired_api_key: { status: 401, type: "authentication_error", blame: "caller", retry: null },
  revoked_api_key: { status: 401, type: "authentication_error", blame: "caller", retry: null },
  invalid_token: { status: 401, type: "authentication_error", blame: "caller", retry: null },
  expired_token: { status: 401, type: "authentication_error", blame: "caller", retry: null },
  model_not_allowed: { status: 403, type: "permission_error", blame: "policy", retry: null },
  unknown_role: { status: 403, type: "permission_error", blame: "policy", retry: false },
  permission_denied: { status: 403, type: "permission_error", blame: "policy", retry: false },
  access_denied: { status: 403, type: "permission_error", blame: "policy", retry: null },
  network_not_allowed: { status: 403, type: "permission_error", blame: "policy", retry: false },
  country_not_allowed: { status: 403, type: "permission_error", blame: "policy", retry: false },
  country_unknown: { status: 403, type: "permission_error", blame: "policy", retry: false },
  outside_allowed_hours: { status: 403, type: "permission_error", blame: "policy", retry: false },
  price_unknown: { status: 403, type: "permission_error", blame: "policy", retry: false },
  origin_not_allowed: { status: 403, type: "permission_error", blame: "policy", retry: false },
  consent_required: { status: 403, type: "permission_error", blame: "caller", retry: false },
  unknown_url: { status: 404, ...invalid },
  model_not_found: { status: 404, ...invalid },
  resource_not_found: { status: 404, ...invalid },
  method_not_allowed: { status: 405, ...invalid },
  request_timeout: { status: 408, ...invalid, retry: false },
  request_too_large: { status: 413, ...invalid },
  unsupported_media_type: { status: 415, ...invalid },
  upgrade_required: { status: 426, ...invalid, retry: false },
  too_many_headers: { status: 431, ...invalid },
  rate_limit_exceeded: { status: 429, type: "rate_limit_error", blame: "policy", retry: null },
  budget_exceeded: { status: 429, type: "insufficient_quota", blame: "policy", retry: false },
  session_time_exceeded: { status: 429, type: "rate_limit_error", blame: "policy", retry: false },
  upstream_rate_limited: { status: 429, type: "rate_limit_error", blame: "provider", retry: null },
  client_closed_request: { status: 499, ...invalid, retry: false },
  internal_error: { status: 500, type: "server_error", blame: "gateway", retry: null },
  upstream_auth_error: { status: 502, type: "server_error", blame: "provider", retry: false },
  upstream_unreachable: { status: 502, type: "server_error", blame: "provider", retry: null },
  gateway_unreachable: { status: 502, type: "server_error", blame: "gateway", retry: true },
  upstream_invalid_response: { status: 502, type: "server_error", blame: "provider", retry: false },
  upstream_stream_truncated: { status: 502, type: "server_error", blame: "provider", retry: null },
  upstream_error: { status: 502, type: "server_error", blame: "provider", retry: null },
  upstream_model_not_found: { status: 502, type: "server_error", blame: "provider", retry: false },
  upstream_unavailable: { status: 503, type: "server_error", blame: "provider", retry: null },
  no_usable_target: { status: 503, type: "server_error", blame: "policy", retry: null },
  identity_unavailable: { status: 503, type: "server_error", blame: "gateway", retry: true },
  sidecar_without_token: { status: 503, type: "server_error", blame: "gateway", retry: true },
  audit_unavailable: { status: 503, type: "server_error", blame: "gateway", retry: true },
  state_unavailable: { status: 503, type: "server_error", blame: "gateway", retry: true },
  overloaded: { status: 503, type: "server_error", blame: "gateway", retry: true },
  draining: { status: 503, type: "server_error", blame: "gateway", retry: true },
  not_ready: { status: 503, type: "server_error", blame: "gateway", retry: true },
  not_cached: { status: 504, ...invalid, retry: false },
  upstream_timeout: { status: 504, type: "server_error", blame: "provider", retry: null },
} as const satisfies Record<string, Row>;

export type FailureCode = keyof typeof failures;

/** The provider's own error, for callers that use its API. */
export interface ProviderWords {
  code: string | null;
  type: string | null;
  param: string | null;
  /** Other members of the error (Anthropic's and Google's `details`, Azure's `innererror`, OpenRouter's `metadata`). */
  details: Record<string, unknown> | null;
  requestId: string | null;
}

/** Only `failure` sets it: a caller's JSON may have members of any name, but never this symbol. */
const mark: unique symbol = Symbol("failure");

export interface Failure {
  readonly [mark]: true;
  code: FailureCode;
  /** Public: what is wrong and what to do. */
  message: string;
  /** The request field at fault. */
  param: string | null;
  /** How long to wait before a retry makes sense, in milliseconds. */
  retryAfterMs: number | null;
  /** Private: for the log. Never contains a body or a credential. */
  cause: string | null;
  /** The provider's own error, for a caller that uses its API. */
  theirs?: ProviderWords;
}

export function failure(
  code: FailureCode,
  message: string,
  more: { param?: string; retryAfterMs?: number | null; cause?: string } = {},
): Failure {
  return {
    [mark]: true,
    code,
    message,
    param: more.param ?? null,
    retryAfterMs: more.retryAfterMs ?? null,
    cause: more.cause ?? null,
  };
}

/** Whether a stage's result is a failure. */
export function isFailure(value: object): value is Failure {
  return mark in value;
}

/** A failure that came from another thread, which symbols don't reach. */
export const remarked = (failed: Omit<Failure, typeof mark>): Failure => ({ ...failed, [mark]: true });

export function httpStatusOf(failure: Failure): number {
  return failures[failure.code].status;
}

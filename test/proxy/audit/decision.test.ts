/** What the audit log says was decided, for every way in which a call can fail. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decisionOf } from "../../../proxy/audit/decision.ts";
import { auditMembers } from "../../../proxy/audit/record.ts";
import { type FailureCode, failures } from "../../../proxy/failure.ts";
import { aCall } from "./kit.ts";

/** Without a provider having been asked. Every code is here, so that a new one is thought about. */
const decisions: Record<FailureCode, "allow" | "deny"> = {
  empty_body: "deny",
  invalid_json: "deny",
  invalid_utf8: "deny",
  missing_required_parameter: "deny",
  invalid_value: "deny",
  duplicate_header: "deny",
  unsupported_parameter: "deny",
  unsupported_operation: "deny",
  context_length_exceeded: "allow",
  prompt_denied: "deny",
  prompt_too_large: "deny",
  prompt_unreadable: "deny",
  content_filter: "allow",
  upstream_rejected_request: "allow",
  missing_api_key: "deny",
  invalid_api_key: "deny",
  malformed_api_key: "deny",
  expired_api_key: "deny",
  revoked_api_key: "deny",
  invalid_token: "deny",
  expired_token: "deny",
  model_not_allowed: "deny",
  unknown_role: "deny",
  permission_denied: "deny",
  access_denied: "deny",
  network_not_allowed: "deny",
  country_not_allowed: "deny",
  country_unknown: "deny",
  outside_allowed_hours: "deny",
  price_unknown: "deny",
  origin_not_allowed: "deny",
  consent_required: "deny",
  unknown_url: "deny",
  model_not_found: "deny",
  resource_not_found: "deny",
  method_not_allowed: "deny",
  request_timeout: "deny",
  request_too_large: "deny",
  unsupported_media_type: "deny",
  upgrade_required: "deny",
  too_many_headers: "deny",
  rate_limit_exceeded: "deny",
  budget_exceeded: "deny",
  session_time_exceeded: "deny",
  upstream_rate_limited: "allow",
  client_closed_request: "allow",
  internal_error: "allow",
  upstream_auth_error: "allow",
  upstream_unreachable: "allow",
  gateway_unreachable: "deny",
  upstream_invalid_response: "allow",
  upstream_stream_truncated: "allow",
  upstream_error: "allow",
  upstream_model_not_found: "allow",
  upstream_unavailable: "allow",
  no_usable_target: "deny",
  identity_unavailable: "deny",
  sidecar_without_token: "deny",
  audit_unavailable: "deny",
  state_unavailable: "deny",
  overloaded: "deny",
  draining: "allow",
  not_ready: "deny",
  not_cached: "deny",
  upstream_timeout: "allow",
};

describe("the decision on record", () => {
  for (const code of Object.keys(failures) as FailureCode[])
    it(`is ${decisions[code]} for ${code}, and allow once a provider was asked`, () => {
      const call = { ...aCall(), code, status: failures[code].status };
      const attempts = [{ provider: "a/p", target: "t", model: "m", outcome: "Timeout", durationMs: 1 }];
      assert.match(auditMembers("call", call, 0), new RegExp(`"decision":"${decisions[code]}"`));
      assert.match(auditMembers("call", { ...call, attempts }, 0), /"decision":"allow"/);
    });

  it("is allow for what did not fail", () => assert.equal(decisionOf(null, false), "allow"));
});

/** A call that asks for the number of a prompt's tokens: the provider's, where it can count, else an estimate. */
import { callerOf } from "../call/caller.ts";
import type { Identity } from "../call/identity.ts";
import type { Shaped } from "../call/shaped.ts";
import { type ChatRequest, isRefusal } from "../dialects/canonical.ts";
import { type Failure, failure, isFailure } from "../failure.ts";
import type { Route } from "../snapshot/snapshot.ts";
import { admit } from "./admit.ts";
import type { CallState } from "./call-state.ts";
import { countCall, countTokens, estimatedCount, type TokenCount } from "./count-tokens.ts";
import { beginOnRecord } from "./on-record.ts";
import { CallPlan } from "./plan.ts";
import { noteAsked } from "./record-fields.ts";
import { modelAsRouted, targetsFor } from "./route.ts";

/** Asks the provider for the count. Like any call, this one is audited and limited. */
async function counted(
  call: CallState,
  shaped: Shaped,
  request: ChatRequest,
  route: Route,
  identity: Identity,
): Promise<TokenCount | Failure> {
  const { client, gateway, snapshot, surface, record } = call;
  const targets = targetsFor(route, shaped.model, call.account);
  if (isFailure(targets)) return estimatedCount(request);
  const caller = callerOf(identity, record.address);
  const { session } = record;
  const [target] = gateway.routing.plan(new CallPlan(shaped, route, targets, identity, client, session, caller));
  const asking = target === undefined ? null : countCall(shaped, request, target);
  if (target === undefined || asking === null) return estimatedCount(request);
  const model = modelAsRouted(route, shaped.model, targets[0]);
  noteAsked(record, model, target);
  if (route.config.audit.required) client.hold();
  const onRecord = await beginOnRecord(route, gateway.audit, record);
  if (isFailure(onRecord)) return onRecord;
  call.enter("admit");
  const admitted = await admit(
    { client, surface, snapshot, route, identity, shaped: null, targets: [], model, session },
    gateway,
  );
  if (isFailure(admitted)) return admitted;
  call.admitted = admitted;
  call.enter("dispatch");
  return countTokens({ request, target, call: asking, caller, forwarded: call.forwarded(identity) }, gateway);
}

/** Returns the answer's body. */
export async function tokenCount(
  call: CallState,
  shaped: Shaped,
  route: Route,
  identity: Identity,
): Promise<object | Failure> {
  const request = shaped.chat();
  if (isRefusal(request)) return failure(request.code, request.message);
  const count = await counted(call, shaped, request, route, identity);
  if (isFailure(count)) return count;
  const how = count.estimated ? "estimated" : "provider";
  call.client.always((headers) => void (headers["x-sluice-token-count"] = how));
  const named = shaped.format === "openai.responses" ? { object: "response.input_tokens" } : {};
  return { ...named, input_tokens: count.tokens };
}

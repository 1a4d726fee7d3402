/** The stages of a call from its body on, up to `generate` or `tokenCount`. */
import type { Circumstances } from "../access/rules.ts";
import type { Identity } from "../call/identity.ts";
import { asAnswered, type Received, withModel } from "../call/received.ts";
import { sessionOf } from "../call/session.ts";
import type { Shaped } from "../call/shaped.ts";
import { isFailure } from "../failure.ts";
import { openRequest } from "../ids/open-request.ts";
import { ownerOf } from "../ids/owner.ts";
import type { RequestJob } from "../text-work/job.ts";
import { type Addressed, formatOf } from "./address.ts";
import type { CallOutcome, CallState } from "./call-state.ts";
import { authorise, type CheckedCall, denyBeforeTexts } from "./checks.ts";
import { answerCompacted, withSummaries } from "./compaction.ts";
import { tokenCount } from "./count-call.ts";
import { answerLater } from "./end-call.ts";
import { generate } from "./generate.ts";
import { withKeptItems } from "./kept-responses.ts";
import { mask } from "./mask.ts";
import { readMoved, textJobOf } from "./moved-texts.ts";
import { noteRoute } from "./record-fields.ts";
import { resolveTargets, route } from "./route.ts";
import { chargedNamespace } from "./scope.ts";
import { shape } from "./shape.ts";

/** The caller, what it asks for, and where the call comes from. */
export interface Arrival {
  addressed: Addressed;
  identity: Identity;
  from: Circumstances;
}

interface ReceivedCall extends CheckedCall {
  operation: Addressed["operation"];
}

export function serveReceived(state: CallState, read: Received, { addressed, identity, from }: Arrival): CallOutcome {
  const { client, gateway, record, snapshot } = state;
  state.enter("route");
  const { path, operation, deployment } = addressed;
  const format = formatOf(operation);
  const answered = asAnswered(read, format);
  if (answered.isFile) state.surface = "file";
  const named = withModel(answered, deployment);
  if (isFailure(named)) return named;
  const routed = route(path, named.model, identity);
  if (isFailure(routed)) return routed;
  const compacts = operation.kind === "generate" && operation.compacts === true;
  noteRoute(record, routed.route);
  const received = withSummaries(named, { format, compacts }, routed.route, identity, snapshot);
  if (isFailure(received)) return received;
  if (compacts) answerCompacted(state, named, routed.route, identity);
  const ownHeader = routed.route.config.sessionHeader ?? "";
  record.session = sessionOf(client, [ownHeader, gateway.sessionHeader], received.json);
  record.stream = received.stream;
  const call = { routed, received, format, identity, from, roles: snapshot.roles, operation };
  const job = gateway.texts.works ? textJobOf(call) : null;
  return job === null ? serveChecked(state, call) : serveMoved(state, call, job);
}

/** Large texts are read by a worker, after everything else was checked. */
async function serveMoved(state: CallState, call: ReceivedCall, job: RequestJob) {
  const refused = denyBeforeTexts(call);
  if (refused !== null) return refused;
  const { identity, routed } = call;
  state.enter("guard");
  const namespace = chargedNamespace({ identity, route: routed.route });
  const texts = await readMoved(state.gateway.texts, namespace, job, state.client);
  return isFailure(texts) ? texts : serveChecked(state, { ...call, texts });
}

/** The stages from the checks on. */
function serveChecked(state: CallState, call: ReceivedCall): CallOutcome {
  const { routed, received, format, identity, operation } = call;
  const { client, gateway, record } = state;
  const authorised = authorise(call);
  if (isFailure(authorised)) return authorised;
  state.enter("mask");
  const namespace = chargedNamespace({ identity, route: routed.route });
  const masked = mask(authorised, { received, format, client, record, pool: gateway.texts, namespace });
  if (isFailure(masked)) return masked;
  state.enter("shape");
  if (record.trace !== null) record.trace.requested = received.json;
  const shaped = shape(masked, {
    routed: authorised,
    format,
    identity,
    nowMs: gateway.nowMs(),
    compacts: operation.kind === "generate" && operation.compacts,
  });
  if (isFailure(shaped)) return shaped;
  const resolving = withKeptItems(state, shaped, routed.route, identity);
  return resolving === null ? serveShaped(state, shaped, call) : serveShapedLater(state, resolving, shaped, call);
}

async function serveShapedLater(state: CallState, resolving: Promise<unknown>, shaped: Shaped, call: ReceivedCall) {
  await resolving;
  return serveShaped(state, shaped, call);
}

function serveShaped(state: CallState, shaped: Shaped, { routed, identity, operation }: ReceivedCall): CallOutcome {
  const { snapshot } = state;
  const owner = ownerOf(identity, routed.route, snapshot.roles);
  const opened = openRequest(shaped, snapshot.ids, owner, (account) =>
    resolveTargets(routed.route, shaped.model).some(({ entry }) => entry.account.config.id === account),
  );
  if (isFailure(opened)) return opened;
  state.account = opened.account;
  return operation.kind === "countTokens"
    ? answerLater(state, tokenCount(state, shaped, routed.route, identity))
    : generate(state, shaped, routed.route, identity);
}

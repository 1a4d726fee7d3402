/** Stage: whether this caller may make this call. The checks run in the order of `checkStages`; the first refusal counts. */
import type { Circumstances } from "../access/rules.ts";
import type { Identity } from "../call/identity.ts";
import type { Received } from "../call/received.ts";
import type { WireFormat } from "../config/capabilities.ts";
import type { Failure } from "../failure.ts";
import type { Role } from "../snapshot/snapshot.ts";
import type { RequestTexts } from "../text-work/job.ts";
import { denyByOrigin } from "./circumstances.ts";
import { denyByGuard } from "./guard.ts";
import { rejectOtherModels } from "./other-models.ts";
import type { Authorised } from "./proof.ts";
import { rejectRegionOverride } from "./region-override.ts";
import { denyByRoleOrModel, type Routed } from "./route.ts";
import { type CheckName, checkStages } from "./stages.ts";

export interface CheckedCall {
  routed: Routed;
  received: Received;
  format: WireFormat;
  identity: Identity;
  from: Circumstances;
  roles: ReadonlyMap<string, Role>;
  /** The request's texts if a worker has read them: the guard allowed them. */
  texts?: RequestTexts;
}

type Check = (call: CheckedCall) => Failure | null;

const checks: Readonly<Record<CheckName, Check>> = {
  authorise: ({ routed, identity, roles }) => denyByRoleOrModel(routed.route, routed.model, identity, roles),
  origin: ({ routed, from }) => denyByOrigin(routed.route, from),
  "other models": ({ routed, received, identity, roles }) =>
    rejectOtherModels(received.json, routed.route, identity, roles),
  "region override": ({ routed, received }) => rejectRegionOverride(received.json, routed.route),
  guard: ({ routed, received, format, identity, texts }) =>
    texts === undefined ? denyByGuard(routed.route, received, format, identity) : null,
};

const chain = checkStages.map(({ name }) => checks[name]);
const beforeTexts = checkStages.filter(({ name }) => name !== "guard").map(({ name }) => checks[name]);

function refusal(call: CheckedCall, checks: readonly Check[]): Failure | null {
  for (const check of checks) {
    const refused = check(call);
    if (refused !== null) return refused;
  }
  return null;
}

/** The checks that don't read texts, for a call whose texts are about to be moved to a worker. */
export const denyBeforeTexts = (call: CheckedCall): Failure | null => refusal(call, beforeTexts);

export function authorise(call: CheckedCall): Authorised | Failure {
  const refused = refusal(call, chain);
  if (refused !== null) return refused;
  return (call.texts === undefined ? call.routed : { ...call.routed, texts: call.texts }) as Authorised;
}

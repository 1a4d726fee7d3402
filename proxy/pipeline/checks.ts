/** Stage: whether this caller may make this call. The checks run in the order of `checkStages`; the first refusal counts. */
import type { Circumstances } from "../access/rules.ts";
import type { Identity } from "../call/identity.ts";
import type { Received } from "../call/received.ts";
import type { WireFormat } from "../config/capabilities.ts";
import type { Failure } from "../failure.ts";
import type { Role } from "../snapshot/snapshot.ts";
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
}

type Check = (call: CheckedCall) => Failure | null;

const checks: Readonly<Record<CheckName, Check>> = {
  authorise: ({ routed, identity, roles }) => denyByRoleOrModel(routed.route, routed.model, identity, roles),
  origin: ({ routed, from }) => denyByOrigin(routed.route, from),
  "other models": ({ routed, received, identity, roles }) =>
    rejectOtherModels(received.json, routed.route, identity, roles),
  "region override": ({ routed, received }) => rejectRegionOverride(received.json, routed.route),
  guard: ({ routed, received, format, identity }) => denyByGuard(routed.route, received, format, identity),
};

const chain = checkStages.map(({ name }) => checks[name]);

export function authorise(call: CheckedCall): Authorised | Failure {
  for (const check of chain) {
    const refused = check(call);
    if (refused !== null) return refused;
  }
  return call.routed as Authorised;
}

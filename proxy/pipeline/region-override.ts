/**
 * Stage: refuses bodies that tell the provider where to process the call, which would bypass the policy's residency. A
 * target's region applies to its account, and some providers let a request choose another.
 */

import { regionMembers } from "../config/steering.ts";
import { type Failure, failure } from "../failure.ts";
import type { Route } from "../snapshot/snapshot.ts";
import type { JsonObject } from "../wire/json.ts";

export function rejectRegionOverride(json: JsonObject, { regions, config }: Route): Failure | null {
  if (regions === null) return null;
  const name = regionMembers.find(
    (member) => (json[member] ?? null) !== null && !Object.hasOwn(config.request.overrides, member),
  );
  if (name === undefined) return null;
  const message = `\`${name}\` can't be used here: the policy of this model says where its data may be processed. Leave it out.`;
  return failure("unsupported_parameter", message, { param: name });
}

/**
 * Stage: whether the body tells the provider where to process the call, past the policy's residency. The regions of a
 * target hold for its account; Anthropic's `inference_geo` stands above the account's own setting
 * (https://platform.claude.com/docs/en/manage-claude/data-residency).
 */

import { type Failure, failure } from "../failure.ts";
import type { Route } from "../snapshot/snapshot.ts";
import type { JsonObject } from "../wire/json.ts";

const name = "inference_geo";

export function rejectRegionOverride(json: JsonObject, { regions, config }: Route): Failure | null {
  if (regions === null || (json[name] ?? null) === null || Object.hasOwn(config.request.overrides, name)) return null;
  const message = `\`${name}\` can't be used here: the policy of this model says where its data may be processed. Leave it out.`;
  return failure("unsupported_parameter", message, { param: name });
}

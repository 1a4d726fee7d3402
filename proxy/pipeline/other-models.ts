/** Stage: refuses bodies that name models other than the routed one, which alone was checked, priced and counted. */

import type { Identity } from "../call/identity.ts";
import { listsModel } from "../config/model-pattern.ts";
import { modelMembers } from "../config/steering.ts";
import { type Failure, failure } from "../failure.ts";
import type { Role, Route } from "../snapshot/snapshot.ts";
import { isObject, type JsonObject } from "../wire/json.ts";
import { denyByRoleOrModel } from "./route.ts";

function toolModels(tools: unknown): string[] {
  if (!Array.isArray(tools)) return [];
  return tools.flatMap((tool: unknown) => (isObject(tool) && typeof tool["model"] === "string" ? [tool["model"]] : []));
}

export function rejectOtherModels(
  json: JsonObject,
  route: Route,
  identity: Identity,
  roles: ReadonlyMap<string, Role>,
): Failure | null {
  for (let index = 0; index < modelMembers.length; index++) {
    const name = modelMembers[index] as string;
    if ((json[name] ?? null) === null) continue;
    const message = `\`${name}\` would have the provider choose a model. Leave it out: the policy of this model says what is tried, and in what order.`;
    return failure("unsupported_parameter", message, { param: name });
  }
  if ((json["tools"] ?? null) === null) return null;
  const other = toolModels(json["tools"]).find(
    (model) =>
      route.config.models === null ||
      !listsModel(route.config.models, model) ||
      denyByRoleOrModel(route, model, identity, roles) !== null,
  );
  if (other === undefined) return null;
  const message = `A tool names the model ${JSON.stringify(other.slice(0, 128))}, which the policy of this model does not serve, or not to this key. Leave \`model\` out of the tool, or ask the platform team to add it to the policy's match.models.`;
  return failure("unsupported_parameter", message, { param: "tools" });
}

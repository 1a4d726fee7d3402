/** GET models: lists what this caller may use, by the same predicate that calls use. */

import type { Circumstances } from "../access/rules.ts";
import type { Identity } from "../call/identity.ts";
import { type Failure, failure } from "../failure.ts";
import type { PathEntry, Snapshot } from "../snapshot/snapshot.ts";
import { denyByLocation } from "./circumstances.ts";
import { denyByRoleOrModel, modelNames, offeredTo } from "./route.ts";

interface ModelEntry {
  id: string;
  object: "model";
  created: number;
  owned_by: string;
}

function callable(path: PathEntry, identity: Identity, call: Circumstances, roles: Snapshot["roles"]): ModelEntry[] {
  const names = new Set<string>();
  for (const route of path.routes) {
    if (!offeredTo(route, identity) || denyByLocation(route, call) !== null) continue;
    for (const name of modelNames(route)) if (denyByRoleOrModel(route, name, identity, roles) === null) names.add(name);
  }
  return [...names].sort().map((id) => ({ id, object: "model", created: 0, owned_by: "sluice" }));
}

export function listModels(
  path: PathEntry,
  identity: Identity,
  call: Circumstances,
  roles: Snapshot["roles"],
  id: string | null,
): object | Failure {
  const data = callable(path, identity, call, roles);
  if (id === null) return { object: "list", data };
  return (
    data.find((one) => one.id === id) ??
    failure("model_not_found", "The model does not exist here or this key may not use it.", { param: "model" })
  );
}

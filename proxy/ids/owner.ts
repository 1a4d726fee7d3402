/** Whose the objects are that a caller has a provider make: those of a user of a namespace, whatever its keys. */
import { type Identity, userOf } from "../call/identity.ts";
import type { Owner } from "../identity/id-seal.ts";
import type { Role, Route } from "../snapshot/snapshot.ts";

/** Callers without a key own what they have made together, within the policy's namespace. */
export function ownerOf(identity: Identity, route: Route | null, roles: ReadonlyMap<string, Role>): Owner {
  if (identity.anonymous)
    return { namespace: `anonymous ${route?.config.id.split("/", 1)[0] ?? ""}`, user: "", seesNamespace: false };
  const { key, namespace } = identity;
  const seesNamespace =
    identity.modelsOnly !== true && roles.get(key.role)?.permissions.has("view_all_requests") === true;
  return { namespace, user: userOf(identity), seesNamespace };
}

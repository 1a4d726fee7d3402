/** Stored responses: which provider account keeps one, and who may fetch or delete it. */
import type { Circumstances } from "../access/rules.ts";
import type { KeyIdentity } from "../call/identity.ts";
import { type Failure, failure } from "../failure.ts";
import { unknownObject } from "../ids/unknown-object.ts";
import type { PathEntry, ProviderEntry, Role, Route } from "../snapshot/snapshot.ts";
import { denyByOrigin } from "./circumstances.ts";
import { idIn, type ResourceOperation } from "./resource-paths.ts";
import type { ResourceTarget } from "./resource-target.ts";
import { denyByPolicyScope, missingPermission, offeredTo, resident } from "./route.ts";

export const notKept = failure("unknown_url", "The provider of this response has no call to fetch or delete it.");

export const notStreamed = failure(
  "unsupported_parameter",
  "Stored responses can't be streamed here. Leave `stream` out and fetch the response again.",
  { param: "stream" },
);

const onlyDeleted = failure(
  "unknown_url",
  "A policy of this provider masks personal data, so that stored responses can only be deleted. Keep the answer that you got.",
);

/** A stored response is reached through any policy of the caller's that sends calls to the provider that keeps it. */
export function keptResponse(
  operation: ResourceOperation,
  path: PathEntry,
  identity: KeyIdentity,
  call: Circumstances,
  roles: ReadonlyMap<string, Role>,
  accountOf: (id: string) => string | null,
): ResourceTarget | Failure {
  const id = idIn(operation.path) ?? "";
  const account = accountOf(id);
  const entryOf = (route: Route): ProviderEntry | undefined =>
    route.targets.find(({ entry }) => entry.account.config.id === account)?.entry;
  const reached = path.routes.filter((route) => offeredTo(route, identity) && entryOf(route) !== undefined);
  const route = reached.find((route) => resident(route, entryOf(route) as ProviderEntry));
  if (route === undefined) return unknownObject(id);
  // It is unknown which policy's call created it, and fetched answers are not masked again.
  if (operation.method !== "DELETE" && reached.some(({ masker }) => masker !== null)) return onlyDeleted;
  return (
    missingPermission(identity, "use_models", roles) ??
    denyByPolicyScope(route, identity) ??
    denyByOrigin(route, call) ?? { route, entry: entryOf(route) as ProviderEntry }
  );
}

export const asksForStream = (url: string): boolean => /[?&]stream=true(&|$)/.test(url);

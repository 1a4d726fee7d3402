/** The rights that the owner of a Secret grants Sluice, and the problem to report if they don't suffice. Pure. */
import { own, problem } from "./outcome.ts";
import type { Problem } from "./verdict.ts";
import type { SecretRights, World } from "./world.ts";

/**
 * Label of a Secret, with the value "true": providers, client certificates and alert channels of its namespace may use
 * it.
 */
export const readableLabel = "sluice.dev/readable";
/** Label of a Secret, with the value "true": Sluice may add the API keys that ApiKeys of its namespace request. */
export const writableLabel = "sluice.dev/writable";

/**
 * Labelled: only Secrets with the label of consent. Namespace: any Secret in the namespace of the object that names it.
 */
export type SecretAccess = "Labelled" | "Namespace";

export const rightsTo = ({ secretRights }: World, namespace: string, name: string): SecretRights | undefined =>
  secretRights === undefined ? undefined : own(secretRights, `${namespace}/${name}`);

/** null unless the operator lacks the right to read the Secret: then nobody knows whether it exists. */
export function forbidden(world: World, namespace: string, name: string, path: (string | number)[]): Problem | null {
  if (rightsTo(world, namespace, name)?.forbidden === undefined) return null;
  const message = `the operator may not read Secret ${name}; its ServiceAccount needs get of Secrets in namespace ${namespace} (docs/operator-rights.md)`;
  return problem("SecretForbidden", message, path);
}

/** null if the object may use the Secret. It reveals nothing about the Secret's content. */
export function unreadable(world: World, namespace: string, name: string, path: (string | number)[]): Problem | null {
  const lost = forbidden(world, namespace, name, path);
  if (lost !== null) return lost;
  if (rightsTo(world, namespace, name)?.readable !== false) return null;
  const message = `Secret ${name} does not let Sluice use it; its owner can allow that with: kubectl -n ${namespace} label secret ${name} ${readableLabel}=true`;
  return problem("SecretNotPermitted", message, path);
}

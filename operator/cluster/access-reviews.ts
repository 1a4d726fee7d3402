/** Asks the API server what this process may do: one right at a time, or for most of a namespace's in one request. */
import { AuthorizationV1Api, type V1ResourceRule } from "@kubernetes/client-node";
import { type Cluster, statusCode } from "./api.ts";
import type { Right } from "./needed-rights.ts";

export interface AccessReviews {
  /** null if the API server doesn't say. */
  allowed(right: Right): Promise<boolean | null>;
  /** Says of rights in this namespace whether it is certain that this process has them. */
  granted(namespace: string): Promise<(right: Right) => boolean>;
}

const includes = (names: readonly string[] | undefined, name: string): boolean =>
  names !== undefined && (names.includes(name) || names.includes("*"));

function grants({ apiGroups, resources, verbs, resourceNames = [] }: V1ResourceRule, right: Right): boolean {
  const { group, resource, verb, name } = right;
  const named = resourceNames.length === 0 || (name !== "" && resourceNames.includes(name));
  return named && includes(apiGroups, group) && includes(resources, resource) && includes(verbs, verb);
}

const nothing = (): boolean => false;

export function accessReviews(cluster: Cluster): AccessReviews {
  const api = cluster.config.makeApiClient(AuthorizationV1Api);
  return {
    async allowed({ verb, group, resource: path, namespace, name }) {
      const [resource = "", subresource = ""] = path.split("/");
      const resourceAttributes = { verb, group, resource, subresource, namespace, name };
      try {
        const { status } = await api.createSelfSubjectAccessReview({ body: { spec: { resourceAttributes } } });
        return status?.allowed ?? null;
      } catch (cause) {
        // By default everybody may ask; if that right was withdrawn, nothing is known.
        if (statusCode(cause) === 403) return null;
        throw cause;
      }
    },
    async granted(namespace) {
      try {
        const { status } = await api.createSelfSubjectRulesReview({ body: { spec: { namespace } } });
        const { incomplete = true, resourceRules = [] } = status ?? {};
        // An authorizer that can't list its rules may also deny what others allow.
        return incomplete ? nothing : (right) => resourceRules.some((rule) => grants(rule, right));
      } catch {
        return nothing;
      }
    },
  };
}

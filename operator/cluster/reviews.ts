/** Asks the API server who holds a token, and what the holder may list. */
import { AuthenticationV1Api, AuthorizationV1Api } from "@kubernetes/client-node";
import { group } from "../../crds/kinds.ts";
import type { Cluster } from "./api.ts";

export interface TokenHolder {
  user: string;
  uid: string;
  groups: string[];
  extra: Record<string, string[]>;
}

export interface Reviews {
  /** null if the API server does not accept the token. */
  holderOf(token: string): Promise<TokenHolder | null>;
  /** Whether the holder may list a resource of Sluice in a namespace; null is all of them. */
  mayList(holder: TokenHolder, resource: string, namespace: string | null): Promise<boolean>;
}

export function clusterReviews({ config }: Cluster): Reviews {
  const authentication = config.makeApiClient(AuthenticationV1Api);
  const authorization = config.makeApiClient(AuthorizationV1Api);
  return {
    async holderOf(token) {
      const { status } = await authentication.createTokenReview({ body: { spec: { token } } });
      const { username = "", uid = "", groups = [], extra = {} } = status?.user ?? {};
      return status?.authenticated === true && username !== "" ? { user: username, uid, groups, extra } : null;
    },
    async mayList({ user, uid, groups, extra }, resource, namespace) {
      const place = namespace === null ? {} : { namespace };
      const spec = { user, uid, groups, extra, resourceAttributes: { group, resource, verb: "list", ...place } };
      const { status } = await authorization.createSubjectAccessReview({ body: { spec } });
      return status?.allowed === true;
    },
  };
}

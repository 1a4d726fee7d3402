/** `spec.credentials.workloadIdentity`, and which namespaces may use which identity. Pure. */
import type { WorkloadIdentitySpec } from "../../crds/types/workload-identity.ts";
import type { Capabilities } from "../../proxy/config/capabilities.ts";
import type { CloudIdentityConfig } from "../../proxy/config/cloud-identity.ts";
import { problem } from "./outcome.ts";
import type { Problem } from "./verdict.ts";
import type { CloudIdentityGrant, CompileSettings } from "./world.ts";

/** The proxies' own identity in a grant. */
const ownIdentity = "Own";

export function identityOf({ aws, azure, google }: WorkloadIdentitySpec): CloudIdentityConfig | null {
  if (aws !== undefined)
    return {
      cloud: "aws",
      roleArn: aws.roleArn ?? null,
      externalId: aws.externalId ?? null,
      tagged: aws.sessionTags,
    };
  if (azure !== undefined)
    return { cloud: "azure", clientId: azure.clientId ?? null, tenantId: azure.tenantId ?? null };
  return google === undefined ? null : { cloud: "google", serviceAccount: google.serviceAccount ?? null };
}

/** The identity that a grant would have to name. */
function subjectOf(identity: CloudIdentityConfig): string {
  if (identity.cloud === "aws") return identity.roleArn ?? ownIdentity;
  if (identity.cloud === "azure") return identity.clientId ?? ownIdentity;
  return identity.serviceAccount ?? ownIdentity;
}

const lists: Readonly<Record<CloudIdentityConfig["cloud"], Exclude<keyof CloudIdentityGrant, "namespaces">>> = {
  aws: "awsRoles",
  azure: "azureClients",
  google: "googleServiceAccounts",
};

/** A trailing * stands for any rest. Client ids are compared as Entra does, without regard to case. */
function permits(written: string, subject: string): boolean {
  const [pattern, wanted] = [written.toLowerCase(), subject.toLowerCase()];
  return pattern.endsWith("*") ? wanted.startsWith(pattern.slice(0, -1)) : pattern === wanted;
}

export function mayUseIdentity(
  namespace: string,
  identity: CloudIdentityConfig,
  { cloudIdentities }: Pick<CompileSettings, "cloudIdentities">,
): boolean {
  if (cloudIdentities === undefined) return true;
  const subject = subjectOf(identity);
  return cloudIdentities.some(
    (grant) =>
      (grant.namespaces.includes("*") || grant.namespaces.includes(namespace)) &&
      grant[lists[identity.cloud]].some((written) => permits(written, subject)),
  );
}

export function checkIdentity(
  namespace: string,
  identity: CloudIdentityConfig,
  capabilities: Capabilities,
  settings: Pick<CompileSettings, "cloudIdentities">,
): Problem[] {
  const path = ["spec", "credentials", "workloadIdentity"];
  if (capabilities.identity !== identity.cloud) {
    const instead =
      capabilities.identity === undefined
        ? "has no cloud identities; set spec.credentials.secretRef"
        : `can use workloadIdentity.${capabilities.identity} only`;
    return [problem("Invalid", `${capabilities.type} ${instead}`, path)];
  }
  if (mayUseIdentity(namespace, identity, settings)) return [];
  const subject = subjectOf(identity);
  const what = subject === ownIdentity ? "the proxies' own identity (Own)" : subject;
  const message = `providers of namespace ${namespace} may not use ${what} in this installation; the platform team can allow it in operator.cloudIdentities, in a list ${lists[identity.cloud]}`;
  return [problem("CloudIdentityNotPermitted", message, path)];
}

/**
 * The public keys of the cluster's own ServiceAccount tokens, as the API server publishes them to every ServiceAccount.
 */
import { OpenidApi, WellKnownApi } from "@kubernetes/client-node";
import { z } from "zod";
import type { RenderedConfig } from "../../proxy/config/schema.ts";
import { asksCluster, type ClusterIssuer, type IdentitySettings } from "../settings/identity.ts";
import type { Cluster } from "./api.ts";

/** A new key signs at once but is unknown until the next read; until then proxies answer its tokens with 503. */
const everyMs = 5_000;

const discovery = z.object({ issuer: z.string().min(1) });
const keySet = z.object({ keys: z.array(z.record(z.string(), z.unknown())) });

/** client-node returns JSON as text or parsed, depending on the content type. */
function parsed(value: unknown): unknown {
  return typeof value === "string" ? (JSON.parse(value) as unknown) : value;
}

async function ask(cluster: Cluster): Promise<ClusterIssuer> {
  const [about, keys] = await Promise.all([
    cluster.config.makeApiClient(WellKnownApi).getServiceAccountIssuerOpenIDConfiguration(),
    cluster.config.makeApiClient(OpenidApi).getServiceAccountIssuerOpenIDKeyset(),
  ]);
  return { issuer: discovery.parse(parsed(about)).issuer, jwks: keySet.parse(parsed(keys)) };
}

/** A new operator that can't read the keys uses those that were published before. */
export function issuerIn(config: RenderedConfig | null, identity: IdentitySettings): ClusterIssuer | null {
  const names = new Set(identity.issuers.filter(asksCluster).map(({ name }) => name));
  const ofCluster = config?.settings.identity.issuers.find(
    (issuer) => issuer.kind === "Kubernetes" && names.has(issuer.name) && issuer.jwks !== null,
  );
  return ofCluster?.jwks ? { issuer: ofCluster.issuer, jwks: ofCluster.jwks } : null;
}

/** Keeps the last result while a new one can't be read; null if no issuer needs it. */
export function issuerReader(
  cluster: Cluster,
  identity: IdentitySettings,
  nowMs: () => number,
  failed: (cause: unknown) => void,
  published: () => RenderedConfig | null = () => null,
): () => Promise<ClusterIssuer | null> {
  let known: ClusterIssuer | null = null;
  let askedMs = Number.NEGATIVE_INFINITY;
  if (!identity.issuers.some(asksCluster)) return () => Promise.resolve(null);
  return async () => {
    if (nowMs() - askedMs < everyMs) return known;
    askedMs = nowMs();
    known = await ask(cluster).catch((cause: unknown) => {
      failed(cause);
      return known ?? issuerIn(published(), identity);
    });
    return known;
  };
}

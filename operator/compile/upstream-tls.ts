/** `spec.tls` of an LLMProvider → what a connection is made with. Pure. */
import type { LLMProviderSpec } from "../../crds/types/llm-provider.ts";
import { readableCertificate } from "../../proxy/config/certificates.ts";
import type { UpstreamTlsConfig } from "../../proxy/config/schema.ts";
import { problem } from "./outcome.ts";
import type { Problem } from "./verdict.ts";

const block = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/** What is wrong with a bundle; null where it is nothing but certificates. */
function bundleProblem(bundle: string): string | null {
  const blocks = bundle.match(block) ?? [];
  // A key beside the certificate would be published to whoever may read ConfigMaps.
  if (bundle.includes("PRIVATE KEY-----")) return "holds a private key; take it out, make a new one, and leave only certificates";
  if (blocks.length === 0 || bundle.replace(block, "").includes("-----")) return "must be whole certificates in PEM and nothing else";
  const bad = blocks.findIndex((pem) => !readableCertificate(pem));
  return bad < 0 ? null : `has a certificate, number ${bad + 1}, that can't be read; copy it again`;
}

export function upstreamTlsOf(spec: LLMProviderSpec, endpoint: string, problems: Problem[]): UpstreamTlsConfig | null {
  const { tls } = spec;
  if (tls === undefined) return null;
  if (!endpoint.startsWith("https:")) problems.push(problem("Invalid", "spec.tls needs an endpoint that begins with https://", ["spec", "tls"]));
  const wrong = tls.caBundle === undefined ? null : bundleProblem(tls.caBundle);
  if (wrong !== null) {
    problems.push(problem("Invalid", `spec.tls.caBundle ${wrong}`, ["spec", "tls", "caBundle"]));
    return null;
  }
  // Only the certificates: bundles come with comments, which are of no use to a proxy.
  return { ca: tls.caBundle?.match(block)?.join("\n") ?? null, serverName: tls.serverName ?? null };
}

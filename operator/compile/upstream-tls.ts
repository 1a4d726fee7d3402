/** `spec.tls` and `spec.tokenService.tls` of an LLMProvider → TLS settings of connections. Pure. */

import type { UpstreamTlsSpec } from "../../crds/types/upstream-tls.ts";
import type { Capabilities } from "../../proxy/config/capabilities.ts";
import { bundleProblem, certificatesIn } from "../../proxy/config/certificates.ts";
import { credentialName } from "../../proxy/config/names.ts";
import type { ClientCertificateConfig, UpstreamTlsConfig } from "../../proxy/config/provider.ts";
import { own, type ParsedObject, problem } from "./outcome.ts";
import { unreadable } from "./secret-rights.ts";
import type { Problem } from "./verdict.ts";
import type { CompileInput, PemFacts, SecretFact, Unusable } from "./world.ts";

const certificateKey = "tls.crt";
const privateKeyKey = "tls.key";

type Wrong = Pick<Problem, "reason" | "message">;
type World = Pick<CompileInput, "world" | "nowMs">;

/** Receives the problems of the object itself and of what it refers to. */
interface Problems {
  accepted: Problem[];
  refs: Problem[];
}

/** One half of the pair with its digest, or what is wrong with it. */
function halfOf<Half extends "certificate" | "privateKey">(
  secret: Readonly<Record<string, SecretFact>>,
  key: string,
  half: Half,
): ({ digest: string } & Exclude<NonNullable<PemFacts[Half]>, Unusable>) | Wrong {
  const fact = own(secret, key);
  if (fact === undefined)
    return { reason: "SecretKeyNotFound", message: `has no key ${key}; it must be a Secret of type kubernetes.io/tls` };
  const value = fact[half];
  if (value === undefined)
    return {
      reason: "SecretUnusable",
      message: `key ${key}: the value is not a ${half === "certificate" ? "certificate" : "private key"} in PEM`,
    };
  if ("unusable" in value) return { reason: "SecretUnusable", message: `key ${key}: the value ${value.unusable}` };
  return { digest: fact.digest, ...(value as Exclude<NonNullable<PemFacts[Half]>, Unusable>) };
}

/** null if there is no certificate to present, or it can't be used: then `refs` says why. */
function clientCertificateOf(
  tls: UpstreamTlsSpec,
  path: readonly string[],
  { meta }: ParsedObject<"LLMProvider">,
  { world, nowMs }: World,
  refs: Problem[],
): ClientCertificateConfig | null {
  const name = tls.clientCertificate?.secretRef.name;
  if (name === undefined) return null;
  const reject = ({ reason, message }: Wrong, severity: Problem["severity"] = "error"): null => {
    refs.push(problem(reason, `Secret ${name} ${message}`, [...path, "clientCertificate", "secretRef"], severity));
    return null;
  };
  const secret = own(world.secrets, `${meta.namespace}/${name}`);
  const forbidden = unreadable(world, meta.namespace, name, [...path, "clientCertificate", "secretRef"]);
  if (forbidden !== null) {
    refs.push(forbidden);
    return null;
  }
  if (secret === undefined)
    return reject({ reason: "SecretNotFound", message: `is not in namespace ${meta.namespace}; create it` });
  const certificate = halfOf(secret, certificateKey, "certificate");
  if (!("digest" in certificate)) return reject(certificate);
  const key = halfOf(secret, privateKeyKey, "privateKey");
  if (!("digest" in key)) return reject(key);
  if (certificate.publicKey !== key.publicKey)
    return reject({
      reason: "SecretUnusable",
      message: `has a ${privateKeyKey} that is not the key of the first certificate in ${certificateKey}`,
    });
  // Not an error: whether that matters is up to the server, and the last good form has expired too.
  if (certificate.notAfterMs <= nowMs)
    reject(
      {
        reason: "CertificateExpired",
        message: `has a certificate that expired at ${new Date(certificate.notAfterMs).toISOString()}; renew it`,
      },
      "warning",
    );
  return { certificate: credentialName(certificate.digest), key: credentialName(key.digest) };
}

function configOf(
  tls: UpstreamTlsSpec,
  path: readonly string[],
  provider: ParsedObject<"LLMProvider">,
  input: World,
  { accepted, refs }: Problems,
): UpstreamTlsConfig {
  const wrong = tls.caBundle === undefined ? null : bundleProblem(tls.caBundle);
  if (wrong !== null) accepted.push(problem("Invalid", `${path.join(".")}.caBundle ${wrong}`, [...path, "caBundle"]));
  const ca = wrong === null ? certificatesIn(tls.caBundle ?? "") : null;
  return {
    ca,
    serverName: tls.serverName ?? null,
    clientCertificate: clientCertificateOf(tls, path, provider, input, refs),
  };
}

export function upstreamTlsOf(
  provider: ParsedObject<"LLMProvider">,
  endpoint: string,
  input: World,
  problems: Problems,
): UpstreamTlsConfig | null {
  const { tls } = provider.spec;
  if (tls === undefined) return null;
  const path = ["spec", "tls"];
  // No schema rule checks a type's default endpoint.
  if (!endpoint.startsWith("https:"))
    problems.accepted.push(problem("Invalid", "spec.tls needs an endpoint that begins with https://", path));
  return configOf(tls, path, provider, input, problems);
}

/** As a member of the config: nothing if the object sets nothing. `options` include their defaults. */
export function tokenTlsOf(
  provider: ParsedObject<"LLMProvider">,
  { type, tokenServiceOption: option }: Capabilities,
  options: Readonly<Record<string, string>>,
  input: World,
  problems: Problems,
): { tokenTls?: UpstreamTlsConfig } {
  const tls = provider.spec.tokenService?.tls;
  if (tls === undefined) return {};
  const { accepted } = problems;
  const path = ["spec", "tokenService"];
  if (option === undefined) {
    accepted.push(
      problem(
        "Invalid",
        `${type} has no token service; take spec.tokenService out. TLS to the endpoint is spec.tls`,
        path,
      ),
    );
    return {};
  }
  const url = own(options, option) ?? "";
  if (!url.startsWith("https:"))
    accepted.push(
      problem("Invalid", `spec.tokenService.tls needs a spec.options.${option} that begins with https://`, path),
    );
  return { tokenTls: configOf(tls, [...path, "tls"], provider, input, problems) };
}

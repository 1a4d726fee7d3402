/**
 * A certificate as an application's credential: https://learn.microsoft.com/entra/identity-platform/certificate-credentials
 */
import { Buffer } from "node:buffer";
import { constants, randomUUID, sign, X509Certificate } from "node:crypto";
import { TokenServiceError } from "../../wire/causes.ts";

const lifeSeconds = 300;

const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");

const thumbprint = (pem: string): string =>
  Buffer.from(new X509Certificate(pem).fingerprint256.replaceAll(":", ""), "hex").toString("base64url");

export interface ApplicationCertificate {
  /** PEM; the first certificate is the application's. */
  certificate: string;
  privateKey: string;
}

/** `audience`: the token endpoint. */
export function clientAssertion(
  { certificate, privateKey }: ApplicationCertificate,
  clientId: string,
  audience: string,
  nowMs: number,
): string {
  const now = Math.floor(nowMs / 1_000);
  const claims = {
    aud: audience,
    iss: clientId,
    sub: clientId,
    jti: randomUUID(),
    nbf: now,
    iat: now,
    exp: now + lifeSeconds,
  };
  const unusable = "tls.crt and tls.key are not a certificate and its RSA key";
  try {
    const text = `${encoded({ alg: "PS256", typ: "JWT", "x5t#S256": thumbprint(certificate) })}.${encoded(claims)}`;
    const padding = constants.RSA_PKCS1_PSS_PADDING;
    const signature = sign("sha256", Buffer.from(text), {
      key: privateKey,
      padding,
      saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
    });
    return `${text}.${signature.toString("base64url")}`;
  } catch {
    throw new TokenServiceError("token_refused", unusable, unusable);
  }
}

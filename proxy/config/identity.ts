/** Who may vouch for callers besides API keys; part of the contract's settings. */
import { z } from "zod";

/** Signatures that a holder of public keys can't forge. HMAC and `none` are not supported. */
export const tokenAlgorithms = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
] as const;

const names = z.array(z.string());
const claimPath = z.string().nullable().default(null);

export const identityIssuer = z.object({
  /** The issuer's name in logs and key ids. */
  name: z.string(),
  kind: z.enum(["OIDC", "Kubernetes"]),
  /** Must equal `iss` exactly. */
  issuer: z.string(),
  /** One of these must be in `aud`. */
  audiences: names,
  algorithms: z.array(z.enum(tokenAlgorithms)).default(["RS256", "ES256"]),
  /** URL of the public keys; null to take it from the issuer's discovery document. */
  jwksUrl: z.string().nullable().default(null),
  /** The public keys themselves; nothing is fetched then. */
  jwks: z
    .object({ keys: z.array(z.record(z.string(), z.unknown())) })
    .nullable()
    .default(null),
  /** CA certificates, PEM, to trust for the key server; null for the public authorities. */
  ca: z.string().nullable().default(null),
  allowPrivateEndpoint: z.boolean().default(false),
  /** The callers' namespace; null if the token names it (Kubernetes). */
  namespace: z.string().nullable().default(null),
  /** Claims that identify the caller, by name or as a dotted path; null for the default. */
  claims: z.object({ user: z.string().default("sub"), team: claimPath, role: claimPath, tags: claimPath }).prefault({}),
  defaults: z
    .object({
      team: z.string().nullable().default(null),
      role: z.string().default("developer"),
      tags: names.default([]),
    })
    .prefault({}),
  /** Roles that a list claim may assign, in order of precedence. If absent, it may name one of `roleNames`. */
  roles: names.optional(),
  /** The installation's roles; absent if unknown. */
  roleNames: names.optional(),
  /** Models that these callers may use; null for all that policies allow. */
  models: names.nullable().default(null),
  clockSkewMs: z.int().min(0).default(30_000),
  /** Tokens with a longer lifetime, from `iat` to `exp`, are refused. */
  maxLifetimeMs: z.int().min(1).default(86_400_000),
});
export type IdentityIssuer = z.output<typeof identityIssuer>;

export const identitySettings = z.object({ issuers: z.array(identityIssuer).default([]) });

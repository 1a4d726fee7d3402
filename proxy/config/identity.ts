/** Who may vouch for callers apart from API keys: part of the contract's settings. */
import { z } from "zod";

/** Signatures that a holder of public keys can't forge. HMAC and `none` are not on offer. */
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
  /** What logs and key ids call it. */
  name: z.string(),
  kind: z.enum(["OIDC", "Kubernetes"]),
  /** `iss`, exactly. */
  issuer: z.string(),
  /** One of these must be in `aud`. */
  audiences: names,
  algorithms: z.array(z.enum(tokenAlgorithms)).default(["RS256", "ES256"]),
  /** Where the public keys are; null: the issuer's discovery document says it. */
  jwksUrl: z.string().nullable().default(null),
  /** Public keys as they are; then nothing is fetched. */
  jwks: z
    .object({ keys: z.array(z.record(z.string(), z.unknown())) })
    .nullable()
    .default(null),
  /** Authorities, PEM, that the server of the keys must be certified by; null: the public ones. */
  ca: z.string().nullable().default(null),
  allowPrivateEndpoint: z.boolean().default(false),
  /** Namespace that callers belong to; null where the token says it (Kubernetes). */
  namespace: z.string().nullable().default(null),
  /** Claims that say who the caller is, by name or as a path with dots; null: the default holds. */
  claims: z.object({ user: z.string().default("sub"), team: claimPath, role: claimPath, tags: claimPath }).prefault({}),
  defaults: z
    .object({
      team: z.string().nullable().default(null),
      role: z.string().default("developer"),
      tags: names.default([]),
    })
    .prefault({}),
  /** Roles that a claim with a list may give, the first that it names going first; absent: it may name one of `roleNames`. */
  roles: names.optional(),
  /** Roles of the installation; absent where nobody says which. */
  roleNames: names.optional(),
  /** Models that these callers may use; null: all that policies allow. */
  models: names.nullable().default(null),
  clockSkewMs: z.int().min(0).default(30_000),
  /** Tokens that live longer than this, from `iat` to `exp`, are refused. */
  maxLifetimeMs: z.int().min(1).default(86_400_000),
});
export type IdentityIssuer = z.output<typeof identityIssuer>;

export const identitySettings = z.object({ issuers: z.array(identityIssuer).default([]) });

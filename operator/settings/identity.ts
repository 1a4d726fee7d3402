/** `identity` of the installation: the issuers whose tokens proxies accept, in the form of Helm values. */
import { z } from "zod";
import { bundleProblem, certificatesIn } from "../../proxy/config/certificates.ts";
import { type IdentityIssuer, tokenAlgorithms } from "../../proxy/config/identity.ts";

/** A model that keys may call: a name, or a pattern with one `*`. */
export const allowedModel = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[^*]*[*]?[^*]*$/, "can have one * only, such as gpt-*: name the others in further entries");

const label = z
  .string()
  .regex(/^[A-Za-z0-9]([A-Za-z0-9._@:/+-]{0,126}[A-Za-z0-9])?$/, "must be letters, digits and ._@:/+-");
const claim = z.string().min(1).max(256);
const tokenUrl = z.url({ protocol: /^https?$/ }).max(1024);
const keySet = z.strictObject({
  keys: z.array(z.looseObject({ kty: z.enum(["RSA", "EC", "OKP"], "must be a public key: RSA, EC or OKP") })).min(1),
});

/** PEM certificates of authorities. They are public, so the settings hold them directly. */
const caBundle = z
  .string()
  .max(16_384)
  .superRefine((bundle, context) => {
    const wrong = bundleProblem(bundle);
    if (wrong !== null) context.addIssue({ code: "custom", message: `caBundle ${wrong}` });
  });

const common = {
  name: z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, "must be lower-case letters, digits and -"),
  audiences: z.array(z.string().min(1).max(1024)).min(1).max(16),
  algorithms: z.array(z.enum(tokenAlgorithms)).min(1).default(["RS256", "ES256"]),
  jwksUrl: tokenUrl.optional(),
  jwks: keySet.optional(),
  /** Authorities of the server that the keys are fetched from, instead of the public ones. */
  caBundle: caBundle.optional(),
  /** Whether the issuer may be at a private, loopback or cluster address. */
  allowPrivateEndpoint: z.boolean().default(false),
  defaults: z
    .strictObject({
      team: label.optional(),
      role: label.default("developer"),
      tags: z.array(label).max(32).default([]),
    })
    .prefault({}),
  /** Roles that a list in the claim may give; the first one listed here wins. */
  roles: z.array(label).min(1).max(64).optional(),
  models: z.array(allowedModel).min(1).optional(),
  clockSkewSeconds: z.int().min(0).max(300).default(30),
  maxLifetimeSeconds: z.int().min(60).max(31_536_000).default(86_400),
};

const oidc = z.strictObject({
  ...common,
  kind: z.literal("OIDC"),
  issuer: tokenUrl,
  namespace: z
    .string()
    .regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, "must be the namespace that these callers belong to"),
  claims: z
    .strictObject({
      user: claim.default("sub"),
      team: claim.optional(),
      role: claim.optional(),
      tags: claim.optional(),
    })
    .prefault({}),
});

/**
 * ServiceAccounts. Without issuer and keys, those of the operator's own cluster, whose keys the API server provides.
 */
const kubernetes = z.strictObject({ ...common, kind: z.literal("Kubernetes"), issuer: tokenUrl.optional() });

/** The URL fetched first; undefined if nothing is fetched. */
const keysFrom = ({ jwksUrl, jwks, issuer }: z.output<typeof oidc> | z.output<typeof kubernetes>): string | undefined =>
  jwksUrl ?? (jwks === undefined ? issuer : undefined);

export const identity = z
  .strictObject({
    issuers: z
      .array(z.discriminatedUnion("kind", [oidc, kubernetes]))
      .max(16)
      .default([]),
  })
  .refine(
    ({ issuers }) => new Set(issuers.map(({ name }) => name)).size === issuers.length,
    "two issuers have the same name",
  )
  .refine(
    ({ issuers }) => issuers.every((issuer) => issuer.allowPrivateEndpoint || !keysFrom(issuer)?.startsWith("http:")),
    "keys must come over https; http is for issuers with allowPrivateEndpoint",
  )
  .refine(
    ({ issuers }) => issuers.every((issuer) => issuer.caBundle === undefined || keysFrom(issuer)?.startsWith("https:")),
    "caBundle is for keys that are fetched over https: from jwksUrl, or with the issuer's discovery document; take it out",
  )
  .refine(
    ({ issuers }) => issuers.every((issuer) => issuer.jwksUrl === undefined || issuer.jwks === undefined),
    "set jwksUrl or jwks, not both",
  )
  .refine(
    ({ issuers }) =>
      issuers.every(
        (issuer) =>
          issuer.kind === "OIDC" ||
          (issuer.jwksUrl === undefined && issuer.jwks === undefined) ||
          issuer.issuer !== undefined,
      ),
    "with jwksUrl or jwks, an issuer of kind Kubernetes needs issuer as well",
  )
  .prefault({});
export type IdentitySettings = z.output<typeof identity>;
type IssuerSettings = IdentitySettings["issuers"][number];

/** The API server's ServiceAccount token issuer and keys. */
export interface ClusterIssuer {
  issuer: string;
  jwks: { keys: Record<string, unknown>[] };
}

/** Whether the cluster itself must provide this issuer's keys. */
export const asksCluster = (issuer: IssuerSettings): boolean =>
  issuer.kind === "Kubernetes" && issuer.issuer === undefined;

/** How a list of roles in a claim is read; empty if no claim gives a role. */
function rolesOf(issuer: IssuerSettings, roleNames: readonly string[]): Pick<IdentityIssuer, "roles" | "roleNames"> {
  if (issuer.kind !== "OIDC" || issuer.claims.role === undefined) return {};
  return { roleNames: [...roleNames].sort(), ...(issuer.roles === undefined ? {} : { roles: issuer.roles }) };
}

function rendered(
  given: IssuerSettings,
  cluster: ClusterIssuer | null,
  roleNames: readonly string[],
): IdentityIssuer | null {
  const defaults = asksCluster(given) ? cluster : null;
  const issuer = given.issuer ?? defaults?.issuer;
  if (issuer === undefined) return null;
  const claims: Partial<Record<"user" | "team" | "role" | "tags", string | undefined>> =
    given.kind === "OIDC" ? given.claims : {};
  return {
    name: given.name,
    kind: given.kind,
    issuer,
    audiences: given.audiences,
    algorithms: given.algorithms,
    jwksUrl: given.jwksUrl ?? null,
    jwks: given.jwks ?? defaults?.jwks ?? null,
    ca: given.caBundle === undefined ? null : certificatesIn(given.caBundle),
    allowPrivateEndpoint: given.allowPrivateEndpoint,
    namespace: given.kind === "OIDC" ? given.namespace : null,
    claims: {
      user: claims.user ?? "sub",
      team: claims.team ?? null,
      role: claims.role ?? null,
      tags: claims.tags ?? null,
    },
    defaults: { team: given.defaults.team ?? null, role: given.defaults.role, tags: [...given.defaults.tags].sort() },
    ...rolesOf(given, roleNames),
    models: given.models === undefined ? null : [...given.models].sort(),
    clockSkewMs: given.clockSkewSeconds * 1000,
    maxLifetimeMs: given.maxLifetimeSeconds * 1000,
  };
}

/** Leaves out an issuer whose keys the cluster has not provided yet: its tokens are refused until then. */
/** `roleNames`: all roles of the installation. */
export function renderedIssuers(
  { issuers }: IdentitySettings,
  cluster: ClusterIssuer | null,
  roleNames: readonly string[] = [],
): IdentityIssuer[] {
  return issuers.flatMap((issuer) => rendered(issuer, cluster, roleNames) ?? []);
}

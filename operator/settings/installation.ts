/**
 * Settings of a whole installation that reach the proxies with the config: part of the operator's settings, and of
 * `sluice dev --settings`.
 */
import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import { z } from "zod";
import { decimalToNano } from "../../crds/quantity.ts";
import { webOriginForm } from "../../crds/types/access.ts";
import { discountPercent, markupPercent } from "../../crds/types/llm-provider.ts";
import { priceFields } from "../../crds/types/price.ts";
import { bodyLimits } from "../../proxy/config/body-limits.ts";
import { parseNetwork } from "../../proxy/config/networks.ts";
import { browserOrigin } from "../../proxy/config/origin.ts";
import type { Price } from "../../proxy/config/price.ts";
import { builtinRoles, permissions, type RoleConfig } from "../../proxy/config/roles.ts";
import { originSettings, type SettingsInput } from "../../proxy/config/schema.ts";
import { priceOf } from "../compile/price.ts";
import { allowedModel, type ClusterIssuer, identity, renderedIssuers } from "./identity.ts";

const network = z
  .string()
  .refine((text) => parseNetwork(text) !== null, "must be a network such as 10.0.0.0/8, or one address");
/** Browsers leave out a scheme's default port. */
const origin = z
  .string()
  .regex(webOriginForm, "must be an origin without a path, such as https://chat.example.com or capacitor://localhost")
  .transform(browserOrigin);
const header = z.string().regex(/^[a-z0-9-]{1,64}$/, "must be a header's name in lower case");

const roleName = z
  .string()
  .regex(/^[A-Za-z0-9]([A-Za-z0-9._@:/+-]{0,126}[A-Za-z0-9])?$/, "must be a role's name: letters, digits and ._@:/+-");
const decimal = z
  .string()
  .regex(/^[0-8]?[0-9]{1,6}(\.[0-9]{1,9})?$/, 'must be a decimal number of USD in quotes, such as "2.50"');
const role = z.strictObject({
  permissions: z.array(z.enum(permissions)).max(permissions.length),
  models: z.array(allowedModel).min(1).max(256).optional(),
  /** Limits of each user of the role. */
  limits: z
    .strictObject({
      requestsPerDay: z.int().min(1).max(1_000_000_000).optional(),
      tokensPerDay: z.int().min(1).max(1_000_000_000_000).optional(),
      costPerDay: decimal.optional(),
    })
    .refine((limits) => Object.keys(limits).length > 0, "set requestsPerDay, tokensPerDay or costPerDay")
    .optional(),
});

const price = z.strictObject({
  provider: z.string().min(1).max(64),
  model: z.string().min(1).max(512),
  ...priceFields,
});

/** Provider type → upstream model → price; if a model is listed twice, the last entry counts. */
export function installedPrices({ prices }: Pick<Installation, "prices">): Record<string, Record<string, Price>> {
  const byType: Record<string, Record<string, Price>> = {};
  for (const { provider, model, ...rates } of prices)
    byType[provider] = { ...byType[provider], [model]: priceOf(rates) };
  return byType;
}

function renderedLimits(limits: z.output<typeof role>["limits"]): RoleConfig["limits"] {
  if (limits === undefined) return null;
  const { requestsPerDay = null, tokensPerDay = null, costPerDay } = limits;
  return { requestsPerDay, tokensPerDay, nanoUsdPerDay: costPerDay === undefined ? null : decimalToNano(costPerDay) };
}

/** Sorted, so that equal settings give equal bytes. */
function renderedRoles(given: Readonly<Record<string, z.output<typeof role>>>): Record<string, RoleConfig> {
  const own = Object.entries(given).map(([name, role]): [string, RoleConfig] => [
    name,
    {
      permissions: role.permissions.toSorted(),
      models: role.models?.toSorted() ?? null,
      limits: renderedLimits(role.limits),
    },
  ]);
  return { ...builtinRoles, ...Object.fromEntries(own) };
}

/** "/" allows any prefix; `{namespace}` is replaced by the namespace's name. */
const claimablePrefix = z
  .string()
  .regex(
    /^(\/|(\/([a-z0-9]|\{namespace\})([a-z0-9_.-]|\{namespace\})*)+)$/,
    'must be a path in lower case that begins with / and does not end in /, such as /chat or /{namespace}; "/" is any',
  )
  .refine((path) => path !== "/v1" && !path.startsWith("/v1/"), "must not lie under /v1, which no policy can claim");
const pathPrefixes = z.record(z.string(), z.array(claimablePrefix).max(256)).default({ "*": ["/"] });

export const installation = z.strictObject({
  maxBodyBytes: z.int().min(1024).max(134_217_728).default(33_554_432),
  bodyLimits: z.strictObject(bodyLimits.shape).prefault({}),
  /** Which sources of a caller's address and country to trust. */
  origins: z
    .strictObject({
      trustedProxies: z.array(network).default([]),
      forwardedHeader: originSettings.shape.forwardedHeader,
      countryHeader: header.nullable().default(null),
    })
    .refine(
      (origins) => origins.countryHeader === null || origins.trustedProxies.length > 0,
      "countryHeader is believed from trustedProxies only: name them",
    )
    .prefault({}),
  /** Whether proxies have a database of countries. */
  countryDatabase: z.boolean().default(false),
  /** Whether proxies keep audit records where `audit.required` can rely on them; null if unknown. */
  durableAudit: z.boolean().nullable().default(null),
  /** Namespaces whose policies may serve callers without a key; "*" for all. */
  anonymousNamespaces: z.array(z.string()).default(["*"]),
  /** Path prefixes that each namespace may claim; "*" for namespaces that are not listed. */
  pathPrefixes,
  /** Namespaces whose providers may be at private addresses; "*" for all. */
  privateEndpointNamespaces: z.array(z.string()).default(["*"]),
  /** Identities of clouds that providers of some namespaces may use. */
  cloudIdentities: z
    .array(
      z.strictObject({
        namespaces: z.array(z.string().min(1).max(63)).min(1).max(1_000),
        awsRoles: z.array(z.string().min(1).max(2048)).max(1_000).default([]),
        azureClients: z.array(z.string().min(1).max(64)).max(1_000).default([]),
        googleServiceAccounts: z.array(z.string().min(1).max(320)).max(1_000).default([]),
      }),
    )
    .max(1_000)
    .default([{ namespaces: ["*"], awsRoles: ["*"], azureClients: ["*"], googleServiceAccounts: ["*"] }]),
  /** Which Secrets providers, client certificates and alert channels may use. */
  secretAccess: z.enum(["Labelled", "Namespace"]).default("Namespace"),
  identity,
  /** Origins of web pages that may read responses. */
  cors: z.strictObject({ allowedOrigins: z.array(origin).max(256).default([]) }).prefault({}),
  /**
   * Prices by provider type and upstream model: they override published prices, and an LLMProvider's own prices
   * override them.
   */
  prices: z.array(price).max(10_000).default([]),
  /** Labels of ApiKeys that reports can group by. */
  reportLabels: z.array(z.string().min(1).max(317)).max(16).default([]),
  /** Whether answers have headers with what is left of the caller's tightest budget. */
  budgetHeaders: z.boolean().default(false),
  /**
   * Discount and markup on looked-up prices where an LLMProvider sets none, and the additional currency that money is
   * shown in.
   */
  pricing: z
    .strictObject({
      discountPercent: discountPercent.optional(),
      markupPercent: markupPercent.optional(),
      currency: z
        .strictObject({
          code: z.string().regex(/^[A-Z]{3}$/, "must be a code of ISO 4217, such as EUR"),
          /** Units of the currency for one USD. */
          perUsd: z
            .string()
            .regex(/^(0|[1-9][0-9]{0,5})(\.[0-9]{1,6})?$/, 'must be a decimal number in quotes, such as "0.92"')
            .refine((text) => Number(text) > 0, "must be above 0"),
        })
        .optional(),
    })
    .prefault({}),
  /** Roles by name, in addition to the built-in ones; a role of the same name replaces the built-in one. */
  roles: z.record(roleName, role).default({}),
});
export type Installation = z.output<typeof installation>;

const renderedCurrency = ({ code, perUsd }: { code: string; perUsd: string }) => ({
  code,
  perUsdMillionths: decimalToNano(perUsd) / 1_000,
});

/** `cluster`: the API server's token issuer and keys; null if nobody read them or they could not be read. */
export function renderedSettings(
  { maxBodyBytes, bodyLimits, origins, identity, cors, roles, pricing, budgetHeaders }: Installation,
  cluster: ClusterIssuer | null = null,
): SettingsInput {
  const allRoles = renderedRoles(roles);
  return {
    maxBodyBytes,
    bodyLimits,
    origins,
    identity: { issuers: renderedIssuers(identity, cluster, Object.keys(allRoles)) },
    cors,
    roles: allRoles,
    ...(budgetHeaders ? { budgetHeaders } : {}),
    ...(pricing.currency === undefined ? {} : { currency: renderedCurrency(pricing.currency) }),
  };
}

export const knowsCountries = (settings: Installation): boolean =>
  settings.countryDatabase || settings.origins.countryHeader !== null;

/** Checks across fields: returns what is wrong, or null. */
export function misfit({ identity: { issuers }, roles }: Installation): string | null {
  const index = issuers.findIndex(
    ({ defaults }) => !Object.hasOwn(roles, defaults.role) && !Object.hasOwn(builtinRoles, defaults.role),
  );
  return index < 0
    ? null
    : `identity.issuers.${index}.defaults.role: no role ${issuers[index]?.defaults.role} is defined, so it would open nothing; add it to roles`;
}

/** Throws an Error that names the file and the field. */
export async function readInstallation(file: string): Promise<Installation> {
  const parsed = installation.safeParse(parse(await readFile(file, "utf8")) ?? {});
  const wrong = parsed.success ? misfit(parsed.data) : null;
  if (wrong !== null) throw new Error(`${file}: ${wrong}`);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new Error(`${file}: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? "invalid"}`);
}

/** Settings of the web console, in the form of Helm values. */
import { z } from "zod";
import type { IdentitySettings } from "./identity.ts";

const claim = z.string().min(1).max(256);
/** An issuer must not provide names that only Kubernetes itself may assign. */
const prefix = z
  .string()
  .max(64)
  .regex(/^(?!system:)[A-Za-z0-9._:/-]*$/, "must be letters, digits and ._:/-, and must not begin with system:")
  .default("oidc:");

const oidc = z.strictObject({
  /** Name of an entry of `identity.issuers` of kind OIDC. */
  issuer: z.string().min(1).max(63),
  /** Label of the button; "" for the issuer's name. */
  label: z.string().max(64).default(""),
  clientId: z.string().min(1).max(256),
  scopes: z
    .array(z.string().regex(/^[!#-[\]-~]{1,128}$/, "must be a scope without blanks"))
    .min(1)
    .max(32)
    .default(["openid", "profile", "email"])
    .refine((scopes) => scopes.includes("openid"), "must have openid"),
  /** "" for the claim that names the gateway's callers. */
  userClaim: z.union([z.literal(""), claim]).default(""),
  groupsClaim: z.union([z.literal(""), claim]).default("groups"),
  /** Groups that are used; empty for all. */
  groups: z.array(z.string().min(1).max(256)).max(256).default([]),
  userPrefix: prefix,
  groupsPrefix: prefix,
  sessionMinutes: z.int().min(5).max(720).default(60),
});
export type ConsoleOidc = z.output<typeof oidc>;

/** The client's secret is in the environment: SLUICE_CONSOLE_CLIENT_SECRET. */
export const consoleSettings = z
  .strictObject({
    port: z.int().min(0).max(65_535).default(8082),
    /** URL at which people open it, without /console; "" if unknown. */
    url: z
      .string()
      .regex(
        /^(https:\/\/[^/?#\s]+|http:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?)?$/,
        "must be a URL without a path, such as https://sluice.example.com; http:// is for this machine only",
      )
      .default(""),
    oidc: oidc.nullable().default(null),
  })
  .nullable()
  .default(null);
export type ConsoleSettings = NonNullable<z.output<typeof consoleSettings>>;

/** Checks across fields: returns what is wrong, or null. */
export function consoleMisfit(
  settings: z.output<typeof consoleSettings>,
  { issuers }: IdentitySettings,
): string | null {
  const login = settings?.oidc ?? null;
  if (settings === null || login === null) return null;
  if (settings.url === "") return "console.url: needed for console.oidc, as the issuer sends people back to it";
  const issuer = issuers.find(({ name }) => name === login.issuer);
  if (issuer === undefined) return `console.oidc.issuer: identity.issuers has no entry with the name ${login.issuer}`;
  return issuer.kind === "OIDC" ? null : `console.oidc.issuer: ${login.issuer} must be of kind OIDC`;
}

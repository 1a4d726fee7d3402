/** The cloud identity with which proxies authenticate to a provider, in place of a credential from a Secret. */
import { z } from "zod";

export const cloudIdentityConfig = z.discriminatedUnion("cloud", [
  z.object({
    cloud: z.literal("aws"),
    /** A role to assume with the proxies' own; null for their own. */
    roleArn: z.string().nullable(),
    externalId: z.string().nullable(),
    /** Whether the session carries tags with the provider's namespace and name. */
    tagged: z.boolean(),
  }),
  z.object({
    cloud: z.literal("azure"),
    /** null for the proxies' own. */
    clientId: z.string().nullable(),
    tenantId: z.string().nullable(),
  }),
  z.object({
    cloud: z.literal("google"),
    /** A service account to impersonate with the proxies' own identity; null for that. */
    serviceAccount: z.string().nullable(),
  }),
]);
export type CloudIdentityConfig = z.output<typeof cloudIdentityConfig>;
export type CloudName = CloudIdentityConfig["cloud"];

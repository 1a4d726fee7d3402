/** Roles: what the holder of a key may do, over and above what policies say of models. */
import { z } from "zod";

/**
 * use_models: call models. view_own_requests, view_costs: read one's own figures. view_all_requests: read those of the
 * whole namespace. fine_tune_models: files, batches and fine-tuning at providers that have them. What may be managed
 * (providers, policies, budgets, keys) is for Kubernetes RBAC to say.
 */
export const permissions = [
  "use_models",
  "view_own_requests",
  "view_costs",
  "view_all_requests",
  "fine_tune_models",
] as const;
export type Permission = (typeof permissions)[number];

export const roleConfig = z.object({
  permissions: z.array(z.enum(permissions)),
  /** Models that the role may call; null: all that policies and the key allow. */
  models: z.array(z.string()).nullable().default(null),
  /** What each user of the role may use in any 24 hours, and spend in a day (UTC). null: not limited by the role. */
  limits: z
    .object({
      requestsPerDay: z.int().min(1).nullable(),
      tokensPerDay: z.int().min(1).nullable(),
      nanoUsdPerDay: z.int().min(0).nullable(),
    })
    .nullable()
    .default(null),
});
export type RoleConfig = z.output<typeof roleConfig>;

/** What an installation has without a word; one that it defines under the same name takes its place. */
export const builtinRoles: Readonly<Record<string, RoleConfig>> = {
  admin: { permissions: [...permissions], models: null, limits: null },
  developer: { permissions: ["use_models", "view_own_requests", "view_costs"], models: null, limits: null },
  "data-scientist": {
    permissions: ["use_models", "view_own_requests", "view_costs", "fine_tune_models"],
    models: null,
    limits: null,
  },
  readonly: { permissions: ["view_own_requests", "view_costs"], models: null, limits: null },
};

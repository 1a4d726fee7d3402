/** Roles: what the holder of a key may do, besides what policies say about models. */
import { z } from "zod";

/**
 * use_models: call models. view_own_requests, view_costs: read their own figures. view_all_requests: read the whole
 * namespace's figures. fine_tune_models: files, batches and fine-tuning, where the provider has them. Kubernetes RBAC
 * decides who may manage providers, policies, budgets and keys.
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
  /** Models that the role may call; null for all that policies and the key allow. */
  models: z.array(z.string()).nullable().default(null),
  /** What each user with the role may use in any 24 hours, and spend in a UTC day. null if the role sets no limit. */
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

/** Roles that every installation has. A role defined under the same name replaces the built-in one. */
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

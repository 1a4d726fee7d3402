/** Rate limits in the contract. */
import { z } from "zod";

export const limitConfig = z.object({
  per: z.enum(["ApiKey", "User", "Role", "Team", "Route", "Model", "Session"]),
  of: z.enum(["Requests", "Tokens", "Concurrency"]),
  /** 0 lets nothing pass. */
  amount: z.int().min(0),
  /** 0 for concurrency limits. */
  windowMs: z.int().min(0),
  onStateLoss: z.enum(["allow", "deny"]),
});
/** How long a session may last, from its first call. */
export const sessionTimeConfig = z.object({
  maxMs: z.int().min(1),
  onStateLoss: z.enum(["allow", "deny"]),
});
export type SessionTimeConfig = z.output<typeof sessionTimeConfig>;

export type LimitConfig = z.output<typeof limitConfig>;

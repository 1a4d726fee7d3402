/** The contract's part on rate limits. */
import { z } from "zod";

export const limitConfig = z.object({
  per: z.enum(["ApiKey", "User", "Role", "Team", "Route", "Model"]),
  of: z.enum(["Requests", "Tokens", "Concurrency"]),
  /** 0: nothing passes. */
  amount: z.int().min(0),
  /** 0 for concurrency. */
  windowMs: z.int().min(0),
  onStateLoss: z.enum(["allow", "deny"]),
});
export type LimitConfig = z.output<typeof limitConfig>;

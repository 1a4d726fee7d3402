/** Pools in the contract: a provider that is several equal servers, each with an address of its own. */
import { z } from "zod";

export const poolConfig = z.object({
  /** `host:port` of each server, sorted. Empty: none is ready. */
  pods: z.array(z.string()),
  strategy: z.enum(["LeastLoad", "Prefix"]),
  /** The most calls of one proxy that may be under way at one server; null for no limit. */
  mostInFlight: z.int().min(1).nullable(),
});
export type PoolConfig = z.output<typeof poolConfig>;

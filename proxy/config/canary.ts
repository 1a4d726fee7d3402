/** Canaries in the contract: a target tried with a share of the requests. */
import { z } from "zod";

export const canaryConfig = z.object({
  /** Tells this canary from an edited one, whose counts start over. */
  id: z.string(),
  /** Name of the canary target. */
  target: z.string(),
  /** The target's share of the requests: 100 once promoted, 0 once rolled back. */
  percent: z.number().min(0).max(100),
});
export type CanaryConfig = z.output<typeof canaryConfig>;

/** Upper bounds of the latency buckets for a canary's answers; one further bucket holds slower ones. */
export const canaryLatencyBoundsMs: readonly number[] = [
  50, 100, 200, 300, 400, 500, 750, 1_000, 1_500, 2_000, 3_000, 4_000, 5_000, 7_500, 10_000, 15_000, 20_000, 30_000,
  60_000, 120_000,
];

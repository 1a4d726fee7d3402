/** The contract's part on canaries: a target that is tried with a share of the requests. */
import { z } from "zod";

export const canaryConfig = z.object({
  /** Tells this canary from a changed one, whose counts begin anew. */
  id: z.string(),
  /** Name of the target that is tried. */
  target: z.string(),
  /** Its share of the requests; 100 once it is promoted, 0 once it is rolled back. */
  percent: z.number().min(0).max(100),
});
export type CanaryConfig = z.output<typeof canaryConfig>;

/** Upper bounds of the buckets in which a canary's answers are counted by time; one more holds what is slower. */
export const canaryLatencyBoundsMs: readonly number[] = [
  50, 100, 200, 300, 400, 500, 750, 1_000, 1_500, 2_000, 3_000, 4_000, 5_000, 7_500, 10_000, 15_000, 20_000, 30_000,
  60_000, 120_000,
];

/** `spec.routing.shadow`: copies of answered calls go to a second target, whose answers are compared and discarded. */
import { z } from "zod";
import { decimal } from "./scalars.ts";
import { target } from "./target.ts";

export const shadow = z
  .strictObject({
    target: target
      .pick({ provider: true, model: true, parameters: true })
      .describe("Destination of copies, such as another provider, or the gateway that you are migrating from."),
    percent: z.int().min(1).max(100).describe("Share of answered calls to copy. Answers from the cache aren't copied."),
    maxConcurrent: z
      .int()
      .min(1)
      .max(256)
      .default(16)
      .describe("Most copies under way at a time, in each proxy. Further ones are dropped and counted."),
    costPerDay: decimal
      .optional()
      .describe(
        "Most that copies may cost in a UTC day, in USD, by all proxies together. Further ones are dropped and counted. Default: no limit. Budgets never count copies.",
      ),
  })
  .describe(
    "Sends copies of answered calls to a second target. Callers neither wait for it nor receive its answers. `sluice shadow report` compares both.",
  );

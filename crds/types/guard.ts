/** `RoutingPolicy.spec.guard`: what a request may say. */
import { z } from "zod";
import { subject } from "./scalars.ts";

const pattern = z.string().min(1).max(1024);

export const guard = z
  .strictObject({
    deny: z
      .array(pattern)
      .min(1)
      .max(64)
      .optional()
      .meta({ listType: "atomic" })
      .describe('Regular expressions of RE2, such as "(?i)ignore (all )?previous instructions". A request in whose texts one of them is found is refused.'),
    allow: z
      .array(pattern)
      .min(1)
      .max(64)
      .optional()
      .meta({ listType: "atomic" })
      .describe("Regular expressions of RE2. The last text of the user must match one of them, and none of deny."),
    maxPromptBytes: z.int().min(1).max(33_554_432).optional().describe("Most bytes of text, all texts of a request together, files and images not counted."),
    exemptRoles: z.array(subject).min(1).max(64).optional().meta({ listType: "set" }).describe("Roles whose requests are not looked at."),
  })
  .meta({
    cel: [{ rule: "has(self.deny) || has(self.allow) || has(self.maxPromptBytes)", message: "set at least one of deny, allow and maxPromptBytes" }],
  })
  .describe("Requests that are refused for what they say. Absent: none.");

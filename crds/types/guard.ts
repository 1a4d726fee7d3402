/** `RoutingPolicy.spec.guard`: what a request may say. */
import { z } from "zod";
import { subject } from "./scalars.ts";
import { worded } from "./worded.ts";

const pattern = z.string().min(1).max(1024);
const found = pattern.meta({ regularExpression: "Any" });

const mask = z
  .strictObject({
    detect: z
      .array(z.enum(["Email", "Phone", "SSN", "CreditCard"]))
      .max(4)
      .default(["Email", "Phone", "SSN", "CreditCard"])
      .meta({ listType: "set" })
      .describe(
        "E-mail addresses, telephone numbers, US social security numbers, payment cards that pass the Luhn check.",
      ),
    custom: z
      .array(
        z
          .strictObject({
            name: worded(
              z.string().max(40),
              /^[A-Z][A-Za-z0-9]*$/,
              "must be a name in CamelCase: letters and digits, the first a capital, such as EmployeeId",
            ).describe("What it is, for counts and placeholders."),
            pattern: pattern.meta({ regularExpression: "Texts" }).describe("A regular expression of RE2."),
            replacement: z
              .string()
              .min(1)
              .max(256)
              .optional()
              .describe("What stands in its place where mode is Replace; default the name, as in [EMPLOYEE_ID]."),
          })
          .describe("Data of your own."),
      )
      .min(1)
      .max(32)
      .optional()
      .meta({ listType: "map", listMapKeys: ["name"] })
      .describe("What else is masked."),
    mode: z
      .enum(["Replace", "Placeholder"])
      .default("Replace")
      .describe(
        "Replace: [EMAIL] for good. Placeholder: [EMAIL_1], the same for the same value in one call, and put back into the answer.",
      ),
    answers: z
      .boolean()
      .default(false)
      .describe("Mask what the provider answers as well. What was put back is not masked."),
  })
  .meta({
    cel: [
      { rule: "size(self.detect) > 0 || has(self.custom)", message: "set detect or custom: nothing would be masked" },
    ],
  })
  .describe("Personal data that does not leave: it is replaced in every text of a request. Absent: none.");

export const guard = z
  .strictObject({
    deny: z
      .array(found)
      .min(1)
      .max(64)
      .optional()
      .meta({ listType: "atomic" })
      .describe(
        'Regular expressions of RE2, such as "(?i)ignore (all )?previous instructions". A request in whose texts one of them is found is refused.',
      ),
    allow: z
      .array(found)
      .min(1)
      .max(64)
      .optional()
      .meta({ listType: "atomic" })
      .describe("Regular expressions of RE2. The last text of the user must match one of them, and none of deny."),
    maxPromptBytes: z
      .int()
      .min(1)
      .max(33_554_432)
      .optional()
      .describe("Most bytes of text, all texts of a request together, files and images not counted."),
    exemptRoles: z
      .array(subject)
      .min(1)
      .max(64)
      .optional()
      .meta({ listType: "set" })
      .describe("Roles for which deny, allow and maxPromptBytes don't hold. mask holds for all."),
    mask: mask.optional(),
  })
  .meta({
    cel: [
      {
        rule: "has(self.deny) || has(self.allow) || has(self.maxPromptBytes) || has(self.mask)",
        message: "set at least one of deny, allow, maxPromptBytes and mask",
      },
    ],
  })
  .describe("What requests may say, and what of it leaves. Absent: everything.");

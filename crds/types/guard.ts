/** `RoutingPolicy.spec.guard`: what a request may contain. */
import { z } from "zod";
import { subject } from "./scalars.ts";
import { worded } from "./worded.ts";

const pattern = z.string().min(1).max(1024);
const described = pattern.meta({ regularExpression: "Any" });

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
            ).describe("Name of the type, for counts and placeholders."),
            pattern: pattern.meta({ regularExpression: "Texts" }).describe("RE2 regular expression."),
            replacement: z
              .string()
              .min(1)
              .max(256)
              .optional()
              .describe("Replacement text in mode Replace. Default: the name, as in [EMPLOYEE_ID]."),
          })
          .describe("A pattern of your own."),
      )
      .min(1)
      .max(32)
      .optional()
      .meta({ listType: "map", listMapKeys: ["name"] })
      .describe("Additional patterns to mask."),
    mode: z
      .enum(["Replace", "Placeholder"])
      .default("Replace")
      .describe(
        "Replace masks permanently, as [EMAIL]. Placeholder masks as [EMAIL_1], the same for equal values in a call, and restores the value in the answer.",
      ),
    answers: z.boolean().default(false).describe("Also mask the provider's answers. Restored values are not masked."),
  })
  .meta({
    cel: [
      {
        rule: "size(self.detect) > 0 || has(self.custom)",
        message: "set detect or custom: otherwise nothing is masked",
      },
    ],
  })
  .describe("Masks personal data in every text of a request. Default: nothing is masked.");

export const guard = z
  .strictObject({
    deny: z
      .array(described)
      .min(1)
      .max(64)
      .optional()
      .meta({ listType: "atomic" })
      .describe(
        'Regular expressions of RE2, such as "(?i)ignore (all )?previous instructions". A request in whose texts one of them is found is refused.',
      ),
    allow: z
      .array(described)
      .min(1)
      .max(64)
      .optional()
      .meta({ listType: "atomic" })
      .describe("RE2 regular expressions. The user's last text must match one of them, and none of deny."),
    maxPromptBytes: z
      .int()
      .min(1)
      .max(33_554_432)
      .optional()
      .describe("Largest size of a request's texts together, in bytes, without files and images."),
    exemptRoles: z
      .array(subject)
      .min(1)
      .max(64)
      .optional()
      .meta({ listType: "set" })
      .describe("Roles that deny, allow and maxPromptBytes don't apply to. mask applies to all roles."),
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
  .describe("Restricts the text of requests. Default: no restriction.");

/** Masking of personal data in the contract. */
import { z } from "zod";

export const maskConfig = z.object({
  detect: z.array(z.enum(["Email", "Phone", "SSN", "CreditCard"])),
  /** `replacement`: null for the name in capitals and brackets. */
  custom: z.array(z.object({ name: z.string(), pattern: z.string(), replacement: z.string().nullable() })),
  /** Replace: permanently. Placeholder: restored in the answer. */
  mode: z.enum(["Replace", "Placeholder"]),
  /** Whether the provider's answers are masked as well. */
  answers: z.boolean(),
});
export type MaskConfig = z.output<typeof maskConfig>;

/** The contract's part on masking personal data. */
import { z } from "zod";

export const maskConfig = z.object({
  detect: z.array(z.enum(["Email", "Phone", "SSN", "CreditCard"])),
  /** `replacement` null: the name in capitals and brackets. */
  custom: z.array(z.object({ name: z.string(), pattern: z.string(), replacement: z.string().nullable() })),
  /** Replace: for good. Placeholder: put back into the answer. */
  mode: z.enum(["Replace", "Placeholder"]),
  /** What the provider answers is masked as well. */
  answers: z.boolean(),
});
export type MaskConfig = z.output<typeof maskConfig>;

/** Options of providers that serve Claude next to other models. */
import type { Capabilities } from "../../config/capabilities.ts";

export const claudeOptions = {
  structuredOutputs: {
    required: false,
    description: "Claude: Refuse for models that support neither JSON schemas nor strict tools.",
    default: "Native",
    pattern: "^(Native|Refuse)$",
  },
  sampling: {
    required: false,
    description: "Claude: Drop leaves temperature, top_p and top_k out, for models that refuse them.",
    default: "Pass",
    pattern: "^(Pass|Drop)$",
  },
} satisfies Capabilities["options"];

/** Models for images, audio, moderation and reranking: Sluice passes their calls through to types that have them. */
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";
import type { MediaWireFormat } from "../../proxy/config/capabilities.ts";

/** Why models of the type can't be called in this form; null if they can. */
export function mediaProblem(format: MediaWireFormat, type: string): string | null {
  if (type === "OpenAICompatible")
    return "servers differ in which of these calls they have: add the model by hand, with spec.options.surfaces";
  const declared = capabilitiesByType[type];
  return declared !== undefined && [...declared.passthrough, ...declared.translated].includes(format)
    ? null
    : `calls of such models are not served by type ${type}`;
}

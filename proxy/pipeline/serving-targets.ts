/** Targets whose providers have what the call asks for. */
import type { WireFormat } from "../config/capabilities.ts";
import type { Failure } from "../failure.ts";
import { mediaFormat } from "../media/registry.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import { lacking } from "./prepare-media.ts";

type Targets = readonly [ResolvedTarget, ...ResolvedTarget[]];

/** Text and embeddings are translated for every provider, and refused where they can't be. */
export function servingTargets(targets: Targets, format: WireFormat): Targets | Failure {
  const media = mediaFormat(format);
  if (media === null) return targets;
  const serving = targets.filter(
    ({ entry: { provider, account }, model }) =>
      provider.passthroughPath(format, account, model) !== null ||
      (format === "cohere.rerank" && (provider.rerank?.(account, model) ?? null) !== null),
  );
  return serving.length === 0 ? lacking(media) : (serving as unknown as Targets);
}

/** The most that a call to images, audio, moderations or reranking can use, computed before it is made. */
import type { Shaped } from "../call/shaped.ts";
import type { MediaFormat, MediaRequest } from "../media/format.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import { costNanoUsd, unpriced } from "../telemetry/cost.ts";
import type { ExpectedTokens, WorstCost } from "./call-bounds.ts";
import { maxComputeCost } from "./compute-time.ts";

/** The request as it is sent. */
export const mediaRequestOf = ({ received, edits }: Shaped): MediaRequest => ({
  json: { ...received.json, ...edits },
  parts: received.parts ?? [],
});

/** null if one of the targets has no price for such a call. */
export function worstMedia(shaped: Shaped, targets: readonly ResolvedTarget[], media: MediaFormat): WorstCost | null {
  const request = mediaRequestOf(shaped);
  let nanoUsd = 0;
  for (const { model, entry } of targets) {
    const { price } = model.config;
    const most = media.most(request, price);
    const cost = costNanoUsd(most, price);
    if (cost === null || unpriced(most, price).length > 0) return null;
    nanoUsd = Math.max(nanoUsd, cost + maxComputeCost(price, entry.account.config));
  }
  return { nanoUsd, cap: null };
}

/** The expected tokens, for token limits. */
export function expectedMedia(shaped: Shaped, targets: readonly ResolvedTarget[], media: MediaFormat): ExpectedTokens {
  const { prompt, completion } = media.expected(mediaRequestOf(shaped), targets[0]?.model.config.price ?? null);
  return { prompt, answer: completion };
}

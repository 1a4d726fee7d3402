/** What one attempt at images, audio, moderations or reranking is charged: the usage that is reported, else an estimate. */
import type { AttemptRecord } from "../call/record.ts";
import type { Shaped } from "../call/shaped.ts";
import type { Usage } from "../dialects/canonical.ts";
import type { MediaFormat } from "../media/format.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import { costNanoUsd, unpriced } from "../telemetry/cost.ts";
import { withComputeTime } from "./compute-time.ts";
import { mediaRequestOf } from "./media-worst.ts";
import type { Tried } from "./try-target.ts";

type Charge = Pick<AttemptRecord, "usage" | "costNanoUsd" | "implausible" | "unpriced">;

type Failed = Extract<Tried["result"], { kind: "failed" }>;

/** Providers charge for answers, even for one that never arrived. */
function reportedByFailed({ status, sent, refused, usage }: Failed): Usage | "expected" | null {
  const mayBeAnswer = sent && !refused && (status === null || (status >= 200 && status < 300));
  return usage ?? (mayBeAnswer ? "expected" : null);
}

/** "expected": the provider has done the work, but its amount is unknown. null: nothing is charged. */
function reported({ result, whole, error }: Tried): Usage | "expected" | null {
  switch (result.kind) {
    case "failed":
      return reportedByFailed(result);
    case "whole":
      return whole === null
        ? error?.code === "upstream_invalid_response"
          ? "expected"
          : null
        : (whole.usage ?? "expected");
    case "abandoned":
      return result.sent ? (result.usage ?? "expected") : null;
    case "broken":
    case "streamed":
      return result.usage ?? "expected";
  }
}

/** Above this multiple of a call's maximum, a report is an error. */
const implausibleTimes = 10;

export function mediaChargeOf(
  target: ResolvedTarget,
  tried: Tried,
  durationMs: number,
  shaped: Shaped,
  media: MediaFormat,
): Charge {
  const { price } = target.model.config;
  const request = mediaRequestOf(shaped);
  const counted = reported(tried);
  if (counted === null) return {};
  const expected = (): Usage => media.expected(request, price);
  const usage = counted === "expected" ? expected() : counted;
  const cost = costNanoUsd(usage, price);
  const most = costNanoUsd(media.most(request, price), price);
  const isOdd = usage.implausible === true || (most !== null && most > 0 && (cost ?? 0) > implausibleTimes * most);
  if (isOdd) {
    const instead = withComputeTime({ ...expected(), estimated: true }, durationMs, price);
    return { usage: instead, costNanoUsd: costNanoUsd(instead, price), implausible: true };
  }
  const timed = withComputeTime(usage, durationMs, price);
  const lacks = unpriced(timed, price);
  return { usage: timed, costNanoUsd: costNanoUsd(timed, price), ...(lacks.length === 0 ? {} : { unpriced: lacks }) };
}

/** Replays usage through two rendered configs. */
import { encode, sha256Hex } from "../../proxy/config/encode.ts";
import type { LedgerDimension, LedgerRow } from "../../proxy/config/ledger.ts";
import type { RenderedConfig } from "../../proxy/config/schema.ts";
import { providers } from "../../proxy/providers/registry.generated.ts";
import { build } from "../../proxy/snapshot/build.ts";
import type { Snapshot } from "../../proxy/snapshot/snapshot.ts";
import { offlinePepper } from "../offline-options.ts";
import { type UsageReport, usageEffects } from "./effects.ts";

function snapshotOf(config: RenderedConfig): Snapshot {
  const { manifest } = encode(config, sha256Hex(offlinePepper));
  return build(config, manifest, { pepper: offlinePepper, credentials: new Map() }, providers);
}

export function usageBetween(
  rows: readonly LedgerRow[],
  change: { before: RenderedConfig; after: RenderedConfig; nowMs: number; groupBy: readonly LedgerDimension[] },
): UsageReport {
  const [before, after] = [snapshotOf(change.before), snapshotOf(change.after)];
  return usageEffects(rows, { before, after, nowMs: change.nowMs, groupBy: change.groupBy });
}

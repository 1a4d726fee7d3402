/**
 * Charges a batch once, when its object passes through with a final status and the usage that the provider reports
 * (https://platform.openai.com/docs/api-reference/batch/object). Only the object names the file with the results, so
 * the results can't be used without reading it.
 */
import type { CallRecord } from "../call/record.ts";
import type { Usage } from "../dialects/canonical.ts";
import { usageOf } from "../dialects/openai-responses/usage.ts";
import type { FleetStore } from "../fleet/store.ts";
import type { ProviderModel } from "../providers/provider.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { ProviderEntry } from "../snapshot/snapshot.ts";
import { costNanoUsd, unpriced } from "../telemetry/cost.ts";
import { isObject, type JsonObject } from "../wire/json.ts";
import { admitAside } from "./admit.ts";
import type { AdmitRequest, Admitter } from "./admit-request.ts";
import { type BatchTime, lacksTime, withBatchTime, withoutBatchMode } from "./compute-time.ts";

export interface BatchPayer extends Admitter {
  ledger: Pick<FleetStore, "once">;
  record(call: CallRecord): void;
}

export interface BatchReader {
  caller: Pick<AdmitRequest, "client" | "surface" | "snapshot" | "route" | "identity" | "session">;
  entry: ProviderEntry;
  /** The call that reads the batch. */
  record: CallRecord;
}

interface EndedBatch {
  id: string;
  model: string;
  usage: Usage;
  time: BatchTime;
}

/** How long a charged batch is remembered, in milliseconds. Providers keep results for a shorter time. */
const rememberedMs = 90 * 86_400_000;

const finalStatuses: ReadonlySet<unknown> = new Set(["completed", "expired", "cancelled", "failed"]);

/** Most requests of a batch: https://platform.openai.com/docs/guides/batch. */
const maxRequests = 50_000;
/** Ten times what any model reads and writes in one request. */
const maxTokens = 20_000_000;
/** Tokens assumed for a request whose report is implausible. */
const usualTokens = 1_024;
/** The largest count, so that its cost fits a safe integer. */
const maxOfBatch = 1e11;

/** The usage that a batch reports, or an estimate if the report can't be true. */
function plausibleUsage(object: JsonObject): Usage | null {
  const total = isObject(object["request_counts"]) ? object["request_counts"]["total"] : null;
  const requests = typeof total === "number" && total >= 0 ? Math.min(total, maxRequests) : maxRequests;
  const usage = usageOf(object, Math.min(maxOfBatch, requests * maxTokens));
  if (usage?.implausible !== true) return usage;
  const tokens = total === null ? 0 : requests * usualTokens;
  const none = { cachedPrompt: 0, cacheWrite: 0, reasoning: 0 };
  return { ...none, prompt: tokens, completion: tokens, estimated: true, implausible: true };
}

/**
 * https://platform.openai.com/docs/api-reference/batch/object: when the batch reached each final status, in Unix time.
 */
const endings = ["completed_at", "expired_at", "cancelled_at", "failed_at"] as const;
/** A batch runs for a day. Anything above ten times that can't be true. */
const maxBatchMs = 10 * 86_400_000;

function timeOf(object: JsonObject): BatchTime {
  const began = object["in_progress_at"];
  const ended = endings.map((name) => object[name]).find((moment) => typeof moment === "number");
  const ms = typeof began === "number" && ended !== undefined ? (ended - began) * 1_000 : -1;
  const counts = object["request_counts"];
  const total = isObject(counts) ? counts["total"] : undefined;
  return {
    durationMs: ms >= 0 && ms <= maxBatchMs ? ms : null,
    requests: typeof total === "number" && total > 0 ? total : null,
  };
}

/** Null if the batch is still running, or the provider doesn't report its usage. */
function endedBatch(object: unknown): EndedBatch | null {
  if (!isObject(object) || object["object"] !== "batch" || !finalStatuses.has(object["status"])) return null;
  const { id, model } = object;
  const usage = plausibleUsage(object);
  if (typeof id !== "string" || usage === null || usage.prompt + usage.completion === 0) return null;
  return {
    id,
    model: typeof model === "string" ? model : "",
    usage: { ...usage, modes: [...(usage.modes ?? []), "batch"] },
    time: timeOf(object),
  };
}

/** Finds a model by its own or the provider's name, which may end in the date of a version: `gpt-4o-2024-08-06`. */
function modelNamed(entry: ProviderEntry, reported: string): ProviderModel | null {
  for (const name of [reported, reported.replace(/-\d{4}-?\d{2}-?\d{2}$/, "")]) {
    const model =
      entry.models.get(name) ?? [...entry.models.values()].find(({ config }) => config.upstream === name) ?? null;
    if (model !== null) return model;
  }
  return null;
}

/** A target to match against budgets' scopes, which look only at its provider. */
function targetsOf(entry: ProviderEntry, model: ProviderModel | null): ResolvedTarget[] {
  const some = model ?? entry.models.values().next().value;
  if (some === undefined) return [];
  const provider = entry.account.config.id;
  return [{ config: { name: "", provider, model: some.name, priority: 1, weight: 1 }, entry, model: some }];
}

/** Charges those of `objects` that are ended batches and were never charged before. Never fails. */
export async function chargeBatches(
  objects: readonly unknown[],
  reader: BatchReader,
  payer: BatchPayer,
): Promise<void> {
  for (const object of objects) {
    const batch = endedBatch(object);
    if (batch !== null && (await isFirst(`${reader.entry.account.config.id}|${batch.id}`, payer)))
      await charge(batch, reader, payer);
  }
}

/** Results don't say how long they took. */
const noTime: BatchTime = { durationMs: null, requests: null };

/** Charges a batch of messages by its results, unless it was charged before. Never fails. */
export async function chargeResults(
  id: string,
  usages: ReadonlyMap<string, Usage>,
  reader: BatchReader,
  payer: BatchPayer,
): Promise<void> {
  if (usages.size === 0 || !(await isFirst(`${reader.entry.account.config.id}|${id}`, payer))) return;
  for (const [model, usage] of usages) {
    const modes = [...new Set([...(usage.modes ?? []), "batch"])];
    await charge({ id, model, usage: { ...usage, modes }, time: noTime }, reader, payer);
  }
}

/** Without the store, a batch that is read twice is charged twice: too much rather than nothing. */
async function isFirst(key: string, { ledger }: BatchPayer): Promise<boolean> {
  try {
    return await ledger.once(`batch|${key}`, rememberedMs);
  } catch {
    return true;
  }
}

/** The batch has a record of its own, under the operation `batch`. */
async function charge(
  { model: reported, usage: counted, time }: EndedBatch,
  { caller, entry, record: read }: BatchReader,
  payer: BatchPayer,
): Promise<void> {
  const { config } = entry.account;
  const model = modelNamed(entry, reported);
  const price = model?.config.price ?? null;
  const usage = withBatchTime(withoutBatchMode(counted, price), time, price);
  const lacking = [...unpriced(usage, price), ...(lacksTime(time, price) ? ["computeMillisecond"] : [])];
  const cost = costNanoUsd(usage, price);
  const record: CallRecord = {
    ...read,
    startedMs: payer.nowMs(),
    operation: "batch",
    model: model?.name ?? "other",
    provider: config.id,
    upstreamModel: model?.config.upstream ?? "",
    usage,
    costNanoUsd: cost,
    attempts: [
      {
        provider: config.id,
        target: "",
        model: model?.name ?? "other",
        outcome: "ok",
        durationMs: 0,
        usage,
        costNanoUsd: cost,
        ...(lacking.length === 0 ? {} : { unpriced: lacking }),
        ...(usage.implausible === true ? { implausible: true } : {}),
      },
    ],
    trace: null,
    audited: null,
  };
  // The provider has already done the work, so a throttled budget is charged like any other.
  const admitter: Admitter = { ...payer, random: () => 0 };
  const request = { ...caller, shaped: null, targets: targetsOf(entry, model), model: record.model };
  const admitted = await admitAside(request, false, admitter);
  admitted?.settle(record, false);
  payer.record(record);
}

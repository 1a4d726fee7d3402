/** Stage: answer from the cache, wait for somebody who is asking the same already, or let the call go on and keep its answer. */

import { type Flight, maxAnswerBytes, type ResponseCache } from "../cache/cache.ts";
import { Capture } from "../cache/capture.ts";
import { type CacheControl, parseCacheControl } from "../cache/control.ts";
import { cacheable, cacheKey } from "../cache/key.ts";
import type { CachedAnswer } from "../cache/store.ts";
import type { CacheConfig } from "../config/schema.ts";
import { type Failure, failure } from "../failure.ts";
import type { Route, Snapshot } from "../snapshot/snapshot.ts";
import type { CallRecord } from "../telemetry/record.ts";
import type { ClientConnection } from "../wire/client.ts";
import type { Identity } from "./authenticate.ts";
import type { Shaped } from "./shape.ts";

export interface CachedCall {
  client: ClientConnection;
  cache: ResponseCache;
  snapshot: Snapshot;
  route: Route;
  identity: Identity;
  shaped: Shaped;
  record: CallRecord;
  /** The rest of the way: to a provider. */
  go(): Promise<Failure | null>;
}

const notCached = failure("not_cached", "No cached answer matches this request, and it asked for nothing else (Cache-Control: only-if-cached).");
const gone = "gone";

/** What the cache did, for the header X-Sluice-Cache and the metrics. */
export type CacheResult = "hit" | "miss" | "bypass";

export async function throughCache(call: CachedCall): Promise<Failure | null> {
  const { config } = call.route;
  if (config.cache === null) return call.go();
  const control = parseCacheControl(call.client.header("cache-control"));
  const digest = call.snapshot.digest;
  const wanted = !control.noStore && cacheable(config.cache, call.shaped);
  const key = wanted
    ? cacheKey(config.cache, call.shaped, call.route, call.identity, call.client.header("x-prefer-provider") ?? call.shaped.preferred, digest)
    : null;
  if (key === null) {
    call.record.cache = "bypass";
    return control.onlyIfCached ? notCached : call.go();
  }
  return answer(call, config.cache, control, key);
}

async function answer(call: CachedCall, config: CacheConfig, control: CacheControl, key: string): Promise<Failure | null> {
  const waits = !(control.noCache || control.onlyIfCached) && call.cache.flight(key) !== null;
  const kept = control.noCache || waits ? null : await call.cache.store.get(call.route.config.id, key);
  if (kept !== null && young(call, control, kept)) {
    replay(call, kept);
    return null;
  }
  if (control.onlyIfCached) return notCached;
  // No await from here to the lead in `ask`: of those whose look-ups end together, one leads and the others see it.
  const flight = control.noCache ? null : call.cache.flight(key);
  const shared = flight === null ? null : await orGone(call.client, flight);
  if (shared === gone) {
    call.record.abandoned = true;
    return failure("client_closed_request", "The client went away.");
  }
  if (shared !== null) {
    replay(call, shared);
    return null;
  }
  call.record.cache = "miss";
  return ask(call, config, key);
}

const young = (call: CachedCall, control: CacheControl, kept: CachedAnswer): boolean =>
  control.maxAgeMs === null || call.cache.nowMs() - kept.storedAtMs <= control.maxAgeMs;

function orGone(client: ClientConnection, flight: Flight): Promise<CachedAnswer | typeof gone | null> {
  return new Promise((resolve, reject) => {
    client.onClose(() => resolve(gone));
    flight
      .then((shared) => {
        client.onClose(null);
        resolve(shared);
      })
      .catch(reject);
  });
}

function replay({ client, cache, record, shaped }: CachedCall, kept: CachedAnswer): void {
  record.cache = "hit";
  record.savedNanoUsd = kept.costNanoUsd;
  record.provider = kept.provider;
  record.model = kept.model;
  record.upstreamModel = kept.upstreamModel;
  record.dropped = kept.dropped;
  const headers: Record<string, string | number> = {
    "x-request-id": client.requestId,
    "x-provider-used": kept.target,
    "x-sluice-cache": "hit",
    age: Math.max(0, Math.floor((cache.nowMs() - kept.storedAtMs) / 1000)),
  };
  if (kept.dropped.length > 0) headers["x-sluice-dropped-params"] = kept.dropped.join(",");
  if (!shaped.received.stream) {
    client.reply(200, { ...headers, "content-type": "application/json" }, kept.body);
    return;
  }
  client.head(200, { ...headers, "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", "x-accel-buffering": "no" });
  client.write(kept.body);
  client.finish();
}

/** Upstream, with the answer kept. Those who ask the same meanwhile wait; if it comes to nothing they ask for themselves. */
async function ask(call: CachedCall, config: CacheConfig, key: string): Promise<Failure | null> {
  const capture = new Capture(maxAnswerBytes);
  call.client.filter(capture);
  const landed = call.cache.flight(key) === null ? call.cache.lead(key) : () => undefined;
  let kept: CachedAnswer | null = null;
  try {
    const failed = await call.go();
    kept = failed === null ? keep(call, capture) : null;
    if (kept !== null) call.cache.store.set(call.route.config.id, key, kept, config);
    return failed;
  } finally {
    landed(kept);
  }
}

function keep({ record, cache }: CachedCall, capture: Capture): CachedAnswer | null {
  const { body } = capture;
  if (body === null || record.broken || record.abandoned) return null;
  const { provider, model, upstreamModel, target, dropped, costNanoUsd } = record;
  return { body, storedAtMs: cache.nowMs(), target, provider, model, upstreamModel, dropped, costNanoUsd };
}

/** Stage: answers from the cache, waits for an equal call in flight, or lets the call go on and caches its answer. */

import { type Flight, type Landed, maxAnswerBytes, type ResponseCache } from "../cache/cache.ts";
import { Capture } from "../cache/capture.ts";
import { type CacheControl, parseCacheControl } from "../cache/control.ts";
import { type CacheLookup, cacheable, cacheKey } from "../cache/key.ts";
import type { CachedAnswer } from "../cache/store.ts";
import type { CacheConfig } from "../config/cache.ts";
import { type Failure, failure } from "../failure.ts";
import type { ClientConnection } from "../wire/client.ts";
import { behaviourHeaders } from "../wire/headers.ts";
import { type AnswerHeaders, addGatewayHeaders, asEventStream } from "./answer-headers.ts";
import type { CachedCall } from "./cached-call.ts";
import type { CallOutcome } from "./call-state.ts";
import { KeepAlive } from "./keep-alive.ts";
import type { Missed } from "./proof.ts";
import { holdsSecret, secretsOf } from "./redacted-excerpt.ts";
import { type SemanticMatch, SemanticSearch } from "./semantic-lookup.ts";

const notCached = failure(
  "not_cached",
  "No cached answer matches this request, and it asked for nothing else (Cache-Control: only-if-cached).",
);
const gone = "gone";
const missed = {} as Missed;

/** A promise only if something has to be waited for. */
export function throughCache(call: CachedCall): CallOutcome {
  const { cache } = call.route.config;
  return cache === null ? call.goOn(missed) : cachedOr(call, cache);
}

/** The same, to the end of the answer. */
export function throughCacheToEnd(call: CachedCall): Failure | null | Promise<Failure | null> {
  const { cache } = call.route.config;
  return cache === null ? call.go(missed) : cachedOr(call, cache);
}

async function cachedOr(call: CachedCall, cache: CacheConfig): Promise<Failure | null> {
  const control = parseCacheControl(call.client.header("cache-control"));
  const { shaped, route, identity } = call;
  const preferred = call.client.header("x-prefer-provider") ?? shaped.preferred;
  const headers = behaviourHeaders(call.client.headers);
  const lookup: CacheLookup = {
    config: cache,
    shaped,
    route,
    identity,
    preferred,
    headers,
    digester: call.snapshot,
  };
  const key = !control.noStore && cacheable(cache, shaped, route) ? cacheKey(lookup) : null;
  if (key === null) {
    call.record.cache = "bypass";
    return control.onlyIfCached ? notCached : call.go(missed);
  }
  // A caller who wants a fresh answer needs no comparison.
  const meaning = (): SemanticSearch | null => (control.noCache ? null : SemanticSearch.of(call, lookup));
  return answer(call, cache, control, key, meaning);
}

/** `meaning`: compared only if no equal call was answered. */
async function answer(
  call: CachedCall,
  config: CacheConfig,
  control: CacheControl,
  key: string,
  meaning: () => SemanticSearch | null,
): Promise<Failure | null> {
  const { cache } = call.gateway;
  const waits = !(control.noCache || control.onlyIfCached) && cache.flight(key) !== null;
  const kept = control.noCache || waits ? null : await cache.store.get(call.route.config.id, key);
  if (kept !== null && young(cache, control, kept)) {
    await replay(call, { answer: kept, similarity: null });
    return null;
  }
  if (control.onlyIfCached) return onlyByMeaning(call, control, meaning());
  // No await from here until `ask` takes the lead: of calls whose look-ups end together, one leads and the others see
  // it.
  const flight = control.noCache ? null : cache.flight(key);
  const shared = flight === null ? null : await keptAlive(call, orGone(call.client, flight));
  if (shared === gone) {
    call.record.abandoned = true;
    return failure("client_closed_request", "The client went away.");
  }
  if (shared !== null) {
    await replay(call, shared);
    return null;
  }
  call.record.cache = "miss";
  return ask(call, config, control, key, meaning());
}

async function onlyByMeaning(
  call: CachedCall,
  control: CacheControl,
  meaning: SemanticSearch | null,
): Promise<Failure | null> {
  const match = (await meaning?.find(control.maxAgeMs, true)) ?? null;
  if (match === null) return notCached;
  await replay(call, match);
  return null;
}

const young = (cache: ResponseCache, control: CacheControl, kept: CachedAnswer): boolean =>
  control.maxAgeMs === null || cache.nowMs() - kept.storedAtMs <= control.maxAgeMs;

function orGone(client: ClientConnection, flight: Flight): Promise<Landed | typeof gone | null> {
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

/** Sends comments to a streaming caller that waits for another call's answer. */
async function keptAlive<T>({ client, gateway, shaped }: CachedCall, waiting: Promise<T>): Promise<T> {
  const everyMs = shaped.received.stream ? (gateway.limits.keepAliveMs ?? 0) : 0;
  const keepAlive = everyMs > 0 ? new KeepAlive(client, gateway.deadlines, everyMs) : null;
  try {
    return await waiting;
  } finally {
    keepAlive?.stop();
  }
}

/** Rounded down, so that the reported value never reaches a threshold that was missed. */
const shown = (similarity: number): string => (Math.floor(similarity * 10_000) / 10_000).toFixed(4);

function replay(
  { client, gateway, record, shaped }: CachedCall,
  { answer: kept, similarity }: Landed,
): void | Promise<void> {
  record.cache = similarity === null ? "hit" : "semantic";
  record.savedNanoUsd = kept.costNanoUsd;
  record.provider = kept.provider;
  record.model = kept.model;
  record.upstreamModel = kept.upstreamModel;
  record.dropped = kept.dropped;
  const headers: AnswerHeaders = {
    age: Math.max(0, Math.floor((gateway.cache.nowMs() - kept.storedAtMs) / 1000)),
  };
  addGatewayHeaders(headers, { client, record, target: kept.target, dropped: kept.dropped });
  if (similarity !== null) headers["x-sluice-similarity"] = shown(similarity);
  if (!shaped.received.stream) return client.reply(200, { ...headers, "content-type": "application/json" }, kept.body);
  // A keep-alive comment has already begun the stream.
  if (!client.started) client.streamHead(asEventStream(headers));
  client.write(kept.body, true);
  client.finish();
}

/**
 * Serves an answer to an equivalent question, or else asks upstream. Equal calls wait meanwhile, and ask for themselves
 * if this fails.
 */
async function ask(
  call: CachedCall,
  config: CacheConfig,
  control: CacheControl,
  key: string,
  meaning: SemanticSearch | null,
): Promise<Failure | null> {
  const { cache } = call.gateway;
  const landed = cache.flight(key) === null ? cache.lead(key) : () => undefined;
  let landing: Landed | null = null;
  try {
    const looking = meaning?.find(control.maxAgeMs, false) ?? null;
    const match: SemanticMatch | null = looking === null || meaning?.shadow ? null : await looking;
    if (match !== null) {
      landing = match;
      await replay(call, match);
      return null;
    }
    const capture = new Capture(maxAnswerBytes);
    call.client.filter(capture);
    const failed = await call.go(missed);
    const kept = failed === null ? keep(call, capture) : null;
    if (kept !== null) {
      landing = { answer: kept, similarity: null };
      cache.store.set(call.route.config.id, key, kept, config);
    }
    if (looking !== null) {
      // The call is over. Measuring may continue for a moment, but nothing waits for it.
      call.record.durationMs = call.elapsedMs();
      landed(landing);
      await looking;
    }
    if (kept !== null) meaning?.keep(key);
    return failed;
  } finally {
    landed(landing);
  }
}

function keep({ record, gateway, client, snapshot }: CachedCall, capture: Capture): CachedAnswer | null {
  const { body } = capture;
  if (body === null || record.broken || record.abandoned || holdsSecret(body, secretsOf(client.headers, snapshot)))
    return null;
  const { provider, model, upstreamModel, target, dropped, costNanoUsd } = record;
  return { body, storedAtMs: gateway.cache.nowMs(), target, provider, model, upstreamModel, dropped, costNanoUsd };
}

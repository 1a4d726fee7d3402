/**
 * What a large installation costs the control plane and a proxy's swap: 100 providers, 1,000 policies, 1,000 budgets and
 * 50,000 keys; everything at once, and one key changed. Part of `make bench`.
 */

import { type Compiled, compile } from "../../operator/compile/compile.ts";
import { CompileMemo } from "../../operator/compile/memo.ts";
import type { SecretFact, WorldObject } from "../../operator/compile/world.ts";
import { capabilities } from "../../proxy/config/capabilities.generated.ts";
import { EncodeMemo, encode, keyedDigest, sha256Hex } from "../../proxy/config/encode.ts";
import { type ParsedDocuments, parseDocuments } from "../../proxy/config/parse.ts";
import { providers } from "../../proxy/providers/registry.generated.ts";
import { build } from "../../proxy/snapshot/snapshot.ts";
import { benchObject } from "./servers.ts";
import { spread } from "./statistics.ts";

const counts = { providers: 100, policies: 1_000, budgets: 1_000, keys: 50_000 };
const pepper = Buffer.alloc(32, 9);
const rounds = 5;
const times = <T>(count: number, make: (at: number) => T): T[] => Array.from({ length: count }, (_, at) => make(at));
const facts: Record<string, Record<string, SecretFact>> = {};
const digestFor = (name: string): void => {
  facts[`bench/${name}`] = { apiKey: { digest: keyedDigest(pepper, name), displayPrefix: "" } };
};

const objects: WorldObject[] = [
  ...times(counts.providers, (at) => {
    digestFor(`provider-${at}`);
    return benchObject("LLMProvider", `provider-${at}`, {
      type: "OpenAI",
      endpoint: `https://llm-${at}.example.com/v1`,
      credentials: { secretRef: { name: `provider-${at}` } },
      models: [{ name: "gpt-4o", price: { inputPerMillion: "2.5", outputPerMillion: "10" } }],
    });
  }),
  ...times(counts.policies, (at) =>
    benchObject("RoutingPolicy", `policy-${at}`, {
      match: { models: [`model-${at}`] },
      routing: { targets: [{ provider: { name: `provider-${at % counts.providers}` }, model: "gpt-4o" }] },
      limits: [{ per: "User", requests: 100, window: "1m" }],
    }),
  ),
  ...times(counts.budgets, (at) => benchObject("Budget", `budget-${at}`, { amount: "100", period: "Daily", scope: { teams: [`team-${at}`] } })),
  ...times(counts.keys, (at) => {
    digestFor(`key-${at}`);
    return benchObject("ApiKey", `key-${at}`, { user: `user-${at}@example.com`, team: `team-${at % counts.budgets}`, writeTo: { name: `key-${at}` } });
  }),
];

function compiled(world: WorldObject[], previous: Compiled["config"] | null, memo: CompileMemo): Compiled {
  const settings = { proxy: { maxBodyBytes: 10_485_760 }, sharingNamespaces: [] };
  return compile({ world: { objects: world, namespaces: { bench: {} }, secrets: facts }, settings, previous, nowMs: 1 }, capabilities, memo);
}

const rows: [string, number[]][] = [];
function timed<T>(name: string, work: () => T): T {
  const began = performance.now();
  const value = work();
  const ms = performance.now() - began;
  const row = rows.find(([known]) => known === name);
  if (row === undefined) rows.push([name, [ms]]);
  else row[1].push(ms);
  return value;
}

const secrets = { pepper, credentials: new Map<string, string>() };
let shards = 0;
let heapBytes = 0;
for (let round = 0; round < rounds; round++) {
  const memo = new CompileMemo();
  const written = new EncodeMemo();
  const first = timed("compile everything", () => compiled(objects, null, memo));
  const published = timed("encode everything", () => encode(first.config, sha256Hex(pepper), written));
  heapBytes = Math.max(heapBytes, process.memoryUsage().heapUsed);
  const changed = objects.map((one) =>
    one.kind === "ApiKey" && one.meta.name === `key-${round}` ? { ...one, spec: { ...(one.spec as object), revoked: true } } : one,
  );
  const next = timed("compile with one key changed", () => compiled(changed, first.config, memo));
  const again = timed("encode with one key changed", () => encode(next.config, sha256Hex(pepper), written));
  shards = Object.keys(again.documents).filter((name) => name !== "manifest.json" && again.documents[name] !== published.documents[name]).length;
  const cache: ParsedDocuments = new Map();
  const parsed = timed("proxy: read everything", () => parseDocuments(published.documents, cache));
  if (!parsed.ok) throw new Error(parsed.reason);
  timed("proxy: build a snapshot of it", () => build(parsed.config, parsed.manifest, secrets, providers));
  const second = timed("proxy: read with one key changed", () => parseDocuments(again.documents, cache));
  if (!second.ok) throw new Error(second.reason);
  timed("proxy: build again, the loop stands still", () => build(second.config, second.manifest, secrets, providers));
}

process.stdout.write(
  `${objects.length} objects (${counts.keys} keys); heap ${Math.round(heapBytes / 1_048_576)} MiB; one key changed: ${shards} shard written\n`,
);
process.stdout.write(`${"".padEnd(44)}${["min", "median", "max"].map((word) => word.padStart(11)).join("")}\n`);
for (const [name, ms] of rows) {
  const { min, median, max } = spread(ms);
  process.stdout.write(`${name.padEnd(44)}${[min, median, max].map((value) => `${value.toFixed(0)} ms`.padStart(11)).join("")}\n`);
}

/**
 * What a large installation costs the control plane and a proxy's swap: 100 providers, 1,000 policies, 1,000 budgets and
 * 50,000 keys; everything at once, and one key changed. Milliseconds of processor time. Part of `make bench`.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { compile } from "../../operator/compile/compile.ts";
import { CompileMemo } from "../../operator/compile/memo.ts";
import type { SecretFact, WorldObject } from "../../operator/compile/world.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";
import { credentialName, EncodeMemo, encode, keyedDigest, sha256Hex } from "../../proxy/config/encode.ts";
import type { KeyRecord } from "../../proxy/config/key-record.ts";
import type { RenderedConfig } from "../../proxy/config/schema.ts";
import { removeFolder, temporaryFolder } from "../harness/child.ts";
import { run } from "../harness/command.ts";
import { type OperatorPasses, startPasses } from "./operator-pass.ts";
import { benchObject } from "./servers.ts";
import { spread } from "./statistics.ts";

const counts = { providers: 100, policies: 1_000, budgets: 1_000, keys: 50_000 };
const pepper = Buffer.alloc(32, 9);
const changes = 10;
const times = <T>(count: number, make: (at: number) => T): T[] => Array.from({ length: count }, (_, at) => make(at));
const facts: Record<string, Record<string, SecretFact>> = {};
const values = new Map<string, Record<string, string>>();
const secretFor = (name: string): void => {
  facts[`bench/${name}`] = { apiKey: { digest: keyedDigest(pepper, name), displayPrefix: "" } };
  values.set(`bench/${name}`, { apiKey: name });
};
const keySpec = (at: number) => ({
  user: `user-${at}@example.com`,
  team: `team-${at % counts.budgets}`,
  writeTo: { name: `key-${at}` },
});

const objects: WorldObject[] = [
  ...times(counts.providers, (at) => {
    secretFor(`provider-${at}`);
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
  ...times(counts.budgets, (at) =>
    benchObject("Budget", `budget-${at}`, { amount: "100", period: "Daily", scope: { teams: [`team-${at}`] } }),
  ),
  ...times(counts.keys, (at) => {
    secretFor(`key-${at}`);
    return benchObject("ApiKey", `key-${at}`, keySpec(at));
  }),
];
const firstKey = objects.length - counts.keys;

const rows: [string, number[]][] = [];
function note(name: string, ms: number): void {
  const row = rows.find(([known]) => known === name);
  if (row === undefined) rows.push([name, [ms]]);
  else row[1].push(ms);
}
function timed<T>(name: string, work: () => T): T {
  const began = process.cpuUsage();
  const value = work();
  const { user, system } = process.cpuUsage(began);
  note(name, (user + system) / 1000);
  return value;
}
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
function heapMiB(): number {
  collect();
  return Math.round(process.memoryUsage().heapUsed / 1_048_576);
}

const memo = new CompileMemo();
const written = new EncodeMemo();
const compiled = (world: WorldObject[], previous: RenderedConfig | null): RenderedConfig => {
  const settings = { proxy: { maxBodyBytes: 10_485_760 }, sharingNamespaces: [] };
  return compile(
    { world: { objects: world, namespaces: { bench: {} }, secrets: facts }, settings, previous, nowMs: 1 },
    capabilitiesByType,
    memo,
  ).config;
};
const heap = { before: heapMiB(), compiled: 0 };
let config = timed("compile everything", () => compiled(objects, null));
let published = timed("encode everything", () => encode(config, sha256Hex(pepper), written));
heap.compiled = heapMiB();
let shards = 0;
let world = objects;
for (let round = 0; round < changes; round++) {
  const at = round * 997;
  world = world.with(firstKey + at, benchObject("ApiKey", `key-${at}`, { ...keySpec(at), revoked: true }));
  config = timed("compile with one key changed", () => compiled(world, config));
  const next = timed("encode with one key changed", () => encode(config, sha256Hex(pepper), written));
  shards = Object.keys(next.documents).filter(
    (name) => name !== "manifest.json" && next.documents[name] !== published.documents[name],
  ).length;
  published = next;
}

/** Writes configs for a proxy to take in, and has it do so in a process of its own. */
async function swaps(): Promise<void> {
  const folder = await temporaryFolder("bench-swap");
  const credentials = times(
    counts.providers,
    (at) => [credentialName(keyedDigest(pepper, `provider-${at}`)), `provider-${at}`] as const,
  );
  const write = async (name: string, from: RenderedConfig): Promise<void> => {
    await mkdir(join(folder, name));
    const { documents } = encode(from, sha256Hex(pepper));
    for (const [file, content] of [...Object.entries(documents), ...credentials, ["pepper", pepper] as const])
      await writeFile(join(folder, name, file), content);
  };
  const rounds = 8;
  await write("few", { ...config, keys: config.keys.slice(0, 10) });
  for (let round = 0; round < rounds; round++) {
    const keys = config.keys.map((key) => ({ ...key, tags: [`round-${round}`] }));
    await write(`all-${round}`, { ...config, keys });
    await write(`one-${round}`, {
      ...config,
      keys: keys.with(round * 997, { ...(keys[round * 997] as KeyRecord), user: "other" }),
    });
  }
  const { code, stdout, stderr } = await run(process.execPath, [
    join(import.meta.dirname, "swap.ts"),
    folder,
    String(rounds),
    String(counts.keys),
  ]);
  await removeFolder(folder);
  if (code !== 0) throw new Error(`swap.ts ended with ${code}: ${stderr}`);
  for (const [name, figures] of JSON.parse(stdout) as [string, number[]][])
    for (const figure of figures) note(name, figure);
}
await swaps();

async function wholePasses(passes: OperatorPasses): Promise<string> {
  const first = await passes.pass();
  note("operator: first pass, everything", first.cpuMs);
  // Statuses that it wrote come back as changes.
  note("operator: pass with every status changed", (await passes.pass()).cpuMs);
  const writes: string[] = [];
  for (let round = 0; round < changes; round++) {
    passes.change("ApiKey", `key-${round * 997}`, { ...keySpec(round * 997), revoked: true });
    const { cpuMs, configMaps, statuses } = await passes.pass();
    note("operator: whole pass with one key changed", cpuMs);
    writes.push(`${configMaps} ConfigMaps, ${statuses} statuses`);
    await passes.pass();
    note("operator: pass with nothing changed", (await passes.pass()).cpuMs);
  }
  return [...new Set(writes)].join("; ");
}
const passes = await startPasses(objects, values);
const writes = await wholePasses(passes);
passes.close();

process.stdout.write(
  `${objects.length} objects (${counts.keys} keys); one key changed: ${shards} shard; written by the operator: ${writes}\n`,
);
process.stdout.write(
  `heap: objects ${heap.before} MiB; with what compile and encode made and remember ${heap.compiled} MiB\n`,
);
process.stdout.write(
  `${"milliseconds of processor time, where nothing else is said".padEnd(60)}${["min", "median", "max"].map((word) => word.padStart(11)).join("")}\n`,
);
for (const [name, ms] of rows) {
  const { min, median, max } = spread(ms);
  process.stdout.write(
    `${name.padEnd(60)}${[min, median, max].map((value) => value.toFixed(1).padStart(11)).join("")}\n`,
  );
}

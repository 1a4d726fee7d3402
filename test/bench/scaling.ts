/**
 * CPU time of a call against the number of objects that apply to it: targets by strategy, limits, budgets, rules,
 * masking patterns, policies. Each row must be flat or grow mildly: `node test/bench/scaling.ts`, part of `make bench`.
 */
import { join } from "node:path";
import { removeFolder, temporaryFolder } from "../harness/child.ts";
import { freePort } from "../harness/free-port.ts";
import { type Reading, readingOf, repeatCalls, startAnswering, withProbe } from "./allocation.ts";
import { benchObject, clearKey, startProxy, writeConfig } from "./servers.ts";

const counts = [1, 8, 32] as const;
const warmUpCalls = 2_500;
const measuredCalls = 2_000;

type Objects = Parameters<typeof writeConfig>[1];

const numbered = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, at) => make(at));
const price = { inputPerMillion: "2.50", outputPerMillion: "10.00" };
const windows = ["1m", "2m", "5m", "10m", "30m", "1h", "2h", "6h"];

const provider = (name: string, port: number) =>
  benchObject("LLMProvider", name, {
    type: "OpenAI",
    endpoint: `http://127.0.0.1:${port}/v1`,
    allowPrivateEndpoint: true,
    credentials: { secretRef: { name: "up" } },
    models: [{ name: "gpt-4o", price }],
  });
const policy = (name: string, models: string[], spec: Record<string, unknown>) =>
  benchObject("RoutingPolicy", name, {
    match: { models },
    routing: { targets: [{ provider: { name: "up-0" } }] },
    ...spec,
  });

const targets =
  (strategy: string) =>
  (count: number, port: number): Objects => [
    ...numbered(count, (at) => provider(`up-${at}`, port)),
    policy("chat", ["gpt-4o"], {
      routing: { strategy, targets: numbered(count, (at) => ({ provider: { name: `up-${at}` } })) },
    }),
  ];

/** What applies to a call, by its number. */
const rows: Record<string, (count: number, port: number) => Objects> = {
  "targets, Priority": targets("Priority"),
  "targets, LeastLatency": targets("LeastLatency"),
  "targets, LeastCost": targets("LeastCost"),
  "targets, Weighted": targets("Weighted"),
  limits: (count, port) => [
    provider("up-0", port),
    policy("chat", ["gpt-4o"], {
      limits: numbered(Math.min(count, windows.length), (at) => ({
        per: "User",
        requests: 1_000_000_000,
        window: windows[at],
      })),
    }),
  ],
  budgets: (count, port) => [
    provider("up-0", port),
    policy("chat", ["gpt-4o"], {}),
    ...numbered(count, (at) => benchObject("Budget", `budget-${at}`, { amount: "8000000", period: "Monthly" })),
  ],
  "denied patterns": (count, port) => [
    provider("up-0", port),
    policy("chat", ["gpt-4o"], { guard: { deny: numbered(count, (at) => `never-${at}[0-9]+x`) } }),
  ],
  policies: (count, port) => [
    provider("up-0", port),
    policy("chat", ["gpt-4o"], {}),
    ...numbered(count - 1, (at) => policy(`other-${at}`, [`other-${at}`], {})),
  ],
};

async function cpuUs(objects: (port: number) => Objects): Promise<number> {
  const dir = await temporaryFolder("scaling");
  const answering = await startAnswering();
  const port = await freePort();
  const folder = join(dir, "config");
  const own = benchObject("ApiKey", "key", { user: "key", writeTo: { name: "key" } });
  await writeConfig(folder, [...objects(answering.port), own], { up: "sk-bench", key: clearKey });
  const child = await startProxy(dir, "", folder, port, await freePort(), withProbe);
  try {
    await repeatCalls(port, warmUpCalls);
    const reading = (index: number): Promise<Reading> => readingOf(child, join(dir, "sluice.log"), index);
    const before = await reading(0);
    await repeatCalls(port, measuredCalls);
    return ((await reading(1)).cpuUs - before.cpuUs) / measuredCalls;
  } finally {
    await child.end();
    answering.server.close();
    removeFolder(dir);
  }
}

process.stdout.write(
  `\nCPU time of a call, relative to one object\n${"".padEnd(24)}${counts.map((count) => String(count).padStart(8)).join("")}\n`,
);
for (const [name, objects] of Object.entries(rows)) {
  const measured: number[] = [];
  for (const count of counts) measured.push(await cpuUs((port) => objects(count, port)));
  const relative = measured.map((us) => (us / (measured[0] ?? us)).toFixed(2).padStart(8)).join("");
  process.stdout.write(`${name.padEnd(24)}${relative}   (${measured.map((us) => us.toFixed(0)).join(", ")} us)\n`);
}

/**
 * What holding limits and budgets costs: one proxy with authentication, three limits and two budgets on Redis, next to
 * the same without, in one run, interleaved. Prints the ratio of their throughputs and the round trips to Redis per
 * request. Part of `make bench`.
 *
 *   --rounds N    interleaved rounds (default 5)
 *   --seconds N   of load in each (default 3)
 */
import { writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { removeFolder, temporaryFolder } from "../harness/child.ts";
import { run } from "../harness/command.ts";
import { freePort } from "../harness/free-port.ts";
import { startRedis } from "../harness/redis.ts";
import { ensureDebian } from "../harness/tools.ts";
import { pinned } from "./machine.ts";
import { benchObject, clearKey, startProxy, startUpstream, writeConfig } from "./servers.ts";
import { parseWrk, spread } from "./statistics.ts";

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "5" }, seconds: { type: "string", default: "3" } },
});
const cores = cpus().length > 1 ? { tested: "0", load: "1" } : { tested: "", load: "" };
const nginx = await ensureDebian("nginx", "nginx");
const wrk = await ensureDebian("wrk", "wrk");
const dir = await temporaryFolder("bench-fleet");
const redis = await startRedis();
const ports = {
  upstream: await freePort(),
  with: await freePort(),
  without: await freePort(),
  status: [await freePort(), await freePort()] as const,
};

const body = JSON.stringify({
  model: "gpt-4o",
  max_tokens: 200,
  messages: [{ role: "user", content: "lorem ipsum dolor sit amet ".repeat(30) }],
});
const headers = `wrk.headers["Content-Type"] = "application/json"\nwrk.headers["Authorization"] = "Bearer ${clearKey}"`;
await writeFile(join(dir, "post.lua"), `wrk.method = "POST"\n${headers}\nwrk.body = [==[${body}]==]\n`);

const policy = { match: { models: ["gpt-4o"] }, routing: { targets: [{ provider: { name: "up" } }] } };
const objects = (limited: boolean) => [
  benchObject("LLMProvider", "up", {
    type: "OpenAI",
    endpoint: `http://127.0.0.1:${ports.upstream}/v1`,
    allowPrivateEndpoint: true,
    credentials: { secretRef: { name: "up" } },
    models: [
      { name: "gpt-4o", upstream: "gpt-4o-2024-08-06", price: { inputPerMillion: "2.5", outputPerMillion: "10" } },
    ],
  }),
  benchObject("RoutingPolicy", "chat", {
    ...policy,
    ...(limited
      ? {
          limits: [
            { per: "ApiKey", requests: 100_000_000, window: "1m" },
            { per: "Team", tokens: 100_000_000_000, window: "1h" },
            { per: "User", concurrency: 10_000 },
          ],
        }
      : {}),
  }),
  benchObject("ApiKey", "key-0", { user: "alice", team: "red", writeTo: { name: "key-0" } }),
  ...(limited
    ? [
        benchObject("Budget", "month", { amount: "8000000", period: "Monthly" }),
        benchObject("Budget", "each", { amount: "8000000", period: "Daily", per: "User" }),
      ]
    : []),
];

async function perSecond(port: number, seconds: number): Promise<number> {
  const args = [
    "-t1",
    "-c64",
    `-d${seconds}s`,
    "--latency",
    "-s",
    join(dir, "post.lua"),
    `http://127.0.0.1:${port}/v1/chat/completions`,
  ];
  const done = await run(...pinned(cores.load, wrk, args), {});
  if (done.code !== 0) throw new Error(`wrk failed: ${done.stderr}`);
  const result = parseWrk(done.stdout);
  if (result.failures > 0) throw new Error(`${result.failures} failed requests\n${done.stdout}`);
  return result.requestsPerSecond;
}

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${ports.status[0]}/metrics`)).text();
  return text
    .split("\n")
    .filter((line) => line.startsWith(name) && !line.startsWith("#"))
    .reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

const secrets = { up: "sk-bench", "key-0": clearKey };
await writeConfig(join(dir, "with"), objects(true), secrets);
await writeConfig(join(dir, "without"), objects(false), secrets);
const children = [
  await startUpstream(nginx, dir, cores.load, ports.upstream),
  await startProxy(dir, cores.tested, join(dir, "with"), ports.with, ports.status[0], [], ["--state-url", redis.url]),
  await startProxy(
    dir,
    cores.tested,
    join(dir, "without"),
    ports.without,
    ports.status[1],
    [],
    ["--state-url", redis.url],
  ),
];
try {
  for (const port of [ports.with, ports.without]) await perSecond(port, 3);
  const before = {
    trips: await metric("sluice_state_round_trips_total"),
    calls: await metric("ai_gateway_requests_total"),
  };
  const ratios: number[] = [];
  const rates: [number, number][] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    const held = await perSecond(ports.with, Number(values.seconds));
    const free = await perSecond(ports.without, Number(values.seconds));
    rates.push([Math.round(held), Math.round(free)]);
    ratios.push(held / free);
  }
  const trips =
    ((await metric("sluice_state_round_trips_total")) - before.trips) /
    ((await metric("ai_gateway_requests_total")) - before.calls);
  const { min, median, max } = spread(ratios);
  process.stdout.write(
    `requests a second with and without: ${rates.map(([held, free]) => `${held}/${free}`).join(" ")}\n`,
  );
  process.stdout.write(
    `3 limits and 2 budgets on Redis / without, throughput at 64 connections: min ${min.toFixed(2)}, median ${median.toFixed(2)}, max ${max.toFixed(2)}\n`,
  );
  process.stdout.write(`round trips to Redis per request: ${trips.toFixed(4)}\n`);
} finally {
  await Promise.all(children.map((child) => child.end()));
  await redis.stop();
  removeFolder(dir);
}

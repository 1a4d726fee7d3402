/**
 * CPU time of a call against the number of objects that apply to it: targets by strategy, limits, budgets, rules,
 * masking patterns, policies. Each row must be flat or grow mildly: `node test/bench/scaling.ts`, part of `make bench`.
 */
import { type BenchObjects, cpuUsOfCall, policy, provider } from "./call-cost.ts";
import { benchObject } from "./servers.ts";

const counts = [1, 8, 32] as const;
const numbered = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, at) => make(at));
const windows = ["1m", "2m", "5m", "10m", "30m", "1h", "2h", "6h"];

const targets =
  (strategy: string) =>
  (count: number, port: number): BenchObjects => [
    ...numbered(count, (at) => provider(`up-${at}`, port)),
    policy("chat", ["gpt-4o"], {
      routing: { strategy, targets: numbered(count, (at) => ({ provider: { name: `up-${at}` } })) },
    }),
  ];

/** What applies to a call, by its number. */
const rows: Record<string, (count: number, port: number) => BenchObjects> = {
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
  "routing rules": (count, port) => [
    provider("up-0", port),
    policy("chat", ["gpt-4o"], {
      routing: {
        targets: [{ name: "main", provider: { name: "up-0" } }],
        rules: numbered(count, (at) => ({
          when: { headers: [{ name: "x-kind", value: `kind-${at}` }] },
          use: ["main"],
        })),
      },
    }),
  ],
  "masking patterns": (count, port) => [
    provider("up-0", port),
    policy("chat", ["gpt-4o"], {
      guard: {
        mask: {
          mode: "Placeholder",
          custom: numbered(count, (at) => ({ name: `Secret${at}`, pattern: `never-${at}-[0-9]+x` })),
        },
      },
    }),
  ],
  policies: (count, port) => [
    provider("up-0", port),
    policy("chat", ["gpt-4o"], {}),
    ...numbered(count - 1, (at) => policy(`other-${at}`, [`other-${at}`], {})),
  ],
};

process.stdout.write(
  `\nCPU time of a call, relative to one object\n${"".padEnd(24)}${counts.map((count) => String(count).padStart(8)).join("")}\n`,
);
for (const [name, objects] of Object.entries(rows)) {
  const measured: number[] = [];
  for (const count of counts) measured.push(await cpuUsOfCall((port) => objects(count, port)));
  const relative = measured.map((us) => (us / (measured[0] ?? us)).toFixed(2).padStart(8)).join("");
  process.stdout.write(`${name.padEnd(24)}${relative}   (${measured.map((us) => us.toFixed(0)).join(", ")} us)\n`);
}

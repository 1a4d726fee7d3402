/**
 * CPU time of a call with each security check on, relative to a policy that has none of them: `node
 * test/bench/checks.ts`, part of `make bench`. A key, and what every call passes (ambiguous requests, look-alike members,
 * other models, sealed ids), are in all rows. Last, what judging answers by their content costs, which nothing turns off.
 */
import { type BenchObjects, cpuUsOfCall, policy, provider } from "./call-cost.ts";
import { judgingUs } from "./judging.ts";

const checks: Record<string, Record<string, unknown>> = {
  none: {},
  networks: { access: { networks: ["10.0.0.0/8", "127.0.0.0/8", "::1/128"] } },
  hours: { access: { hours: { from: "00:00", to: "24:00", timeZone: "Europe/Berlin" } } },
  "denied patterns": { guard: { deny: ["(?i)ignore (all )?previous instructions", "(?i)system prompt"] } },
  "largest prompt": { guard: { maxPromptBytes: 100_000 } },
  "masked requests": { guard: { mask: { detect: ["Email", "Phone", "SSN", "CreditCard"] } } },
  "masked requests and answers": {
    guard: { mask: { detect: ["Email", "Phone", "SSN", "CreditCard"], mode: "Placeholder", answers: true } },
  },
  "rate limits": { limits: [{ per: "ApiKey", requests: 1_000_000_000, window: "1m" }] },
};

const objects =
  (spec: Record<string, unknown>) =>
  (port: number): BenchObjects => [provider("up-0", port), policy("chat", ["gpt-4o"], spec)];

process.stdout.write("\nCPU time of a call with a check, relative to none\n");
const none = await cpuUsOfCall(objects({}));
for (const [name, spec] of Object.entries(checks)) {
  const us = await cpuUsOfCall(objects(spec));
  process.stdout.write(`${name.padEnd(32)}${(us / none).toFixed(2).padStart(8)}   (${us.toFixed(0)} us)\n`);
}

const judging = judgingUs();
process.stdout.write("\nCPU time of a call if its answer were not judged by its content, relative to the same call\n");
for (const [name, us, whole] of [
  ["an answer of 1 KB", judging.whole, none],
  ["a stream of 50 chunks", judging.stream, await cpuUsOfCall(objects({}), true)],
] as const)
  process.stdout.write(
    `${name.padEnd(32)}${((whole - us) / whole).toFixed(3).padStart(8)}   (${us.toFixed(1)} of ${whole.toFixed(0)} us)\n`,
  );

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, describe, it } from "node:test";
import { operatorMetrics } from "../../../operator/metrics.ts";
import { metricCatalogue } from "../../../proxy/metrics/catalogue.ts";
import { type BusyRun, startBusyRun } from "../../harness/busy-run.ts";
import { removeFolder, temporaryFolder } from "../../harness/child.ts";
import { ensureDebian, skipReason } from "../../harness/tools.ts";

const promtool = () => ensureDebian("prometheus", "promtool");
const skip = await skipReason(promtool);

/** What `promtool check metrics` complains of. */
async function complaints(text: string): Promise<string> {
  const child = spawn(await promtool(), ["check", "metrics"], { stdio: ["pipe", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (part) => (said += String(part)));
  child.stdin.end(text);
  const code = await new Promise((resolve) => child.on("close", resolve));
  return code === 0 ? said : said || `exit code ${code}`;
}

/** The guide's metrics, with the labels by which it groups. */
const guide: readonly (readonly [string, readonly string[]])[] = [
  ["ai_gateway_requests_total", ["provider", "model", "status"]],
  ["ai_gateway_errors_total", ["provider", "model"]],
  ["ai_gateway_cost_total", ["provider", "model", "user"]],
  ["ai_gateway_tokens_total", ["provider", "model", "type"]],
  ["ai_request_duration_bucket", ["provider", "model", "status", "le"]],
  ["ai_token_count_bucket", ["provider", "model", "type", "le"]],
  ["ai_cost_per_request_bucket", ["provider", "model", "le"]],
  ["ai_gateway_provider_failover_total", ["from", "to"]],
  ["ai_gateway_circuit_breaker_state", ["provider"]],
  ["ai_gateway_pii_detected_total", ["type"]],
  ["ai_gateway_data_masked_total", ["type"]],
  ["ai_gateway_unauthorized_attempts", ["user", "reason"]],
];

describe("what a proxy exposes", { skip }, () => {
  let run: BusyRun;
  let text = "";
  let folder = "";
  before(async () => {
    folder = await temporaryFolder("audit");
    run = await startBusyRun(["--audit-dir", folder]);
    for (let round = 0; round < 3; round++) await run.round();
    text = await run.gateway.metrics();
  });
  after(async () => {
    await run.close();
    removeFolder(folder);
  });

  it("is clean to promtool check metrics", async () => assert.equal(await complaints(text), ""));

  it("is in the catalogue, from which the documentation is made", () => {
    const names = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].filter(
      ([, name = ""]) => !/^(nodejs|process)_/.test(name),
    );
    assert.ok(names.length > 40, String(names.length));
    const known: Readonly<Record<string, { type: string }>> = metricCatalogue;
    for (const [, name = "", type] of names) assert.equal(known[name]?.type, type, name);
  });

  it("has no label but those of the catalogue and those that were asked for", () => {
    const labelsOf: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
      Object.entries(metricCatalogue).map(([name, { labels }]) => [name, labels]),
    );
    for (const [, series = "", labels = ""] of text.matchAll(/^((?:ai|sluice)_\w+)\{(.*)\} \S+$/gm)) {
      const name = labelsOf[series] === undefined ? series.replace(/_(bucket|sum|count)$/, "") : series;
      for (const [, label = ""] of labels.matchAll(/(\w+)="(?:[^"\\]|\\.)*"/g))
        assert.ok(["le", "user", "team", ...(labelsOf[name] ?? [])].includes(label), `${series}{${label}}`);
    }
  });

  for (const [name, labels] of guide)
    it(`has ${name} with ${labels.join(", ")}, and a value`, () => {
      const lines = text.split("\n").filter((line) => line.startsWith(`${name}{`));
      assert.ok(lines.some((line) => labels.every((label) => line.includes(`${label}="`)) && !line.endsWith(" 0")));
    });

  it("tells what budgets have, spent and will get", () => {
    const value = (name: string, budget: string): number =>
      Number(new RegExp(`^${name}\\{namespace="default",budget="${budget}"\\} (\\S+)$`, "m").exec(text)?.[1]);
    assert.equal(value("sluice_budget_limit", "team"), 100);
    const spent = value("sluice_budget_spent", "team");
    assert.ok(spent > 0);
    assert.ok(Math.abs(value("sluice_budget_remaining_ratio", "team") - (1 - spent / 100)) < 1e-9);
    const [start, end] = [
      value("sluice_budget_period_start_timestamp_seconds", "team"),
      value("sluice_budget_reset_timestamp_seconds", "team"),
    ];
    assert.ok(start < Date.now() / 1000 && Date.now() / 1000 < end);
  });

  for (const [name, labels] of [
    ["ai_gateway_provider_quota_remaining_ratio", 'provider="default/main",model="",of="requests"'],
    ["ai_gateway_limit_remaining_ratio", 'route="default/faulty",of="requests",window="3600"'],
  ] as const)
    it(`has ${name} of what calls have used a part of`, () => {
      const value = Number(new RegExp(`^${name}\\{${labels}\\} (\\S+)$`, "m").exec(text)?.[1]);
      assert.ok(value < 1 && value > 0.9, String(value));
    });

  it("splits the time of a call into the gateway's and the provider's", () => {
    const sum = (part: string) =>
      [...text.matchAll(new RegExp(`^ai_gateway_time_seconds_count\\{.*part="${part}"\\} (\\d+)$`, "gm"))].reduce(
        (all, [, count]) => all + Number(count),
        0,
      );
    assert.ok(sum("gateway") > 0);
    assert.equal(sum("gateway"), sum("provider"));
  });
});

it("what the operator exposes is clean to promtool check metrics", { skip }, async () => {
  const metrics = operatorMetrics();
  metrics.leading(true);
  metrics.failed();
  assert.equal(await complaints(await metrics.registry.metrics()), "");
});

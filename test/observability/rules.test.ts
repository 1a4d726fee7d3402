import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { stringify } from "yaml";
import { alertGroups } from "../../charts/observability/rules.ts";
import { operatorMetricSpecs } from "../../operator/metrics.ts";
import { metricCatalogue } from "../../proxy/metrics/catalogue.ts";
import { removeFolder, temporaryFolder } from "../harness/child.ts";
import { run } from "../harness/command.ts";
import { ensureDebian, skipReason } from "../harness/tools.ts";

const root = join(import.meta.dirname, "..", "..");
const promtool = () => ensureDebian("prometheus", "promtool");
const skip = await skipReason(promtool);
const rules = Object.values(alertGroups).flat();

/** Values at each minute, in promtool's notation. */
type Series = Readonly<Record<string, string>>;

interface Case {
  fires: Series;
  /** When it must have fired, in minutes. */
  minutes: number;
  labels?: Readonly<Record<string, string>>;
  /** What the alert says. */
  summary: string;
  /** It must not fire then. */
  quiet: readonly Series[];
}

const day = 86_400;
const budget = (left: string, reset: number): Series => ({
  'sluice_budget_remaining_ratio{namespace="shop",budget="team"}': left,
  'sluice_budget_reset_timestamp_seconds{namespace="shop",budget="team"}': `${reset}x600`,
});
const requests = (status: string, perMinute: number): Series => ({
  [`ai_gateway_requests_total{route="shop/chat",status="${status}"}`]: `0+${perMinute}x60`,
});
const errors = (blame: string, perMinute: number): Series => ({
  [`ai_gateway_errors_total{route="shop/chat",blame="${blame}"}`]: `0+${perMinute}x60`,
});
/** A histogram in which everything is at most `le`. */
const within = (name: string, labels: string, bounds: readonly string[], le: string): Series =>
  Object.fromEntries(
    bounds.map((bound, index) => [
      `${name}_bucket{${labels},le="${bound}"}`,
      index >= bounds.indexOf(le) ? "0+60x60" : "0x60",
    ]),
  );
const seconds = ["0.1", "1", "60", "120", "+Inf"];
const chat = { route: "shop/chat" };
const up = { provider: "shop/openai", model: "gpt-4o" };
const upLabels = 'provider="shop/openai",model="gpt-4o"';

const cases: Readonly<Record<string, Case>> = {
  SluiceErrorRateHigh: {
    fires: { ...requests("200", 90), ...requests("502", 10), ...errors("provider", 10) },
    minutes: 20,
    labels: chat,
    summary: "10% of the calls of shop/chat fail at providers or in the gateway.",
    quiet: [
      { ...requests("200", 98), ...requests("502", 2), ...errors("provider", 2) },
      { ...requests("200", 50), ...requests("400", 50), ...errors("caller", 50) },
    ],
  },
  SluiceLatencyHigh: {
    fires: within("ai_request_duration", 'route="shop/chat"', seconds, "120"),
    minutes: 40,
    labels: chat,
    summary: "5 % of the calls of shop/chat take more than 1m 57s.",
    quiet: [within("ai_request_duration", 'route="shop/chat"', seconds, "60")],
  },
  SluiceFirstTokenSlow: {
    fires: within("ai_time_to_first_token", upLabels, seconds, "60"),
    minutes: 40,
    labels: up,
    summary: "shop/openai takes more than 57.05s to begin 5 % of its answers with gpt-4o.",
    quiet: [within("ai_time_to_first_token", upLabels, seconds, "1")],
  },
  SluiceGatewaySlow: {
    fires: within("ai_gateway_time_seconds", 'part="gateway"', seconds, "1"),
    minutes: 30,
    summary: "The gateway adds more than 955ms to 5 % of the calls.",
    quiet: [
      within("ai_gateway_time_seconds", 'part="gateway"', seconds, "0.1"),
      within("ai_gateway_time_seconds", 'part="provider"', seconds, "120"),
    ],
  },
  SluiceRateLimitedShareHigh: {
    fires: { ...requests("200", 50), ...requests("429", 50) },
    minutes: 40,
    labels: chat,
    summary: "50% of the calls of shop/chat are answered with 429.",
    quiet: [{ ...requests("200", 90), ...requests("429", 10) }],
  },
  SluiceUnauthorizedAttemptsHigh: {
    fires: { 'ai_gateway_unauthorized_attempts_total{reason="invalid_api_key"}': "0+20x60" },
    minutes: 20,
    labels: { reason: "invalid_api_key" },
    summary: "300 calls were refused in 15 minutes with invalid_api_key.",
    quiet: [{ 'ai_gateway_unauthorized_attempts_total{reason="invalid_api_key"}': "0+2x60" }],
  },
  SluiceBreakerOpen: {
    fires: { [`ai_gateway_circuit_breaker_state{${upLabels},instance="a"}`]: "0 2x20" },
    minutes: 10,
    labels: up,
    summary: "The circuit breaker of gpt-4o at shop/openai has been open for 5 minutes.",
    quiet: [
      { [`ai_gateway_circuit_breaker_state{${upLabels}}`]: "1x20" },
      { [`ai_gateway_circuit_breaker_state{${upLabels}}`]: "0 2x2 0x20" },
    ],
  },
  SluiceFailover: {
    fires: { 'ai_gateway_provider_failover_total{from="a/x",to="b/y"}': "0+10x60" },
    minutes: 20,
    labels: { from: "a/x", to: "b/y" },
    summary: "100 calls went on from a/x to b/y in 10 minutes.",
    quiet: [{ 'ai_gateway_provider_failover_total{from="a/x",to="b/y"}': "0+1x60" }],
  },
  SluiceModelSunset: {
    fires: { [`ai_gateway_model_sunset_timestamp_seconds{${upLabels}}`]: `${10 * day}x120` },
    minutes: 90,
    labels: up,
    summary: "shop/openai withdraws gpt-4o in 9d 22h 30m 0s.",
    quiet: [{ [`ai_gateway_model_sunset_timestamp_seconds{${upLabels}}`]: `${60 * day}x120` }],
  },
  SluiceBudgetBurnRateHigh: {
    // A tenth an hour, and 20 hours to go.
    fires: budget("0.9-0.001666x200", 20 * 3600),
    minutes: 90,
    labels: { namespace: "shop", budget: "team" },
    summary: "At the pace of the last hour, Budget shop/team will be empty before its period ends.",
    quiet: [budget("0.9-0.00001x200", 20 * 3600), budget("0.9-0.001666x200", 5 * 3600), budget("0x200", 20 * 3600)],
  },
  SluiceBudgetUsedUp: {
    fires: budget("0.5x10 0x50", day),
    minutes: 20,
    labels: { namespace: "shop", budget: "team" },
    summary: "Budget shop/team is used up.",
    quiet: [budget("0.05x60", day)],
  },
  SluiceUnpricedCalls: {
    fires: { [`ai_gateway_unpriced_requests_total{${upLabels}}`]: "0 1x60" },
    minutes: 5,
    labels: up,
    summary: "Calls of gpt-4o at shop/openai have no price, so no budget counts them.",
    quiet: [{ [`ai_gateway_unpriced_requests_total{${upLabels}}`]: "7x60" }],
  },
  SluiceNoProxy: {
    fires: { sluice_operator_leader: "1x60" },
    minutes: 10,
    summary: "No proxy with a config is being scraped.",
    quiet: [{ 'ai_gateway_config_info{revision="a"}': "1x60" }],
  },
  SluiceConfigNotArriving: {
    fires: {
      'sluice_operator_proxies{state="ready"}': "3x60",
      'sluice_operator_proxies{state="current"}': "3x5 1x55",
    },
    minutes: 30,
    summary: "2 proxies have not had the newest config for 10 minutes.",
    quiet: [{ 'sluice_operator_proxies{state="ready"}': "3x60", 'sluice_operator_proxies{state="current"}': "3x60" }],
  },
  SluiceConfigRejected: {
    fires: { 'ai_gateway_config_rejected_total{instance="a:9090"}': "0+1x60" },
    minutes: 20,
    labels: { instance: "a:9090" },
    summary: "The proxy a:9090 rejects a config and continues with an older one.",
    quiet: [{ 'ai_gateway_config_rejected_total{instance="a:9090"}': "0x5 1x60" }],
  },
  SluiceStateStoreLost: {
    fires: { 'sluice_state_reachable{instance="a"}': "1x5 0x60", 'sluice_state_reachable{instance="b"}': "1x60" },
    minutes: 10,
    summary: "A proxy can't reach the store of limits and budgets.",
    quiet: [{ 'sluice_state_reachable{instance="a"}': "1x8 0 1x60" }],
  },
  SluiceStateEvicting: {
    fires: { 'sluice_state_evicting{instance="a"}': "1x60", 'sluice_state_evicting{instance="b"}': "0x60" },
    minutes: 10,
    summary: "The store of limits and budgets drops counters when its memory is full.",
    quiet: [{ 'sluice_state_evicting{instance="a"}': "0x60" }],
  },
  SluiceOperatorForbidden: {
    fires: {
      'sluice_operator_missing_rights{instance="a",verb="patch",resource="configmaps",namespace="sluice-system"}':
        "1x60",
      'sluice_operator_missing_rights{instance="b",verb="patch",resource="configmaps",namespace="sluice-system"}':
        "1x60",
      'sluice_operator_missing_rights{instance="a",verb="get",resource="secrets",namespace=""}': "1x60",
    },
    minutes: 10,
    summary: "The operator lacks 2 rights that it needs.",
    quiet: [{ 'sluice_operator_leader{instance="a"}': "1x60" }],
  },
  SluiceCertificateExpiring: {
    fires: { sluice_tls_certificate_not_after_seconds: `${3 * day}x120` },
    minutes: 90,
    summary: "The certificate of the traffic port expires in 2d 22h 30m 0s.",
    quiet: [
      {
        sluice_tls_certificate_not_after_seconds: `${60 * day}x120`,
        'sluice_client_certificate_not_after_seconds{provider="shop/openai"}': `${60 * day}x120`,
      },
    ],
  },
  SluiceAuditRecordsLost: {
    fires: { 'sluice_audit_dropped_total{sink="otlp"}': "0+1x60" },
    minutes: 20,
    labels: { sink: "otlp" },
    summary: "15 audit records are lost to otlp.",
    quiet: [{ 'sluice_audit_dropped_total{sink="otlp"}': "4x60" }],
  },
  SluiceOperatorWithoutLeader: {
    fires: { 'sluice_operator_leader{pod="a"}': "0x60", 'sluice_operator_leader{pod="b"}': "0x60" },
    minutes: 10,
    summary: "0 operators lead; changes to objects are not published.",
    quiet: [{ 'sluice_operator_leader{pod="a"}': "1x60", 'sluice_operator_leader{pod="b"}': "0x60" }],
  },
  SluiceOperatorPassesFail: {
    fires: { 'sluice_operator_reconciles_total{result="error"}': "0+2x60" },
    minutes: 30,
    summary: "20 passes of the operator failed in 10 minutes.",
    quiet: [
      {
        'sluice_operator_reconciles_total{result="ok"}': "0+9x60",
        'sluice_operator_reconciles_total{result="error"}': "3x60",
      },
    ],
  },
  SluiceObjectNotLive: {
    fires: {
      'sluice_object_condition{kind="LLMProvider",namespace="shop",name="openai",type="Programmed",status="False"}':
        "1x60",
    },
    minutes: 20,
    labels: { kind: "LLMProvider", namespace: "shop", name: "openai" },
    summary: "LLMProvider shop/openai has not been live for 15 minutes.",
    quiet: [
      {
        'sluice_object_condition{kind="LLMProvider",namespace="shop",name="openai",type="Programmed",status="True"}':
          "1x60",
        'sluice_object_condition{kind="Budget",namespace="shop",name="team",type="Exceeded",status="False"}': "1x60",
      },
    ],
  },
  SluiceEventLoopBlocked: {
    fires: {
      'nodejs_eventloop_lag_p99_seconds{instance="a"}': "0.8x60",
      'ai_gateway_config_info{instance="a",revision="r"}': "1x60",
    },
    minutes: 20,
    labels: { instance: "a" },
    summary: "The event loop of a is blocked for 800ms.",
    quiet: [
      // Another application.
      { 'nodejs_eventloop_lag_p99_seconds{instance="b"}': "0.8x60", 'ai_gateway_config_info{instance="a"}': "1x60" },
      { 'nodejs_eventloop_lag_p99_seconds{instance="a"}': "0.01x60", 'ai_gateway_config_info{instance="a"}': "1x60" },
    ],
  },
};

const inputOf = (series: Series) => Object.entries(series).map(([name, values]) => ({ series: name, values }));

function testsOf(name: string, { fires, minutes, labels = {}, summary, quiet }: Case): object[] {
  const severity = rules.find((rule) => rule.name === name)?.severity ?? "";
  const expected = {
    exp_labels: { severity, ...labels },
    exp_annotations: { summary, runbook: `docs/runbooks/${name}.md` },
  };
  const at = (exp_alerts: object[]) => [{ eval_time: `${minutes}m`, alertname: name, exp_alerts }];
  return [
    { interval: "1m", input_series: inputOf(fires), alert_rule_test: at([expected]) },
    ...quiet.map((series) => ({ interval: "1m", input_series: inputOf(series), alert_rule_test: at([]) })),
  ];
}

describe("alert rules", { skip }, () => {
  let folder = "";
  before(async () => {
    folder = await temporaryFolder("rules");
  });
  after(() => removeFolder(folder));

  it("each have a case in which they fire and one in which they don't", () => {
    assert.deepEqual(Object.keys(cases).sort(), rules.map(({ name }) => name).sort());
    for (const [name, { quiet }] of Object.entries(cases)) assert.ok(quiet.length > 0, name);
  });

  it("fire, with a message that says what is wrong, and are quiet otherwise (promtool test rules)", async () => {
    const file = join(folder, "tests.yaml");
    const tests = Object.entries(cases).flatMap(([name, test]) => testsOf(name, test));
    const rule_files = [join(root, "charts", "sluice", "files", "rules.yaml")];
    await writeFile(file, stringify({ rule_files, evaluation_interval: "1m", tests }));
    const { code, stdout, stderr } = await run(await promtool(), ["test", "rules", file]);
    assert.equal(code, 0, `${stdout}${stderr}`);
  });

  it("ask for metrics that exist", () => {
    const known = new Set([...Object.keys(metricCatalogue), ...operatorMetricSpecs().map(({ name }) => name)]);
    for (const { name, expr } of rules)
      for (const [metric] of expr.matchAll(/\b(?:ai|sluice)_\w+/g))
        assert.ok(known.has(metric) || known.has(metric.replace(/_(bucket|sum|count)$/, "")), `${name}: ${metric}`);
  });

  for (const { name } of rules)
    it(`${name} has a runbook that says how to find the reason and what to do`, () => {
      const page = join(root, "docs", "runbooks", `${name}.md`);
      assert.ok(existsSync(page), `${page} is missing`);
      const text = readFileSync(page, "utf8");
      assert.match(
        text,
        new RegExp(`^# ${name}\n\n[A-Z0-9].{40,}\n[\\s\\S]*\n## Diagnose\n\n- [\\s\\S]*\n## Fix\n\n- `),
      );
    });

  it("are all that have a runbook", () => {
    const pages = readdirSync(join(root, "docs", "runbooks")).filter((name) => name !== "README.md");
    assert.deepEqual(pages.sort(), rules.map(({ name }) => `${name}.md`).sort());
  });
});

/** Every panel of every dashboard has data after a run in which everything happens, in a real Prometheus. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { dashboards } from "../../charts/observability/index.ts";
import { type BusyUpstreams, busyManifests, busyRound, startBusyUpstreams } from "../harness/busy-run.ts";
import { removeFolder, temporaryFolder } from "../harness/child.ts";
import { type Cluster, chart, skipWithoutCluster, startCluster } from "../harness/cluster.ts";
import { policy, text } from "../harness/gateway.ts";
import { ensurePrometheus, type Prometheus, startPrometheus } from "../harness/prometheus.ts";
import { skipReason } from "../harness/tools.ts";
import { until } from "../harness/until.ts";

const skip = (await skipWithoutCluster()) || (await skipReason(ensurePrometheus));

interface GrafanaPanel {
  title: string;
  type: string;
  targets?: { expr: string }[];
}

/** As Grafana fills it in, for a dashboard of minutes. */
const filledIn = (expr: string): string => expr.replaceAll("$__rate_interval", "5m");

const panels = Object.keys(dashboards).flatMap((name) => {
  const file = join(chart, "files", "dashboards", `${name}.json`);
  const { panels: all, title } = JSON.parse(readFileSync(file, "utf8")) as { title: string; panels: GrafanaPanel[] };
  return all
    .filter(({ type }) => type !== "row")
    .flatMap((panel) => (panel.targets ?? []).map(({ expr }) => ({ name: `${title}: ${panel.title}`, expr })));
});

/** Queries as the operations guide writes them. */
const guide = [
  "sum(rate(ai_gateway_requests_total[5m])) by (provider, model)",
  "sum(rate(ai_gateway_errors_total[5m])) / sum(rate(ai_gateway_requests_total[5m]))",
  "sum(increase(ai_gateway_cost_total[24h])) by (provider, model, user)",
  "topk(10, sum(increase(ai_gateway_cost_total[24h])) by (user))",
  "sum(rate(ai_gateway_tokens_total[5m])) by (provider, model, type)",
  "histogram_quantile(0.95, sum(rate(ai_request_duration_bucket[5m])) by (le, provider, model, status))",
  "histogram_quantile(0.95, sum(rate(ai_token_count_bucket[5m])) by (le, provider, model, type))",
  "histogram_quantile(0.95, sum(rate(ai_cost_per_request_bucket[5m])) by (le, provider, model))",
  "sum(increase(ai_gateway_provider_failover_total[1h]))",
  "ai_gateway_circuit_breaker_state == 2",
  "sum(increase(ai_gateway_pii_detected_total[24h])) by (type)",
  "sum(increase(ai_gateway_data_masked_total[24h])) by (type)",
  "sum(increase(ai_gateway_unauthorized_attempts[24h])) by (user, reason)",
];
const queries = [...panels, ...guide.map((expr) => ({ name: "guide", expr }))];

describe("dashboards", { skip }, () => {
  let cluster: Cluster;
  let upstreams: BusyUpstreams;
  let prometheus: Prometheus;
  let audit = "";
  before(async () => {
    audit = await temporaryFolder("audit");
    upstreams = await startBusyUpstreams();
    cluster = await startCluster({
      proxies: 1,
      set: ["operator.resyncMs=1000"],
      proxyArgs: ["--metrics-labels=user,team", `--audit-dir=${audit}`],
    });
    const operator = await cluster.startOperator();
    const proxy = cluster.proxies[0];
    assert.ok(proxy);
    prometheus = await startPrometheus([proxy.statusUrl, operator.statusUrl]);
    // Counters are seen at 0 first: what they rise by is what panels show.
    await until("the operator leads and is scraped", async () =>
      assert.ok((await prometheus.query("sluice_operator_leader == 1")).length > 0),
    );
    const astray = policy("astray", {
      match: { models: ["astray"] },
      routing: { targets: [{ provider: { name: "not-there" } }] },
    });
    await cluster.apply(text([...busyManifests(upstreams.working.url, upstreams.failing.url), astray]));
    await until("the keys are live", async () => {
      const { keys } = (await (await fetch(`${proxy.statusUrl}/status`)).json()) as { keys: number };
      assert.equal(keys, 3);
    });
  });
  after(async () => {
    await prometheus?.stop();
    await cluster?.stop();
    await upstreams?.close();
    removeFolder(audit);
  });

  it("have data in every panel, and the guide's queries have some too", async () => {
    const url = cluster.proxies[0]?.url ?? "";
    assert.ok(panels.length > 50);
    await until("every panel has data", async () => {
      await busyRound(url);
      const missing: string[] = [];
      for (const { name, expr } of queries) {
        const result = await prometheus.query(filledIn(expr));
        if (!result.some(({ value }) => Number.isFinite(Number(value[1])))) missing.push(`${name}: ${expr}`);
      }
      assert.deepEqual(missing, []);
    });
  });
});

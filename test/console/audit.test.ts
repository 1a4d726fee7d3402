/** The state of the audit log: from a sink that fails, over the proxy's status and metrics, to the console's pages. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type AuditRow, auditRows, type ComplianceView } from "../../operator/console/views/compliance.ts";
import type { Overview } from "../../operator/console/views/overview.ts";
import { removeFolder, temporaryFolder } from "../harness/child.ts";
import { key, policy, provider, secret, startGateway } from "../harness/gateway.ts";
import { until } from "../harness/until.ts";
import { json, openai, startUpstream } from "../harness/upstream.ts";

const clear = "slc_audit_state_0123456789abcdef";
const manifests = (url: string) => [
  provider("up", url),
  secret("up-credentials", { apiKey: "sk-up" }),
  policy("chat", { match: { models: ["gpt-4o"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
  ...key("ann", clear, {}),
];

async function call(url: string): Promise<void> {
  const answer = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
    body: JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: "hello" }] }),
  });
  await answer.text();
}

describe("the audit log's state", () => {
  it("is shown for each place: what waits, for how long, and what fails", async (context) => {
    const upstream = await startUpstream(openai);
    const collector = await startUpstream((_request, response) => json(response, 503, {}));
    const folder = await temporaryFolder("audit");
    const gateway = await startGateway(manifests(upstream.url), [
      `--audit-dir=${folder}`,
      `--audit-otlp-url=${collector.url}/v1/logs`,
    ]);
    context.after(async () => {
      await gateway.close();
      await Promise.all([upstream.close(), collector.close()]);
      removeFolder(folder);
    });
    const read = async <T>(page: string): Promise<T> =>
      (await (await fetch(`${gateway.statusUrl}/console/api/${page}`)).json()) as T;
    await call(gateway.url);
    const rows = await until("the file has its records and the collector fails", async () => {
      const { audit, withoutAudit } = await read<ComplianceView>("compliance");
      assert.deepEqual(withoutAudit, []);
      const [file, otlp] = audit;
      assert.deepEqual([file?.name, file?.state, file?.durable, file?.waiting], ["file", "writing", true, 0]);
      assert.deepEqual([otlp?.name, otlp?.state, otlp?.durable], ["otlp", "failing", false]);
      assert.ok(otlp && otlp.waiting >= 2 && otlp.failures > 0 && otlp.lagMs > 0);
      return audit;
    });
    assert.equal(rows.length, 2);
    const { problems } = await read<Overview>("overview");
    assert.ok(
      problems.some(({ page, message }) => page === "compliance" && /can't write audit records to otlp/.test(message)),
    );
    const metrics = await gateway.metrics();
    assert.match(metrics, /^sluice_audit_waiting_records\{sink="file"\} 0$/m);
    assert.match(metrics, /^sluice_audit_waiting_records\{sink="otlp"\} [1-9]/m);
    assert.match(metrics, /^sluice_audit_lag_seconds\{sink="otlp"\} (?!0$)/m);
    collector.answer((_request, response) => json(response, 200, {}));
    await until("the collector has caught up", async () => {
      const { audit } = await read<ComplianceView>("compliance");
      assert.deepEqual([audit[1]?.state, audit[1]?.waiting, audit[1]?.lagMs], ["writing", 0, 0]);
    });
  });

  it("says where there is no audit log", async (context) => {
    const upstream = await startUpstream(openai);
    const gateway = await startGateway(manifests(upstream.url));
    context.after(async () => {
      await gateway.close();
      await upstream.close();
    });
    const answer = await fetch(`${gateway.statusUrl}/console/api/compliance`);
    const { audit, withoutAudit } = (await answer.json()) as ComplianceView;
    assert.deepEqual([audit, withoutAudit.length], [[], 1]);
  });

  const sink = { name: "otlp", durable: false, waiting: 0, lagMs: 0, dropped: 0, failures: 3, failing: false };
  for (const [state, over] of [
    ["writing", {}],
    ["failing", { failing: true, lagMs: 60_000, dropped: 1 }],
    ["behind", { lagMs: 30_000, dropped: 1 }],
    ["lost records", { dropped: 1 }],
  ] as const satisfies readonly (readonly [AuditRow["state"], object])[])
    it(`is ${state} with ${JSON.stringify(over)}`, () => {
      const report = { audit: [{ ...sink, ...over }] } as never;
      assert.deepEqual(
        auditRows({ proxies: [{ name: "a", report }] }).map((row) => row.state),
        [state],
      );
    });
});

/** Two proxies with Valkey in the cluster: what is shared holds while the store's Pod is killed and replaced. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { eventually } from "../harness/gateway.ts";
import { until } from "../harness/until.ts";
import { type Installation, type LoadResult, startInstallation, system } from "./installation.ts";
import { applyStore, storeValues } from "./shared-store.ts";

const request = { model: "fast", max_tokens: 5, messages: [{ role: "user", content: "hi" }] };
/** A call uses 5 tokens of prompt and 5 of answer, so that each costs USD 0.01. */
const price = { inputPerMillion: "1000", outputPerMillion: "1000" };
const apiKey = (name: string, more: object = {}): object => ({
  apiVersion: "sluice.dev/v1alpha1",
  kind: "ApiKey",
  metadata: { name, namespace: "team-a" },
  spec: { user: `${name}@example.com`, team: "a", writeTo: { name: `${name}-llm-key` }, ...more },
});
const budget = {
  apiVersion: "sluice.dev/v1alpha1",
  kind: "Budget",
  metadata: { name: "spender", namespace: "team-a" },
  spec: { amount: "3.00", period: "Total", scope: { users: ["spender@example.com"] }, enforcement: "Hard" },
};

describe("two proxies with a store in the cluster", () => {
  let release: Installation;
  before(async () => {
    ({ release } = await startInstallation());
    await applyStore(release.node, "valkey");
    await release.helm("install", "operator.privateEndpointNamespaces={team-a}", ...storeValues);
    await release.applyTenant();
    const models = ["fast", "mid", "slow"].map((name) => ({ name, price, maxOutputTokens: 5 }));
    const patch = JSON.stringify({ spec: { models } });
    await release.node.kubectl("-n", "team-a", "patch", "llmprovider/up", "--type=merge", "-p", patch);
    const objects = [apiKey("limited", { limits: [{ requests: 40, window: "1h" }] }), apiKey("spender"), budget];
    await release.node.apply(JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }));
    const names = ["apikey/limited", "apikey/spender", "budget/spender"];
    await release.node.kubectl("wait", "-n", "team-a", "--for=condition=Programmed", "--timeout=120s", ...names);
    await eventually(async () => (await release.call("/v1/chat/completions", request)).status === 200, 60_000);
  });
  after(() => release?.stop());

  const outcomes = ({ ok, others }: LoadResult): Record<string, number> => ({ ok, ...others });
  const servedBy = async (): Promise<number[]> => {
    const texts = await Promise.all(
      (await release.pods("proxy")).map(({ ip }) => release.node.must("curl", "-s", `http://${ip}:9090/metrics`)),
    );
    return texts.map((text) =>
      [...text.matchAll(/^ai_gateway_requests_total\{.*\} (\d+)$/gm)].reduce((sum, row) => sum + Number(row[1]), 0),
    );
  };
  /** The store's container is killed, and another time its whole Pod is replaced. */
  const disturbances: Readonly<Record<string, () => Promise<void>>> = {
    "the store is killed": async () => {
      const [pod] = await release.pods("store");
      assert.ok(pod);
      await release.node.must("kill", "-9", await release.processOf(pod.name));
    },
    "the store's Pod is replaced": async () => {
      const [pod] = await release.pods("store");
      assert.ok(pod);
      await release.node.kubectl("-n", system, "delete", "pod", pod.name, "--grace-period=0", "--force");
    },
  };

  it("admit together what a limit allows, and no more after the store was killed", async () => {
    const key = await release.key("limited-llm-key");
    const load = async (): Promise<LoadResult> => (await release.startLoad(4, "fresh", 8, 20, { key }))();
    const first = await load();
    assert.deepEqual([first.ok, Object.keys(first.others)], [40, ["http 429"]], JSON.stringify(first));
    assert.ok(
      (await servedBy()).every((count) => count > 0),
      "one proxy served all calls",
    );
    for (const disturb of Object.values(disturbances)) {
      await disturb();
      const again = await load();
      await release.ready("store", 1);
      const later = await load();
      assert.deepEqual([again.ok, later.ok], [0, 0], JSON.stringify([again, later]));
    }
  });

  for (const [what, disturb] of Object.entries(disturbances))
    it(`fail no call of a caller without a hard budget when ${what}`, async () => {
      const finished = await Promise.all([
        release.startLoad(15, "kept", 6, 40),
        release.startLoad(15, "stream", 4, 10),
        release.startLoad(15, "fresh", 4, 60),
      ]);
      await disturb();
      const results = await Promise.all(finished.map((end) => end()));
      assert.deepEqual(
        results.flatMap(({ failures }) => failures),
        [],
      );
      await release.ready("store", 1);
    });

  it("never spend more than a hard budget, whenever the store is killed, and spend all of it", async () => {
    const key = await release.key("spender-llm-key");
    let ok = 0;
    for (const disturb of Object.values(disturbances)) {
      const finished = await release.startLoad(6, "fresh", 2, 120, { key });
      await disturb();
      const result = await finished();
      ok += result.ok;
      assert.ok(ok <= 300, JSON.stringify(outcomes(result)));
      await release.ready("store", 1);
    }
    // A call reserves the price of each byte, so that up to seven calls' worth stay unused.
    await until("the budget is used up", async () => {
      const result = await (await release.startLoad(5, "fresh", 4, 40, { key }))();
      ok += result.ok;
      assert.ok(ok <= 300, `${ok} calls of USD 0.01 in a budget of USD 3.00`);
      if (ok < 290) throw new Error(`${ok} calls; at last ${JSON.stringify(outcomes(result))} ${result.failures[0]}`);
    });
    const refused = await release.call("/v1/chat/completions", request, key);
    assert.deepEqual([refused.status, /budget_exceeded/.test(refused.text)], [429, true], refused.text);
    await eventually(async () => {
      const path = "jsonpath={.status.spent}";
      const spent = await release.node.kubectl("-n", "team-a", "get", "budget", "spender", "-o", path);
      return Number(spent) === ok / 100;
    }, 90_000);
  });
});

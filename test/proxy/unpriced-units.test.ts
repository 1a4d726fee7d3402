/** What was used and the model's price lacks is named in the log, and counted in the ledger and a metric. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { LedgerReading } from "../../proxy/config/ledger-reading.ts";
import { eventually, key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { json, startUpstream, type Upstream } from "../harness/upstream.ts";

const clear = "slc_alice_key_0001_unpriced";
const price = { inputPerMillion: "3", outputPerMillion: "15" };

describe("a web search", () => {
  let upstream: Upstream;
  let gateway: TestGateway;
  before(async () => {
    upstream = await startUpstream((request, response) =>
      json(response, 200, {
        id: "msg_1",
        type: "message",
        role: "assistant",
        model: request.json["model"],
        content: [{ type: "text", text: "Found." }],
        stop_reason: "end_turn",
        usage: { input_tokens: 10, output_tokens: 2, server_tool_use: { web_search_requests: 2 } },
      }),
    );
    gateway = await startGateway([
      provider("claude", upstream.url, {
        type: "Anthropic",
        endpoint: upstream.url,
        models: [
          { name: "plain", price },
          { name: "searching", price: { ...price, webSearchPerThousand: "10" } },
        ],
      }),
      secret("claude-credentials", { apiKey: "sk" }),
      policy("all", {
        match: { models: ["plain", "searching"] },
        routing: { targets: [{ provider: { name: "claude" } }] },
      }),
      ...key("alice", clear),
    ]);
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
  });

  for (const [model, costNanoUsd, lacking] of [
    ["plain", 60_000, ["webSearch"]],
    ["searching", 20_060_000, undefined],
  ] as const)
    it(`is ${lacking === undefined ? "charged" : "named"} with the model ${model}`, async () => {
      const response = await fetch(`${gateway.url}/v1/messages`, {
        method: "POST",
        headers: { "x-api-key": clear, "content-type": "application/json" },
        body: JSON.stringify({ model, max_tokens: 50, messages: [{ role: "user", content: "Hi" }] }),
      });
      assert.equal(response.status, 200, await response.text());
      const line = gateway.logs.find((logged) => logged["model"] === model);
      assert.deepEqual([line?.["cost_nano_usd"], line?.["unpriced"]], [costNanoUsd, lacking]);
      const unpriced = lacking === undefined ? 0 : 1;
      const counted = await eventually(async () => {
        const span = `from=${new Date(Date.now() - 7_200_000).toISOString()}&to=${new Date(Date.now() + 7_200_000).toISOString()}`;
        const { rows } = (await (await fetch(`${gateway.statusUrl}/usage?${span}`)).json()) as LedgerReading;
        return rows.find((row) => row.model === model);
      });
      assert.equal(counted.unpriced, unpriced);
      const metric = new RegExp(`ai_gateway_unpriced_requests_total\\{[^}]*model="${model}"[^}]*\\} 1`);
      assert.equal(metric.test(await gateway.metrics()), lacking !== undefined);
    });
});

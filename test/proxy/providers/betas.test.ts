/** Betas of a caller of Anthropic's API reach the clouds that know them, in each API's form. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../../harness/gateway.ts";
import { json, startUpstream, type Upstream, type UpstreamRequest } from "../../harness/upstream.ts";
import { at } from "./documented.ts";
import { anthropic } from "./wire/anthropic.ts";
import { bedrock } from "./wire/bedrock.ts";

const clear = "slc_betas_key_0001";
/** As Claude Code sends them, and one that nobody knows. */
const asked = [
  "claude-code-20250219",
  "interleaved-thinking-2025-05-14",
  "context-1m-2025-08-07",
  "advanced-tool-use-2025-11-20",
  "fine-grained-tool-streaming-2025-05-14",
  "unheard-of-2030-01-01",
].join(",");
const said = { text: "Hi", usage: { prompt: 1, cached: 0, completion: 1 } };
const header = ({ headers }: UpstreamRequest): unknown => headers["anthropic-beta"]?.toString().split(",");
const claude = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const converse = "additionalModelRequestFields.anthropic_beta";
const usual = ["interleaved-thinking-2025-05-14", "context-1m-2025-08-07"];
const fine = "fine-grained-tool-streaming-2025-05-14";
const search = "tool-search-tool-2025-10-19";

interface Row {
  type: "Bedrock" | "VertexAI";
  upstream: string;
  options: Record<string, string>;
  betas: (request: UpstreamRequest) => unknown;
  expected: string[] | undefined;
}
const vertex = { project: "my-project", location: "us-east5" };
const rows: Record<string, Row> = {
  "Claude by Converse": {
    type: "Bedrock",
    upstream: claude,
    options: { region: "us-east-1" },
    betas: (request) => at(request.json, converse),
    expected: [...usual, fine],
  },
  "a model that doesn't think between tools": {
    type: "Bedrock",
    upstream: "us.anthropic.claude-haiku-4-5-20251001-v1:0",
    options: { region: "us-east-1" },
    betas: (request) => at(request.json, converse),
    expected: ["context-1m-2025-08-07", fine],
  },
  "another family of Bedrock": {
    type: "Bedrock",
    upstream: "amazon.nova-pro-v1:0",
    options: { region: "us-east-1" },
    betas: (request) => at(request.json, converse),
    expected: undefined,
  },
  "Claude by InvokeModel": {
    type: "Bedrock",
    upstream: claude,
    options: { region: "us-east-1", api: "InvokeModel" },
    betas: (request) => request.json["anthropic_beta"],
    expected: [...usual, fine],
  },
  "Claude by Bedrock's Messages": {
    type: "Bedrock",
    upstream: claude,
    options: { region: "us-east-1", api: "Messages" },
    betas: header,
    expected: [...usual, search, fine],
  },
  "Claude on Vertex AI": {
    type: "VertexAI",
    upstream: "claude-sonnet-4-5@20250929",
    options: vertex,
    betas: header,
    expected: [...usual, search],
  },
};

describe("a caller's betas", () => {
  let upstream: Upstream;
  let gateway: TestGateway;
  const nameOf = (index: number): string => `model-${index}`;

  before(async () => {
    upstream = await startUpstream((request, response) => {
      const isConverse = request.path.includes("/converse");
      return json(response, 200, isConverse ? bedrock.whole(said) : anthropic.whole(said));
    });
    const manifests = Object.values(rows).flatMap(({ type, upstream: model, options }, index) => {
      const name = nameOf(index);
      const models = [{ name, upstream: model }];
      return [
        secret(`${name}-credentials`, { apiKey: "k" }),
        provider(name, "", { type, endpoint: upstream.url, options, models }),
        policy(name, { match: { models: [name] }, routing: { targets: [{ provider: { name } }] } }),
      ];
    });
    gateway = await startGateway([...manifests, ...key("alice", clear)]);
  });
  after(async () => {
    await gateway?.close();
    await upstream?.close();
  });

  for (const [index, [title, { betas, expected }]] of Object.entries(rows).entries())
    it(`reach ${title}`, async () => {
      const response = await fetch(`${gateway.url}/v1/messages`, {
        method: "POST",
        headers: { "x-api-key": clear, "content-type": "application/json", "anthropic-beta": asked },
        body: JSON.stringify({ model: nameOf(index), max_tokens: 90, messages: [{ role: "user", content: "Hi" }] }),
      });
      assert.equal(response.status, 200, await response.text());
      assert.deepEqual(betas(upstream.requests.at(-1) as UpstreamRequest), expected);
    });
});

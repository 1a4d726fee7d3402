/** Embeddings of Google's models on Vertex AI: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isRefusal } from "../../../proxy/dialects/canonical.ts";
import { provider } from "../../../proxy/providers/vertex-ai/index.ts";
import { key, provider as manifest, policy, secret, startGateway } from "../../harness/gateway.ts";
import fc from "../../harness/property.ts";
import { json, startUpstream } from "../../harness/upstream.ts";
import { accountOf, modelOf } from "./drive.ts";

const options = { project: "my-project", location: "europe-west4" };
const base = "/v1/projects/my-project/locations/europe-west4/publishers/google/models";

function embed(
  input: string | string[] | number[],
  upstream = "text-embedding-005",
  more: Record<string, unknown> = {},
) {
  const setting = { options, upstream };
  const made = provider.embeddings?.({ model: "alias", input, ...more }, accountOf(setting), modelOf(setting));
  assert.ok(made !== undefined);
  return made;
}
const prediction = (values: unknown, count?: number) => ({
  embeddings: { values, ...(count === undefined ? {} : { statistics: { token_count: count, truncated: false } }) },
});

describe("Vertex AI's embeddings", () => {
  it("are requested by predict, and the tokens of all texts are counted", () => {
    const made = embed(["a", "b"], "text-embedding-005", { dimensions: 256, user: "u" });
    assert.ok(!isRefusal(made));
    assert.equal(made.path, `${base}/text-embedding-005:predict`);
    assert.deepEqual(JSON.parse(made.body), {
      instances: [{ content: "a" }, { content: "b" }],
      parameters: { outputDimensionality: 256 },
    });
    assert.deepEqual(made.dropped, ["user"]);
    const body = { predictions: [prediction([1, 2], 3), prediction([3, 4], 4)] };
    assert.deepEqual(made.decodeReply(body, {}), {
      model: "text-embedding-005",
      vectors: [
        [1, 2],
        [3, 4],
      ],
      usage: { prompt: 7, cachedPrompt: 0, cacheWrite: 0, completion: 0, reasoning: 0, estimated: false },
    });
  });

  for (const [what, made, param] of [
    ["of tokens", embed([1, 2]), "input"],
    ["of two texts where the model takes one", embed(["a", "b"], "gemini-embedding-001"), "input"],
    ["of Claude", embed("a", "claude-sonnet-4-5@20250929"), "model"],
  ] as const)
    it(`${what} are refused`, () => {
      assert.ok(isRefusal(made));
      assert.equal(made.param, param);
    });

  it("that are missing, some or all, are an error, whatever the answer holds", () => {
    const made = embed("a");
    assert.ok(!isRefusal(made));
    for (const body of [
      null,
      {},
      { predictions: [] },
      { predictions: [prediction(["x"])] },
      { predictions: [prediction([1]), 1] },
    ])
      assert.partialDeepStrictEqual(made.decodeReply(body, {}), { code: "upstream_invalid_response" });
    fc.assert(
      fc.property(fc.jsonValue(), (body) => {
        const decoded = made.decodeReply(body, {});
        assert.ok("vectors" in decoded || "class" in decoded);
      }),
    );
  });

  it("are served through the gateway and billed by what Google counted", async (context) => {
    const upstream = await startUpstream((request, response) => {
      assert.equal(request.path, `${base}/gemini-embedding-001:predict`);
      assert.equal(request.headers["x-goog-api-key"], "google-key");
      json(response, 200, { predictions: [prediction([0.5, 0.25], 6)] });
    });
    context.after(() => upstream.close());
    const clear = "slc_vertex_embed_00001";
    const gateway = await startGateway([
      manifest("up", upstream.url, {
        type: "VertexAI",
        endpoint: upstream.url,
        options,
        models: [{ name: "e", upstream: "gemini-embedding-001" }],
      }),
      secret("up-credentials", { apiKey: "google-key" }),
      policy("all", { match: { models: ["e"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
      ...key("alice", clear),
    ]);
    context.after(() => gateway.close());
    const answer = await fetch(`${gateway.url}/v1/embeddings`, {
      method: "POST",
      headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "e", input: "Hi" }),
    });
    const body = (await answer.json()) as { data: { embedding: number[] }[]; usage: { prompt_tokens: number } };
    assert.deepEqual([answer.status, body.data[0]?.embedding, body.usage.prompt_tokens], [200, [0.5, 0.25], 6]);
  });
});

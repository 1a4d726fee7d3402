/** Embeddings and reranking of models of several vendors at Amazon and Microsoft, and Claude's own format at Google. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isRefusal } from "../../../proxy/dialects/canonical.ts";
import { provider as foundry } from "../../../proxy/providers/azure-ai-foundry/index.ts";
import { provider as bedrock } from "../../../proxy/providers/bedrock/index.ts";
import type { Provider } from "../../../proxy/providers/provider.ts";
import { provider as vertex } from "../../../proxy/providers/vertex-ai/index.ts";
import type { Json } from "../../harness/strict/json.ts";
import { accountOf, environment, modelOf, type Setting } from "./drive.ts";

function embed(upstream: string, input: string | string[] | number[], more: Json = {}) {
  const made = bedrock.embeddings?.({ model: "m", input, ...more }, accountOf({}), modelOf({ upstream }));
  assert.ok(made !== undefined);
  return made;
}

const titan = "amazon.titan-embed-text-v2:0";
const cohere = "cohere.embed-v4:0";

interface Embedded {
  upstream: string;
  more?: Json;
  input?: string[];
  sent: Json;
  dropped?: string[];
  answer: Json;
  vectors: number[][];
  tokens: number | null;
}

const embedded: Record<string, Embedded> = {
  "Titan's": {
    upstream: titan,
    more: { dimensions: 256, user: "u" },
    sent: { inputText: "a", dimensions: 256 },
    dropped: ["user"],
    answer: { embedding: [1, 2], inputTextTokenCount: 3 },
    vectors: [[1, 2]],
    tokens: 3,
  },
  "Titan's for images": {
    upstream: "amazon.titan-embed-image-v1",
    more: { dimensions: 256 },
    sent: { inputText: "a", embeddingConfig: { outputEmbeddingLength: 256 } },
    answer: { embedding: [1], inputTextTokenCount: 1 },
    vectors: [[1]],
    tokens: 1,
  },
  "Nova's": {
    upstream: "amazon.nova-2-multimodal-embeddings-v1:0",
    sent: {
      taskType: "SINGLE_EMBEDDING",
      singleEmbeddingParams: { embeddingPurpose: "GENERIC_INDEX", text: { truncationMode: "NONE", value: "a" } },
    },
    answer: { embeddings: [{ embeddingType: "TEXT", embedding: [1] }] },
    vectors: [[1]],
    tokens: 7,
  },
  "Cohere's": {
    upstream: cohere,
    input: ["a", "b"],
    more: { dimensions: 512, input_type: "search_query" },
    sent: {
      texts: ["a", "b"],
      input_type: "search_query",
      embedding_types: ["float"],
      output_dimension: 512,
    },
    answer: { id: "x", response_type: "embeddings_by_type", embeddings: { float: [[1], [2]] } },
    vectors: [[1], [2]],
    tokens: 7,
  },
  "Cohere's, of older models": {
    upstream: "us.cohere.embed-english-v3",
    sent: { texts: ["a"], input_type: "search_document", embedding_types: ["float"] },
    answer: { id: "x", response_type: "embeddings_floats", embeddings: [[1]] },
    vectors: [[1]],
    tokens: 7,
  },
};

describe("Bedrock's embeddings", () => {
  for (const [name, { upstream, input, more, sent, dropped, answer, vectors, tokens }] of Object.entries(embedded))
    it(`are those of the model: ${name}`, () => {
      const made = embed(upstream, input ?? "a", more);
      assert.ok(!isRefusal(made), JSON.stringify(made));
      assert.equal(made.path, `/model/${encodeURIComponent(upstream)}/invoke`);
      assert.deepEqual(JSON.parse(made.body), sent);
      assert.deepEqual(made.dropped, dropped ?? []);
      const reply = made.decodeReply(answer, { "x-amzn-bedrock-input-token-count": "7" });
      assert.ok("vectors" in reply, JSON.stringify(reply));
      assert.deepEqual(reply.vectors, vectors);
      assert.equal(reply.usage?.prompt ?? null, tokens);
    });

  for (const [name, made, param] of [
    ["of tokens", embed(titan, [1, 2]), "input"],
    ["of two texts where the model takes one", embed(titan, ["a", "b"]), "input"],
    ["of a model without them", embed("anthropic.claude-sonnet-4-5-20250929-v1:0", "a"), "model"],
  ] as const)
    it(`${name} are refused`, () => {
      assert.ok(isRefusal(made));
      assert.equal(made.param, param);
    });

  for (const answer of [{}, { embedding: ["x"] }, { embeddings: { float: [] } }, null, []])
    it(`that are missing are an error: ${JSON.stringify(answer)}`, () => {
      for (const upstream of Object.values(embedded).map((row) => row.upstream)) {
        const made = embed(upstream, "a");
        assert.ok(!isRefusal(made));
        assert.ok(!("vectors" in made.decodeReply(answer, {})), upstream);
      }
    });
});

interface Passed {
  provider: Provider;
  setting: Setting;
  format: "cohere.rerank" | "anthropic.messages";
  stream?: boolean;
  body: Json;
  path: string | null;
  edits?: Json;
  dropped?: string[];
}

const question = { model: "m", query: "q", documents: ["a", { text: "b" }], top_n: 1, return_documents: true };
const google = { project: "my-project", location: "europe-west4" };
const claude = "/v1/projects/my-project/locations/europe-west4/publishers/anthropic/models/claude-opus-4-8";

const passed: Record<string, Passed> = {
  "reranking by Cohere on Bedrock": {
    provider: bedrock,
    setting: { upstream: "cohere.rerank-v3-5:0" },
    format: "cohere.rerank",
    body: question,
    path: "/model/cohere.rerank-v3-5%3A0/invoke",
    edits: { model: undefined, api_version: 2, documents: ["a", "b"], return_documents: undefined },
    dropped: ["return_documents"],
  },
  "reranking by Amazon on Bedrock": {
    provider: bedrock,
    setting: { upstream: "amazon.rerank-v1:0" },
    format: "cohere.rerank",
    body: { model: "m", query: "q", documents: ["a"] },
    path: "/model/amazon.rerank-v1%3A0/invoke",
    edits: { model: undefined },
    dropped: [],
  },
  "reranking by a model of Bedrock's that doesn't": {
    provider: bedrock,
    setting: { upstream: titan },
    format: "cohere.rerank",
    body: question,
    path: null,
  },
  "reranking on Foundry": {
    provider: foundry,
    setting: { endpoint: "https://contoso.services.ai.azure.com/openai/v1", upstream: "rerank-v4" },
    format: "cohere.rerank",
    body: question,
    path: "/providers/cohere/v2/rerank",
    edits: { documents: ["a", "b"], return_documents: undefined },
    dropped: ["return_documents"],
  },
  "reranking by Claude on Foundry": {
    provider: foundry,
    setting: { upstream: "claude-opus-4-8" },
    format: "cohere.rerank",
    body: question,
    path: null,
  },
  "Claude's format on Vertex": {
    provider: vertex,
    setting: { options: google, upstream: "claude-opus-4-8" },
    format: "anthropic.messages",
    body: { model: "m", messages: [{ role: "user", content: "x" }] },
    path: `${claude}:rawPredict`,
    edits: { model: undefined, anthropic_version: "vertex-2023-10-16" },
  },
  "Claude's format on Vertex, streamed": {
    provider: vertex,
    setting: { options: google, upstream: "claude-opus-4-8" },
    format: "anthropic.messages",
    stream: true,
    body: { model: "m", stream: true, messages: [{ role: "user", content: "x" }] },
    path: `${claude}:streamRawPredict`,
    edits: { model: undefined, anthropic_version: "vertex-2023-10-16" },
  },
  "Claude's format for Gemini": {
    provider: vertex,
    setting: { options: google, upstream: "gemini-2.5-pro" },
    format: "anthropic.messages",
    body: {},
    path: null,
  },
};

describe("what passes through to a cloud", () => {
  for (const [name, { provider, setting, format, stream, body, path, edits, dropped }] of Object.entries(passed))
    it(`has its path and the members that the cloud asks for: ${name}`, () => {
      const [account, model] = [accountOf(setting), modelOf(setting)];
      assert.equal(provider.passthroughPath(format, account, model, stream), path);
      if (edits !== undefined) assert.deepEqual(provider.passthroughEdits?.(format, account, model, body), edits);
      if (dropped !== undefined) assert.deepEqual(provider.passthroughDrops?.(format, body, account, model), dropped);
    });

  it("has Anthropic's version in the body, not in a header, on Vertex", async () => {
    const outgoing = {
      method: "POST" as const,
      path: `${claude}:rawPredict`,
      headers: { "anthropic-version": "2023-06-01", "anthropic-beta": "x" },
      body: "{}",
    };
    const sent = await vertex.authorize(outgoing, accountOf({ credentials: { apiKey: "k" } }), environment(0));
    assert.deepEqual(sent.headers, { "anthropic-beta": "x", "x-goog-api-key": "k" });
  });
});

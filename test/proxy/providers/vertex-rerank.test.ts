/** Reranking by Google: https://cloud.google.com/generative-ai-app-builder/docs/reference/rest/v1/projects.locations.rankingConfigs/rank */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isRefusal } from "../../../proxy/dialects/canonical.ts";
import { provider } from "../../../proxy/providers/vertex-ai/index.ts";
import type { JsonObject } from "../../../proxy/wire/json.ts";
import {
  eventually,
  key,
  type Manifest,
  provider as manifest,
  policy,
  secret,
  startGateway,
  type TestGateway,
} from "../../harness/gateway.ts";
import fc from "../../harness/property.ts";
import { json, startUpstream, type UpstreamRequest } from "../../harness/upstream.ts";
import { accountOf, modelOf } from "./drive.ts";

const options = { project: "my-project", location: "global", api: "Ranking" };
const path = "/v1/projects/my-project/locations/global/rankingConfigs/default_ranking_config:rank";
const upstream = "semantic-ranker-default-004";

function rank(body: JsonObject, setting: { options: Record<string, string> } = { options }) {
  const translate = provider.rerank?.(accountOf(setting), modelOf({ upstream })) ?? null;
  assert.ok(translate !== null);
  return translate({ model: "alias", query: "cat", documents: ["a cat", "a dog"], ...body });
}

function accepted(body: JsonObject) {
  const made = rank(body);
  if (isRefusal(made)) throw new Error(`refused: ${made.message}`);
  return { ...made, json: JSON.parse(made.body) as JsonObject };
}

describe("reranking by Google", () => {
  it("has records in place of documents", () => {
    const made = accepted({ documents: ["a cat", { title: "Dogs", text: "a dog" }], top_n: 1 });
    assert.equal(made.path, path);
    assert.deepEqual(made.json, {
      model: upstream,
      query: "cat",
      records: [
        { id: "0", content: "a cat" },
        { id: "1", title: "Dogs", content: "a dog" },
      ],
      topN: 1,
      ignoreRecordDetailsInResponse: true,
    });
    assert.deepEqual(made.dropped, []);
  });

  it("names what Google has no place for", () => {
    const documents = [{ text: "a cat", url: "https://x.test" }, "a dog"];
    const given = { documents, max_tokens_per_doc: 100, rank_fields: ["text"], priority: 1 };
    assert.deepEqual(accepted(given).dropped.toSorted(), [
      "documents.url",
      "max_tokens_per_doc",
      "priority",
      "rank_fields",
    ]);
  });

  const answers: Record<string, { body: JsonObject; records: JsonObject[]; expected: JsonObject | null }> = {
    "in Google's order": {
      body: {},
      records: [
        { id: "1", score: 0.9 },
        { id: "0", score: 0.25 },
      ],
      expected: {
        results: [
          { index: 1, relevance_score: 0.9 },
          { index: 0, relevance_score: 0.25 },
        ],
        meta: { billed_units: { search_units: 1 } },
      },
    },
    "with the documents": {
      body: { return_documents: true, documents: ["a cat", { text: "a dog", title: "Dogs" }] },
      records: [
        { id: "1", score: 0.9 },
        { id: "0", score: 0.25 },
      ],
      expected: {
        results: [
          { index: 1, relevance_score: 0.9, document: { text: "a dog", title: "Dogs" } },
          { index: 0, relevance_score: 0.25, document: { text: "a cat" } },
        ],
        meta: { billed_units: { search_units: 1 } },
      },
    },
    "charged as two queries above 100 documents": {
      body: { documents: Array.from({ length: 101 }, (_, index) => `d${index}`), top_n: 1 },
      records: [{ id: "100", score: 0.9 }],
      expected: {
        results: [{ index: 100, relevance_score: 0.9 }],
        meta: { billed_units: { search_units: 2 } },
      },
    },
    "without records": { body: {}, records: [], expected: null },
    "of a document that wasn't sent": { body: {}, records: [{ id: "7", score: 0.9 }], expected: null },
    "without a score": { body: {}, records: [{ id: "0" }], expected: null },
  };
  for (const [title, { body, records, expected }] of Object.entries(answers))
    it(`reads an answer ${title}`, () => {
      const decoded = accepted(body).decodeReply({ records });
      if (expected === null) assert.ok("class" in decoded && decoded.code === "upstream_invalid_response");
      else assert.deepEqual(decoded, expected);
    });

  const wrong: Record<string, { body: JsonObject; param: string }> = {
    "without a query": { body: { query: null }, param: "query" },
    "without documents": { body: { documents: [] }, param: "documents" },
    "documents that are no list": { body: { documents: "a" }, param: "documents" },
    "a document without text": { body: { documents: ["a", { title: "b" }] }, param: "documents[1]" },
    "201 documents": { body: { documents: Array.from({ length: 201 }, () => "a") }, param: "documents" },
    "a limit of 0": { body: { top_n: 0 }, param: "top_n" },
  };
  for (const [title, { body, param }] of Object.entries(wrong))
    it(`refuses ${title}`, () => {
      const made = rank(body);
      assert.ok(isRefusal(made) && made.param === param);
    });

  it("reads any answer without an exception", () => {
    const made = accepted({});
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom("records", "x"), fc.jsonValue()), (body) => {
        const decoded = made.decodeReply(body);
        assert.ok("results" in decoded || "class" in decoded);
      }),
    );
  });

  it("is what only rankers do, and all that they do", () => {
    const [account, model] = [accountOf({ options: { ...options, api: "Gemini" } }), modelOf({ upstream })];
    assert.equal(provider.rerank?.(account, model) ?? null, null);
    const made = provider.chat?.(
      { model: "m", messages: [{ role: "user", content: "Hi" }] },
      accountOf({ options }),
      model,
      {
        stream: false,
        deadlineMs: 1,
      },
    );
    assert.ok(made !== undefined && isRefusal(made) && made.param === "model");
  });
});

/** Refuses what Google's documentation does not have. */
function complaint({ path: asked, headers, json: body }: UpstreamRequest): string | null {
  const known = ["model", "query", "records", "topN", "ignoreRecordDetailsInResponse", "userLabels"];
  const records = body["records"] as JsonObject[];
  if (asked !== path) return `unknown path ${asked}`;
  if (headers["x-goog-api-key"] !== "google-key") return "unauthenticated";
  if (Object.keys(body).some((name) => !known.includes(name))) return "unknown name";
  if (!Array.isArray(records) || records.length === 0 || records.length > 200) return "records: 1 to 200";
  if (records.some((record) => Object.keys(record).some((name) => !["id", "title", "content"].includes(name))))
    return "unknown name in a record";
  return null;
}

describe("reranking by Google, through the gateway", () => {
  const clear = "slc_vertex_rerank_0001";
  const serve = async (
    context: { after(close: () => Promise<void>): void },
    more: Manifest[] = [],
  ): Promise<TestGateway> => {
    const up = await startUpstream((request, response) => {
      const wrong = complaint(request);
      if (wrong !== null)
        return json(response, 400, { error: { code: 400, status: "INVALID_ARGUMENT", message: wrong } });
      const records = request.json["records"] as { id: string }[];
      return json(response, 200, {
        records: records.toReversed().map(({ id }, index) => ({ id, score: 1 / (index + 1) })),
      });
    });
    context.after(() => up.close());
    const gateway = await startGateway([
      manifest("up", up.url, {
        type: "VertexAI",
        endpoint: up.url,
        options,
        models: [{ name: "ranker", upstream }],
      }),
      secret("up-credentials", { apiKey: "google-key" }),
      policy("all", { match: { models: ["ranker"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
      ...key("alice", clear),
      ...more,
    ]);
    context.after(() => gateway.close());
    return gateway;
  };
  const ask = (gateway: TestGateway, operation: string, body: JsonObject): Promise<Response> =>
    fetch(`${gateway.url}${operation}`, {
      method: "POST",
      headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "ranker", ...body }),
    });

  it("answers in Cohere's shape and costs $1 for a thousand queries", async (context) => {
    const gateway = await serve(context);
    const given = { query: "cat", documents: ["a cat", "a dog"], max_tokens_per_doc: 5 };
    const answer = await ask(gateway, "/v2/rerank", given);
    const { results } = (await answer.json()) as { results: { index: number }[] };
    assert.deepEqual([answer.status, results.map(({ index }) => index)], [200, [1, 0]]);
    assert.equal(answer.headers.get("x-sluice-dropped-params"), "max_tokens_per_doc");
    const line = await eventually(() => gateway.logs.find(({ operation }) => operation === "cohere.rerank"));
    assert.deepEqual([line["cost_nano_usd"], line["search_units"]], [1_000_000, 1]);
  });

  it("is reserved and limited like any call", async (context) => {
    const gateway = await serve(context, [
      {
        kind: "Budget",
        metadata: { name: "small" },
        spec: { amount: "0.0015", period: "Daily" },
      },
    ]);
    const given = { query: "cat", documents: ["a cat", "a dog"] };
    assert.equal((await ask(gateway, "/v1/rerank", given)).status, 200);
    const second = await ask(gateway, "/v1/rerank", given);
    assert.equal(((await second.json()) as { error: { code: string } }).error.code, "budget_exceeded");
  });

  it("refuses a chat, and what Google would refuse", async (context) => {
    const gateway = await serve(context);
    const chat = await ask(gateway, "/v1/chat/completions", { messages: [{ role: "user", content: "Hi" }] });
    assert.equal(chat.status, 400);
    const many = await ask(gateway, "/v1/rerank", { query: "q", documents: Array.from({ length: 201 }, () => "a") });
    const { error } = (await many.json()) as { error: { code: string; param: string } };
    assert.deepEqual([many.status, error.code, error.param], [400, "invalid_value", "documents"]);
  });
});

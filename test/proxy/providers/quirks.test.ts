/** Options of OpenAI-compatible servers, in both dialects: what reaches the server, and what the caller is notified of. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../../harness/gateway.ts";
import { startUpstream, type Upstream } from "../../harness/upstream.ts";

const clear = "slc_quirks_key_00001";
const said = "hello";
const earlier = { role: "assistant", content: said, reasoning_content: "hm" };
const user = { role: "user", content: "Hi" };

interface Row {
  options: Record<string, string>;
  body: Record<string, unknown>;
  seen: Record<string, unknown>;
  dropped?: string;
}

const rows: Record<string, Row> = {
  "a developer message, AsSent": {
    options: {},
    body: { messages: [{ role: "developer", content: "Be brief." }, user] },
    seen: { messages: [{ role: "developer", content: "Be brief." }, user] },
  },
  "a developer message, System": {
    options: { developerRole: "System" },
    body: { messages: [{ role: "developer", content: "Be brief.", name: "d" }, user] },
    seen: { messages: [{ role: "system", content: "Be brief.", name: "d" }, user] },
  },
  "a message's name, AsSent": {
    options: {},
    body: { messages: [{ ...user, name: "ann" }] },
    seen: { messages: [{ ...user, name: "ann" }] },
  },
  "a message's name, Drop": {
    options: { messageNames: "Drop" },
    body: {
      messages: [
        { role: "system", content: "Be brief." },
        { ...user, name: "ann" },
      ],
    },
    seen: { messages: [{ role: "system", content: "Be brief." }, user] },
    dropped: "messages.name",
  },
  "earlier reasoning, AsSent": {
    options: {},
    body: { messages: [earlier, user] },
    seen: { messages: [earlier, user] },
  },
  "earlier reasoning, Drop": {
    options: { earlierReasoning: "Drop" },
    body: { messages: [earlier, user] },
    seen: { messages: [{ role: "assistant", content: said }, user] },
  },
  "one stop sequence, List": { options: { stop: "List" }, body: { stop: "END" }, seen: { stop: ["END"] } },
  "a list of stop sequences, List": {
    options: { stop: "List" },
    body: { stop: ["A", "B"] },
    seen: { stop: ["A", "B"] },
  },
  "unsupported parameters": {
    options: { unsupported: "logit_bias,seed,user" },
    body: { logit_bias: { 5: 1 }, seed: 3, top_p: 0.5 },
    seen: { logit_bias: undefined, seed: undefined, top_p: 0.5 },
    dropped: "logit_bias,seed",
  },
  "a null for an unsupported parameter": {
    options: { unsupported: "seed" },
    body: { seed: null },
    seen: { seed: null },
  },
  "parameters that carry the meaning, however listed": {
    options: { unsupported: "messages,tools,n,stream" },
    body: { n: 2, messages: [user] },
    seen: { n: 2, messages: [user] },
  },
  "what the policy adds": {
    options: { unsupported: "frequency_penalty", maxTokensField: "max_completion_tokens" },
    body: {},
    seen: { frequency_penalty: undefined, max_tokens: undefined, max_completion_tokens: 77 },
    dropped: "frequency_penalty",
  },
};

describe("an OpenAI-compatible server's habits", () => {
  let upstream: Upstream;
  let gateway: TestGateway;
  const nameOf = (index: number): string => `m${index}`;
  before(async () => {
    upstream = await startUpstream();
    gateway = await startGateway([
      ...Object.values(rows).flatMap(({ options }, index) => [
        provider(`p${index}`, upstream.url, { options, models: [{ name: nameOf(index) }], credentials: undefined }),
        policy(`r${index}`, {
          match: { models: [nameOf(index)] },
          routing: { targets: [{ provider: { name: `p${index}` } }] },
          ...(index === Object.keys(rows).indexOf("what the policy adds")
            ? { request: { defaults: { frequency_penalty: 1, max_tokens: 77 } } }
            : {}),
        }),
      ]),
      provider("strict", upstream.url, {
        options: { unsupported: "seed" },
        unsupportedParameters: "Refuse",
        models: [{ name: "strict" }],
      }),
      secret("strict-credentials", { apiKey: "sk-quirks-upstream" }),
      policy("strict", { match: { models: ["strict"] }, routing: { targets: [{ provider: { name: "strict" } }] } }),
      ...key("alice", clear),
    ]);
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
  });

  const post = (path: string, body: object): Promise<Response> =>
    fetch(gateway.url + path, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${clear}` },
      body: JSON.stringify(body),
    });

  for (const [index, [what, row]] of Object.entries(rows).entries())
    it(what, async () => {
      const response = await post("/v1/chat/completions", { model: nameOf(index), messages: [user], ...row.body });
      assert.equal(response.status, 200, await response.text());
      const sent = upstream.requests.at(-1)?.json ?? {};
      for (const [name, value] of Object.entries(row.seen)) assert.deepEqual(sent[name], value, name);
      assert.equal(response.headers.get("x-sluice-dropped-params") ?? undefined, row.dropped);
    });

  it("are heeded in Anthropic's dialect too", async () => {
    const index = Object.keys(rows).indexOf("one stop sequence, List");
    const body = { model: nameOf(index), max_tokens: 5, messages: [user], stop_sequences: ["END"] };
    assert.equal((await post("/v1/messages", body)).status, 200);
    assert.deepEqual(upstream.requests.at(-1)?.json["stop"], ["END"]);
  });

  it("refuse a parameter where the provider says Refuse", async () => {
    const response = await post("/v1/chat/completions", { model: "strict", messages: [user], seed: 3 });
    assert.equal(response.status, 400);
    const { error } = (await response.json()) as { error: Record<string, unknown> };
    assert.deepEqual([error["code"], error["param"]], ["unsupported_parameter", "seed"]);
  });
});

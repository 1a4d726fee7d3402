/** Compacted conversations of the Responses API: by the provider that has the call, and by the gateway for all others. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import OpenAI from "openai";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { messagesComplaints } from "../harness/strict/anthropic.ts";
import { chatComplaints } from "../harness/strict/openai-chat.ts";
import { responsesComplaints } from "../harness/strict/openai-responses.ts";
import { json, startUpstream, type Upstream, type UpstreamRequest } from "../harness/upstream.ts";
import { type Json, list, own } from "./providers/wire/wire.ts";

const keys = { alice: "slc_alice_key_0001", bob: "slc_bob_key_000001" };
type Caller = keyof typeof keys;

const refused = (message: string): [number, Json] => [400, { error: { message, type: "invalid_request_error" } }];

/** https://platform.openai.com/docs/api-reference/responses/compact: the members that the call takes. */
const ofCompact = new Set([
  ...["model", "input", "instructions", "previous_response_id", "image", "service_tier"],
  ...["prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"],
]);

/** OpenAI: its own compacted conversations begin with `gAAAA`, and it can read no others. */
function openAi({ path, json: body }: UpstreamRequest): [number, Json] {
  if (path === "/v1/chat/completions") return chatAnswer(body);
  const items = list(body["input"]);
  const complaint =
    responsesComplaints({ ...body, input: items.filter(({ type }) => type !== "compaction") })[0] ??
    (items.some((item) => item["type"] === "compaction" && !/^gAAAA/.test(String(item["encrypted_content"])))
      ? "The encrypted content could not be verified."
      : undefined);
  if (complaint !== undefined) return refused(complaint);
  const usage = { input_tokens: 100, output_tokens: 10, total_tokens: 110 };
  if (path === "/v1/responses") {
    const content = [{ type: "output_text", text: "Hello.", annotations: [] }];
    const output = [{ id: "msg_a1", type: "message", status: "completed", role: "assistant", content }];
    return [200, { id: "resp_a1", object: "response", status: "completed", model: body["model"], output, usage }];
  }
  if (path !== "/v1/responses/compact") return [404, { error: { message: `no ${path}` } }];
  const unknown = Object.keys(body).find((name) => !ofCompact.has(name));
  if (unknown !== undefined) return refused(`Unknown parameter: '${unknown}'.`);
  const output = [
    { id: "msg_b1", type: "message", status: "completed", role: "user", content: [{ type: "input_text", text: "Hi" }] },
    { id: "cmp_b1", type: "compaction", encrypted_content: "gAAAAsecret" },
  ];
  return [200, { id: "resp_b1", object: "response.compaction", created_at: 5, output, usage }];
}

/** Azure OpenAI, whose older surface lacks the call. */
function azure(request: UpstreamRequest): [number, Json] {
  if (request.path.startsWith("/openai/v1/")) return openAi({ ...request, path: request.path.slice("/openai".length) });
  if (request.path.startsWith("/openai/deployments/")) return chatAnswer(request.json);
  return [404, { error: { code: "404", message: "Resource not found" } }];
}

let summary: Json = {};
const chatUsage = { prompt_tokens: 100, completion_tokens: 10, total_tokens: 110 };

function chatAnswer(body: Json): [number, Json] {
  const [complaint] = chatComplaints(body);
  if (complaint !== undefined) return refused(complaint);
  const choice = {
    index: 0,
    message: { role: "assistant", content: "THE SUMMARY" },
    finish_reason: "stop",
    ...summary,
  };
  return [200, { id: "chatcmpl-1", object: "chat.completion", created: 7, choices: [choice], usage: chatUsage }];
}

function anthropic({ json: body }: UpstreamRequest): [number, Json] {
  const [complaint] = messagesComplaints(body, () => false);
  if (complaint !== undefined)
    return [400, { type: "error", error: { type: "invalid_request_error", message: complaint } }];
  const content = [{ type: "text", text: "SUMMARY BY CLAUDE" }];
  const usage = { input_tokens: 100, output_tokens: 10 };
  return [200, { id: "msg_01", type: "message", role: "assistant", content, stop_reason: "end_turn", usage }];
}

const text = (role: string, said: string): Json => ({
  type: "message",
  role,
  content: [{ type: role === "assistant" ? "output_text" : "input_text", text: said }],
});

const conversation: Json[] = [
  text("user", "Where is the key?"),
  { type: "function_call", call_id: "call_1", name: "look", arguments: '{"at":"home"}' },
  { type: "function_call_output", call_id: "call_1", output: "in the garden" },
  text("assistant", "In the garden."),
  text("user", "Thanks."),
];

/** Reserves the most that a call can cost, so that the answer has to be capped. */
const budget = {
  kind: "Budget",
  metadata: { name: "hard" },
  spec: { period: "Daily", amount: "100", enforcement: "Hard", scope: { models: ["gpt-budget"] } },
};

describe("compacted conversations", () => {
  const upstreams: Record<string, Upstream> = {};
  let gateway: TestGateway;

  before(async () => {
    const answers = {
      azure,
      openai: openAi,
      claude: anthropic,
      lax: ({ json: body }: UpstreamRequest) => chatAnswer(body),
    };
    for (const [name, answer] of Object.entries(answers))
      upstreams[name] = await startUpstream((request, response) => json(response, ...answer(request)));
    const price = { inputPerMillion: "1", outputPerMillion: "10" };
    const up = (name: string, type: string, models: string[], spec: Json = {}) => [
      secret(`${name}-credentials`, { apiKey: "sk-test" }),
      provider(name, upstreams[name]?.url ?? "", { type, models: models.map((name) => ({ name, price })), ...spec }),
    ];
    const to = (model: string, name: string, spec: Json = {}) =>
      policy(model, { match: { models: [model] }, routing: { targets: [{ provider: { name } }] }, ...spec });
    gateway = await startGateway([
      ...up("openai", "OpenAI", ["gpt", "gpt-guarded", "gpt-masked", "gpt-budget"]),
      ...up("claude", "Anthropic", ["claude"], { endpoint: upstreams["claude"]?.url }),
      ...up("lax", "OpenAICompatible", ["lax", "lax-guarded", "lax-masked", "lax-limited"], {
        options: { responses: "Translate" },
      }),
      ...up("azure", "AzureOpenAI", ["azure"], { endpoint: upstreams["azure"]?.url }),
      provider("azure-old", upstreams["azure"]?.url ?? "", {
        ...{ type: "AzureOpenAI", endpoint: upstreams["azure"]?.url, models: [{ name: "azure-old" }] },
        credentials: { secretRef: { name: "azure-credentials" } },
        options: { surface: "Deployments", apiVersion: "2024-10-21" },
      }),
      to("azure", "azure"),
      to("azure-old", "azure-old"),
      to("gpt", "openai"),
      to("gpt-budget", "openai"),
      budget,
      to("gpt-guarded", "openai", { guard: { deny: ["forbidden"] } }),
      to("gpt-masked", "openai", { guard: { mask: { detect: ["Email"], mode: "Placeholder" } } }),
      to("claude", "claude"),
      policy("either", {
        match: { models: ["either"] },
        routing: {
          targets: [
            { provider: { name: "openai" }, model: "gpt" },
            { provider: { name: "lax" }, model: "lax", priority: 2 },
          ],
        },
      }),
      to("lax", "lax"),
      to("lax-guarded", "lax", { guard: { deny: ["forbidden|THE SUMMARY"] } }),
      to("lax-masked", "lax", { guard: { mask: { detect: ["Email"], mode: "Placeholder" } } }),
      to("lax-limited", "lax", { limits: [{ per: "ApiKey", requests: 1, window: "1d" }] }),
      ...Object.entries(keys).flatMap(([name, clear]) => key(name, clear)),
    ]);
  });
  after(async () => {
    await gateway?.close();
    for (const upstream of Object.values(upstreams)) await upstream.close();
  });

  const sdk = (caller: Caller = "alice"): OpenAI =>
    new OpenAI({ apiKey: keys[caller], baseURL: `${gateway.url}/v1`, maxRetries: 0 });

  async function post(path: string, body: Json, caller: Caller = "alice"): Promise<[status: number, body: Json]> {
    const answer = await fetch(`${gateway.url}/v1/${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${keys[caller]}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return [answer.status, (await answer.json()) as Json];
  }
  const compact = async (model: string, input: unknown = conversation, caller: Caller = "alice"): Promise<Json[]> => {
    const [status, body] = await post("responses/compact", { model, input }, caller);
    assert.equal(status, 200, JSON.stringify(body));
    return list(body["output"]);
  };
  const errorOf = (body: Json): Json => own(body["error"]);
  const lastTo = (name: string): UpstreamRequest => upstreams[name]?.requests.at(-1) as UpstreamRequest;
  const asked = (name: string): number => upstreams[name]?.requests.length ?? 0;

  it("are made by OpenAI, whose ids are sealed", async () => {
    const made = await sdk().responses.create({ model: "gpt", input: "Hi" });
    const compacted = await sdk().responses.compact({ model: "gpt", previous_response_id: made.id });
    assert.equal(lastTo("openai").path, "/v1/responses/compact");
    assert.deepEqual(lastTo("openai").json, { model: "gpt", previous_response_id: "resp_a1" });
    assert.equal(compacted.object, "response.compaction");
    assert.match(compacted.id, /^resp_b1_s1/);
    const item = compacted.output.at(-1) as OpenAI.Responses.ResponseCompactionItem;
    assert.match(item.id, /^cmp_b1_s1/);
    assert.equal(item.encrypted_content, "gAAAAsecret");

    const input = [...compacted.output, { role: "user", content: "Go on." }] as OpenAI.Responses.ResponseInput;
    await sdk().responses.create({ model: "gpt", input });
    assert.deepEqual(list(lastTo("openai").json["input"])[1], {
      ...{ id: "cmp_b1", type: "compaction", encrypted_content: "gAAAAsecret" },
    });
    const [status, body] = await post("responses", { model: "gpt", input }, "bob");
    assert.deepEqual([status, errorOf(body)["code"]], [404, "resource_not_found"], "another user's");
  });

  it("are made by Azure OpenAI where it has the call", async () => {
    assert.equal((await compact("azure")).at(-1)?.["encrypted_content"], "gAAAAsecret");
    assert.equal(lastTo("azure").path, "/openai/v1/responses/compact");
    assert.match(String((await compact("azure-old")).at(-1)?.["encrypted_content"]), /^sluice\.compaction\./);
  });

  for (const [model, name] of [
    ["lax", "lax"],
    ["claude", "claude"],
    ["gpt-guarded", "openai"],
  ] as const) {
    it(`are made by the model, for ${model}`, async () => {
      const compacted = await sdk().responses.compact({
        ...{ model, instructions: "Be kind." },
        input: conversation as unknown as OpenAI.Responses.ResponseInput,
      });
      assert.equal(compacted.object, "response.compaction");
      const { input_tokens, output_tokens, total_tokens } = compacted.usage;
      assert.deepEqual([input_tokens, output_tokens, total_tokens], [100, 10, 110]);
      assert.deepEqual(
        compacted.output.map((item) => [item.type, "role" in item ? item.role : ""]),
        [
          ["message", "user"],
          ["message", "user"],
          ["compaction", ""],
        ],
      );
      const prompt = JSON.stringify(lastTo(name).json);
      for (const said of ["Be kind.", "Where is the key?", "in the garden", "[call of look]", "In the garden."])
        assert.ok(prompt.includes(said), said);
      const shown = JSON.stringify(compacted);
      assert.ok(!shown.includes("SUMMARY"), "the summary is sealed");
    });
  }

  it("go on with any model, as text that is sent to it", async () => {
    const output = await compact("lax");
    for (const [model, name] of [
      ["lax", "lax"],
      ["claude", "claude"],
      ["gpt", "openai"],
    ] as const) {
      const [status, body] = await post("responses", { model, input: [...output, text("user", "And now?")] });
      assert.equal(status, 200, JSON.stringify(body));
      const sent = JSON.stringify(lastTo(name).json);
      assert.ok(sent.includes("THE SUMMARY") && sent.includes("And now?") && !sent.includes("sluice.compaction"), sent);
    }
    const again = await compact("claude", output);
    assert.ok(JSON.stringify(lastTo("claude").json).includes("THE SUMMARY"));
    assert.equal(again.filter(({ type }) => type === "compaction").length, 1);
  });

  it("are of no use to others, nor once changed", async () => {
    const output = await compact("lax");
    const item = output.at(-1) as Json;
    const sealed = String(item["encrypted_content"]);
    const changed = sealed.slice(0, -3) + (sealed.at(-3) === "A" ? "B" : "A") + sealed.slice(-2);
    const before = asked("lax");
    for (const [caller, encrypted_content] of [
      ["bob", sealed],
      ["alice", changed],
      ["alice", "sluice.compaction."],
      ["alice", `${sealed.slice(0, 60)}`],
    ] as const) {
      const input = [text("user", "Hi"), { ...item, encrypted_content }];
      const [status, body] = await post("responses", { model: "lax", input }, caller);
      const { code, param } = errorOf(body);
      assert.deepEqual([status, code, param], [400, "invalid_value", "input[1].encrypted_content"]);
    }
    assert.equal(asked("lax"), before, "the provider was not asked");
  });

  it("of OpenAI's are refused for another provider", async () => {
    const before = asked("lax");
    const input = [{ type: "compaction", encrypted_content: "gAAAAsecret" }, text("user", "Hi")];
    const [status, body] = await post("responses", { model: "lax", input });
    assert.deepEqual([status, errorOf(body)["param"]], [400, "input[0].type"]);
    assert.match(String(errorOf(body)["message"]), /OpenAI model/);
    const [kept] = (await compact("gpt")).slice(-1);
    const [other] = await post("responses", { model: "lax", input: [kept, text("user", "Hi")] });
    assert.equal(other, 404);
    assert.equal(asked("lax"), before);
  });

  it("pass no guard unread", async () => {
    const output = await compact("lax");
    const before = asked("lax");
    const [status, body] = await post("responses", { model: "lax-guarded", input: [...output, text("user", "Hi")] });
    assert.deepEqual([status, errorOf(body)["code"]], [400, "prompt_denied"]);
    const [denied] = await post("responses/compact", { model: "lax-guarded", input: "something forbidden" });
    assert.equal(denied, 400);
    assert.equal(asked("lax"), before);
  });

  for (const [model, name] of [
    ["lax-masked", "lax"],
    ["gpt-masked", "openai"],
  ] as const) {
    it(`are masked for the provider and whole for the caller, with ${model}`, async () => {
      upstreams[name]?.answer(({ json: body }, response) => {
        const [placeholder = ""] = /\[EMAIL[A-Z0-9_]*\]/.exec(JSON.stringify(body)) ?? [];
        summary = { message: { role: "assistant", content: `Write to ${placeholder}.` } };
        json(response, ...chatAnswer(body));
        summary = {};
      });
      const output = await compact(model, "Write to ada@example.com.");
      assert.ok(!lastTo(name).text.includes("ada@example.com"), lastTo(name).text);
      assert.ok(JSON.stringify(output[0]).includes("ada@example.com"), "the caller's own words");
      upstreams["lax"]?.answer(({ json: body }, response) => json(response, ...chatAnswer(body)));
      await post("responses", { model: "lax", input: [output.at(-1), text("user", "Hi")] });
      assert.ok(lastTo("lax").text.includes("ada@example.com"), "the summary has the value, not its placeholder");
      await post("responses", { model: "lax-masked", input: [output.at(-1), text("user", "Hi")] });
      assert.ok(!lastTo("lax").text.includes("ada@example.com"), "and is masked again");
      upstreams["openai"]?.answer((request, response) => json(response, ...openAi(request)));
    });
  }

  it("are no answer if the summary was cut off or is empty", async () => {
    for (const broken of [
      { finish_reason: "length" },
      { message: { role: "assistant", content: "" } },
      { message: { role: "assistant", content: null, refusal: "No." } },
    ]) {
      summary = broken;
      const [status, body] = await post("responses/compact", { model: "lax", input: conversation });
      assert.deepEqual([status, errorOf(body)["code"]], [400, "upstream_rejected_request"], JSON.stringify(broken));
      const line = gateway.logs.findLast((entry) => entry["status"] === 400);
      assert.deepEqual([line?.["input_tokens"], line?.["output_tokens"]], [100, 10], "it is charged as reported");
    }
    summary = {};
  });

  const wrong: readonly [name: string, body: Json, status: number, param: string | null][] = [
    ["a stream", { model: "lax", input: "Hi", stream: true }, 400, "stream"],
    ["no input", { model: "lax" }, 400, "input"],
    ["an earlier answer, by another provider", { model: "lax", previous_response_id: "resp_x" }, 404, null],
    ["an unknown model", { model: "nobody", input: "Hi" }, 404, "model"],
  ];
  for (const [name, body, status, param] of wrong) {
    it(`are refused for ${name}`, async () => {
      const [given, answer] = await post("responses/compact", body);
      assert.equal(given, status, JSON.stringify(answer));
      assert.equal(errorOf(answer)["param"] ?? null, param);
    });
  }

  it("are made by the model where a budget caps the answer, which OpenAI's call can't", async () => {
    const output = await compact("gpt-budget");
    assert.equal(lastTo("openai").path, "/v1/chat/completions");
    assert.ok(Number(lastTo("openai").json["max_completion_tokens"] ?? lastTo("openai").json["max_tokens"]) > 0);
    assert.match(String(output.at(-1)?.["encrypted_content"]), /^sluice\.compaction\./);
  });

  it("are made by the next target if the first one fails", async () => {
    upstreams["openai"]?.answer((_, response) => json(response, 500, { error: { message: "Sorry." } }));
    const output = await compact("either");
    upstreams["openai"]?.answer((request, response) => json(response, ...openAi(request)));
    assert.equal(lastTo("openai").path, "/v1/responses/compact");
    assert.match(String(output.at(-1)?.["encrypted_content"]), /^sluice\.compaction\./);
  });

  it("can't be made of what the provider keeps where the policy has to read it", async () => {
    const { id } = await sdk().responses.create({ model: "gpt-guarded", input: "Hi" });
    const [status, body] = await post("responses/compact", { model: "gpt-guarded", previous_response_id: id });
    assert.deepEqual([status, errorOf(body)["param"]], [400, "previous_response_id"]);
    assert.match(String(errorOf(body)["message"]), /whole conversation/);
  });

  it("count against limits, and are charged and logged", async () => {
    await compact("lax-limited");
    const [status] = await post("responses/compact", { model: "lax-limited", input: conversation });
    assert.equal(status, 429);
    const line = gateway.logs.findLast((entry) => entry["route"] === "default/lax-limited" && entry["status"] === 200);
    assert.deepEqual([line?.["input_tokens"], line?.["output_tokens"], line?.["cost_nano_usd"]], [100, 10, 200_000]);
    assert.equal(line?.["operation"], "openai.responses");
  });
});

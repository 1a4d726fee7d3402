/** References to items of earlier answers, as SDKs send them unless `store` is false, in translated conversations. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { json, startUpstream, type Upstream } from "../harness/upstream.ts";
import { type Json, list, own } from "./providers/wire/wire.ts";

const keys = { alice: "slc_alice_key_0001", bob: "slc_bob_key_000001" };
const tool = { type: "function", name: "look", parameters: { type: "object", properties: {} } };
const question = { type: "message", role: "user", content: "Where?" };

describe("references to items", () => {
  let upstream: Upstream;
  let gateway: TestGateway;
  let answers = 0;

  before(async () => {
    upstream = await startUpstream(({ json: { stream } }, response) => {
      const id = `chatcmpl-${++answers}`;
      const call = { id: `call_${answers}`, type: "function", function: { name: "look", arguments: '{"at":"home"}' } };
      const message = { role: "assistant", content: "Let me look.", reasoning_content: "Hm.", tool_calls: [call] };
      const base = { id, created: 1, model: "m" };
      const finish_reason = "tool_calls";
      if (stream !== true) {
        const choices = [{ index: 0, message, finish_reason }];
        return json(response, 200, { ...base, object: "chat.completion", choices });
      }
      response.writeHead(200, { "content-type": "text/event-stream" });
      const delta = { ...message, tool_calls: [{ index: 0, ...call }] };
      for (const choice of [
        { index: 0, delta, finish_reason: null },
        { index: 0, delta: {}, finish_reason },
      ])
        response.write(`data: ${JSON.stringify({ ...base, object: "chat.completion.chunk", choices: [choice] })}\n\n`);
      return void response.end("data: [DONE]\n\n");
    });
    const targets = [{ provider: { name: "up" } }];
    const names = ["open", "masked", "guarded"];
    gateway = await startGateway([
      secret("up-credentials", { apiKey: "sk-test" }),
      provider("up", upstream.url, {
        options: { responses: "Translate" },
        models: names.map((name) => ({ name })),
      }),
      policy("open", { match: { models: ["open"] }, routing: { targets } }),
      policy("masked", { match: { models: ["masked"] }, routing: { targets }, guard: { mask: {} } }),
      policy("guarded", { match: { models: ["guarded"] }, routing: { targets }, guard: { deny: ["forbidden"] } }),
      ...Object.entries(keys).flatMap(([name, clear]) => key(name, clear)),
    ]);
  });
  after(async () => {
    await gateway?.close();
    await upstream?.close();
  });

  async function post(body: Json, caller: keyof typeof keys = "alice"): Promise<{ status: number; text: string }> {
    const answer = await fetch(`${gateway.url}/v1/responses`, {
      method: "POST",
      headers: { authorization: `Bearer ${keys[caller]}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "open", tools: [tool], ...body }),
    });
    return { status: answer.status, text: await answer.text() };
  }

  /** The items of a first answer. */
  async function first(body: Json = {}): Promise<Json[]> {
    const { status, text } = await post({ input: [question], ...body });
    assert.equal(status, 200, text);
    if (body["stream"] !== true) return list(own(JSON.parse(text))["output"]);
    const last = text.split("\n\n").findLast((frame) => frame.startsWith("event: response.completed"));
    return list(own(own(JSON.parse(/^data: (.*)$/m.exec(last ?? "")?.[1] ?? "{}"))["response"])["output"]);
  }

  /** What follows on an answer: references to its items, and the tool's result. */
  const next = (items: readonly Json[]): Json[] => [
    question,
    ...items.map(({ id }) => ({ type: "item_reference", id })),
    { type: "function_call_output", call_id: items.at(-1)?.["call_id"], output: "in the garden" },
  ];

  const lastSent = (): Json[] => list(upstream.requests.at(-1)?.json["messages"]);

  for (const stream of [false, true]) {
    it(`are resolved, to items of ${stream ? "a streamed" : "a whole"} answer`, async () => {
      const items = await first({ stream });
      assert.deepEqual(
        items.map(({ type }) => type),
        ["reasoning", "message", "function_call"],
      );
      const { status, text } = await post({ input: next(items) });
      assert.equal(status, 200, text);
      const [asked, turn, result] = lastSent();
      assert.equal(asked?.["content"], "Where?");
      assert.equal(turn?.["content"], "Let me look.");
      const [call] = list(turn?.["tool_calls"]);
      assert.equal(call?.["id"], items.at(-1)?.["call_id"]);
      assert.deepEqual(own(call?.["function"]), { name: "look", arguments: '{"at":"home"}' });
      assert.equal(result?.["content"], "in the garden");
    });
  }

  const refusals: { name: string; made?: Json; asked?: Json; caller?: keyof typeof keys }[] = [
    { name: "of another caller", caller: "bob" },
    { name: "where the answer was not to be stored", made: { store: false } },
    { name: "under a policy that masks", made: { model: "masked" }, asked: { model: "masked" } },
    { name: "past a policy's guard", asked: { model: "guarded" } },
  ];
  for (const { name, made, asked, caller } of refusals) {
    it(`are refused ${name}, with what to do`, async () => {
      const before = upstream.requests.length;
      const items = await first(made);
      const { status, text } = await post({ input: next(items), ...asked }, caller);
      assert.equal(status, 400, text);
      const { message, param } = own(own(JSON.parse(text))["error"]);
      assert.match(String(message), /no longer known.*`store` to false/);
      assert.equal(param, "input[2].id");
      assert.equal(upstream.requests.length, before + 1, "the provider got nothing of it");
    });
  }
});

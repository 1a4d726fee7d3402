/** Claude may think between text and calls: its signed reasoning stays in its place, in answers and in conversations. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../../harness/gateway.ts";
import { json, startUpstream, type Upstream } from "../../harness/upstream.ts";
import { type Json, list, own } from "./wire/wire.ts";

const clear = "slc_block_order_key_0001";
const signature = (text: string): string => `sig-of-${text}`;

/** What the model says, in short: t = thinking, x = text, c = call. */
type Short = string;
const answers: readonly Short[] = ["t1 x1 c1 t2 c2", "t1 t2 x1 c1", "x1 t1 c1", "t1 c1", "x1 c1 c2", "c1 t1 x1 c2"];

const messagesBlock = (short: Short): Json => {
  if (short.startsWith("t")) return { type: "thinking", thinking: short, signature: signature(short) };
  if (short.startsWith("x")) return { type: "text", text: short };
  return { type: "tool_use", id: `toolu_${short}`, name: "look", input: { at: short } };
};

const converseBlock = (short: Short): Json => {
  if (short.startsWith("t"))
    return { reasoningContent: { reasoningText: { text: short, signature: signature(short) } } };
  if (short.startsWith("x")) return { text: short };
  return { toolUse: { toolUseId: `toolu_${short}`, name: "look", input: { at: short } } };
};

/** A provider's blocks in short. */
function shortOf(block: Json): Short {
  const reasoning = own(own(block["reasoningContent"])["reasoningText"])["text"] ?? block["thinking"];
  const call = own(own(block["toolUse"] ?? block)["input"])["at"];
  return String(reasoning ?? call ?? block["text"]);
}

const itemShort = (item: Json): Short => {
  if (item["type"] === "reasoning") return String(list(item["summary"])[0]?.["text"]);
  if (item["type"] === "message") return String(list(item["content"])[0]?.["text"]);
  return String(own(JSON.parse(String(item["arguments"])))["at"]);
};

const schema = { type: "object", properties: { at: { type: "string" } } };

describe("the order of signed reasoning, text and calls", () => {
  let upstream: Upstream;
  let gateway: TestGateway;
  let next: Short = "";

  before(async () => {
    upstream = await startUpstream((request, response) => {
      const said = next.split(" ");
      if (request.path.startsWith("/model/"))
        return json(response, 200, {
          output: { message: { role: "assistant", content: said.map(converseBlock) } },
          stopReason: "tool_use",
          usage: { inputTokens: 5, outputTokens: 5, totalTokens: 10 },
        });
      const usage = { input_tokens: 5, output_tokens: 5 };
      const message = { id: "msg_1", type: "message", role: "assistant", model: "claude-opus-4-7" };
      return json(response, 200, { ...message, content: said.map(messagesBlock), stop_reason: "tool_use", usage });
    });
    const claude = "us.anthropic.claude-opus-4-7-v1:0";
    gateway = await startGateway([
      secret("bedrock-credentials", { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI" }),
      secret("anthropic-credentials", { apiKey: "sk-test" }),
      provider("bedrock", upstream.url, {
        ...{ type: "Bedrock", endpoint: upstream.url, options: { region: "us-east-1" } },
        models: [{ name: "Bedrock", upstream: claude }],
      }),
      provider("anthropic", upstream.url, {
        ...{ type: "Anthropic", endpoint: upstream.url },
        models: [{ name: "Anthropic", upstream: "claude-opus-4-7" }],
      }),
      ...["bedrock", "anthropic"].map((name) =>
        policy(name, {
          match: { models: [name === "bedrock" ? "Bedrock" : "Anthropic"] },
          routing: { targets: [{ provider: { name } }], fallbackOn: [] },
        }),
      ),
      ...key("agent", clear),
    ]);
  });
  after(async () => {
    await gateway?.close();
    await upstream?.close();
  });

  async function post(path: string, body: Json): Promise<Json> {
    const answer = await fetch(gateway.url + path, {
      method: "POST",
      headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const text = await answer.text();
    assert.equal(answer.status, 200, text);
    return own(JSON.parse(text));
  }

  /** The assistant's turn as the provider got it. */
  const turnSent = (): Short =>
    list(list(upstream.requests.at(-1)?.json["messages"]).find(({ role }) => role === "assistant")?.["content"])
      .map(shortOf)
      .join(" ");

  const results = (answer: Short): Short[] => answer.split(" ").filter((short) => short.startsWith("c"));

  for (const answer of answers) {
    it(`is kept on the way to Bedrock and back, in Messages: ${answer}`, async () => {
      next = answer;
      const tools = [{ name: "look", input_schema: schema }];
      const first = { role: "user", content: "Hi" };
      const asked = { model: "Bedrock", max_tokens: 4_000, tools };
      const { content } = await post("/v1/messages", { ...asked, messages: [first] });
      assert.equal(list(content).map(shortOf).join(" "), answer);
      const back = results(answer).map((short) => ({
        type: "tool_result",
        tool_use_id: `toolu_${short}`,
        content: "ok",
      }));
      const conversation = [first, { role: "assistant", content }, { role: "user", content: back }];
      await post("/v1/messages", { ...asked, messages: conversation });
      assert.equal(turnSent(), answer);
    });

    for (const model of ["Bedrock", "Anthropic"]) {
      it(`is kept on the way to ${model} and back, in Responses: ${answer}`, async () => {
        next = answer;
        const tools = [{ type: "function", name: "look", parameters: schema }];
        const first = { role: "user", content: "Hi" };
        const { output } = await post("/v1/responses", { model, tools, input: [first] });
        // Reasoning that follows on reasoning is one item.
        assert.equal(list(output).map(itemShort).join(" "), answer.replace("t1 t2", "t1t2"));
        const back = list(output).flatMap(({ type, call_id }) =>
          type === "function_call" ? [{ type: "function_call_output", call_id, output: "ok" }] : [],
        );
        await post("/v1/responses", { model, tools, input: [first, ...list(output), ...back] });
        assert.equal(turnSent(), answer);
      });
    }
  }
});

/** The official OpenAI and Anthropic SDKs, for Node and Python, with every provider. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { run } from "../harness/command.ts";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { ensurePythonEnv, skipReason } from "../harness/tools.ts";
import { startUpstream, type Upstream } from "../harness/upstream.ts";
import type { Said, Wire } from "./providers/wire/wire.ts";
import { wires } from "./providers/wire/wires.ts";

const clear = "slc_sdk_matrix_key_1";
const requirements = join(import.meta.dirname, "..", "tools", "requirements.txt");
const noPython = await skipReason(() => ensurePythonEnv(requirements));
const usage = { prompt: 11, cached: 3, completion: 7 };
const said: Said = { text: "Grüß Gott", usage };
const called: Said = { calls: [{ id: "call00001", name: "weather", args: { city: "Wien" } }], usage };
const expected = ["Grüß Gott", 18, "Grüß Gott", "weather", { city: "Wien" }];
const messages = [{ role: "user" as const, content: "Hi" }];
const schema = { type: "object" as const, properties: { city: { type: "string" } } };

/** A provider that calls a tool if the request has one, and otherwise answers with text. */
function serve(wire: Wire): Promise<Upstream> {
  return startUpstream((request, response) => {
    const aside = wire.aside?.(request) ?? null;
    const asked = aside === null ? wire.asked(request) : null;
    const answer = asked && asked.tools.length > 0 ? called : said;
    response.writeHead(200, { "content-type": asked?.stream ? wire.contentType : "application/json" });
    if (asked?.stream) for (const frame of wire.frames(answer)) response.write(frame);
    response.end(asked?.stream ? undefined : JSON.stringify(aside ?? wire.whole(answer)));
  });
}

describe("the official SDKs through every provider", () => {
  const upstreams: Upstream[] = [];
  let gateway: TestGateway;
  const modelOf = (wire: Wire): string => `on-${wire.type.toLowerCase()}`;

  before(async () => {
    const manifests = await Promise.all(
      wires.map(async (wire) => {
        const name = wire.type.toLowerCase();
        const upstream = await serve(wire);
        upstreams.push(upstream);
        const spec = {
          models: [{ name: modelOf(wire), upstream: "model-1" }],
          type: wire.type,
          ...wire.spec(upstream.url),
        };
        return [
          provider(name, upstream.url, spec),
          secret(`${name}-credentials`, wire.secret),
          policy(name, { match: { models: [modelOf(wire)] }, routing: { targets: [{ provider: { name } }] } }),
        ];
      }),
    );
    gateway = await startGateway([...manifests.flat(), ...key("alice", clear)]);
  });
  after(async () => {
    await gateway.close();
    await Promise.all(upstreams.map((upstream) => upstream.close()));
  });

  for (const wire of wires) {
    it(`Node's openai on ${wire.type}`, async () => {
      const client = new OpenAI({ apiKey: clear, baseURL: `${gateway.url}/v1`, maxRetries: 0 });
      const model = modelOf(wire);
      const plain = await client.chat.completions.create({ model, messages });
      let streamed = "";
      for await (const chunk of await client.chat.completions.create({ model, messages, stream: true }))
        streamed += chunk.choices[0]?.delta.content ?? "";
      const tools = [{ type: "function" as const, function: { name: "weather", parameters: schema } }];
      const stream = client.chat.completions.stream({ model, messages, tools });
      const [call] = (await stream.finalChatCompletion()).choices[0]?.message.tool_calls ?? [];
      assert.ok(call?.type === "function");
      assert.deepEqual(
        [
          plain.choices[0]?.message.content,
          plain.usage?.total_tokens,
          streamed,
          call.function.name,
          JSON.parse(call.function.arguments),
        ],
        expected,
      );
    });

    it(`Node's @anthropic-ai/sdk on ${wire.type}`, async () => {
      const client = new Anthropic({ apiKey: clear, baseURL: gateway.url, maxRetries: 0 });
      const model = modelOf(wire);
      const plain = await client.messages.create({ model, max_tokens: 99, messages });
      const streamed = await client.messages.stream({ model, max_tokens: 99, messages }).finalText();
      const tools = [{ name: "weather", input_schema: schema }];
      const message = await client.messages.stream({ model, max_tokens: 99, messages, tools }).finalMessage();
      const call = message.content.find((block) => block.type === "tool_use");
      const [first] = plain.content;
      const total = plain.usage.input_tokens + (plain.usage.cache_read_input_tokens ?? 0) + plain.usage.output_tokens;
      assert.deepEqual(
        [first?.type === "text" ? first.text : null, total, streamed, call?.name, call?.input],
        expected,
      );
    });
  }

  it("Python's openai and anthropic on all of them", { skip: noPython }, async () => {
    const python = await ensurePythonEnv(requirements);
    const models = wires.map(modelOf);
    const done = await run(python, [join(import.meta.dirname, "sdk-matrix.py"), gateway.url, clear, ...models], {});
    assert.equal(done.code, 0, done.stderr);
    assert.deepEqual(JSON.parse(done.stdout), Object.fromEntries(models.map((model) => [model, [expected, expected]])));
  });
});

/** Comments keep a stream alive while its first content is late, in every dialect, and fallback still works. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { eventually, key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { type Answer, chatFrames, json, openai, startUpstream, type Upstream } from "../harness/upstream.ts";

const clear = "slc_alice_key_0001";
const body = { model: "gpt-4o", stream: true, max_tokens: 9, messages: [{ role: "user", content: "Hi" }] };

describe("a stream whose first content is late", () => {
  let upstream: Upstream;
  let second: Upstream;
  let gateway: TestGateway;
  before(async () => {
    upstream = await startUpstream();
    second = await startUpstream(openai);
    gateway = await startGateway(
      [
        provider("up", upstream.url, { models: [{ name: "gpt-4o" }, { name: "alone" }, { name: "cached" }] }),
        provider("second", second.url),
        secret("up-credentials", { apiKey: "sk-up" }),
        secret("second-credentials", { apiKey: "sk-second" }),
        policy("chat", {
          match: { models: ["gpt-4o"] },
          routing: { targets: [{ provider: { name: "up" } }, { provider: { name: "second" }, priority: 2 }] },
        }),
        policy("cached", {
          match: { models: ["cached"] },
          routing: { targets: [{ provider: { name: "up" } }] },
          cache: {},
        }),
        policy("alone", { match: { models: ["alone"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
        ...key("alice", clear),
      ],
      ["--stream-keep-alive-ms", "30"],
    );
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
    await second.close();
  });

  const post = (path: string, more: object = {}): Promise<Response> =>
    fetch(`${gateway.url}/v1/${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
      body: JSON.stringify({ ...body, ...more }),
    });
  /** The provider sends nothing until the caller has read a comment. */
  function late(then: Answer): { answer: Answer; go: () => void } {
    let go: () => void = () => undefined;
    const waited = new Promise<void>((resolve) => (go = resolve));
    return { answer: async (request, response) => waited.then(() => then(request, response)), go: () => go() };
  }
  async function readAfterComment(reply: Response, go: () => void): Promise<string> {
    let text = "";
    for await (const part of reply.body ?? []) {
      text += Buffer.from(part).toString("utf8");
      if (text.includes(": keep-alive\n\n")) go();
    }
    return text;
  }

  for (const path of ["chat/completions", "messages"]) {
    it(`gets comments, ${path}, and then its content`, async () => {
      const { answer, go } = late((_request, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.end(chatFrames("gpt-4o", ["Hello"], true).join(""));
      });
      upstream.answer(answer);
      const reply = await post(path);
      assert.equal(reply.status, 200);
      assert.match(reply.headers.get("content-type") ?? "", /event-stream/);
      const text = await readAfterComment(reply, go);
      assert.match(text, /^(: keep-alive\n\n)+[^:][\s\S]*Hello/);
    });
  }

  it("gets comments while it waits for an equal call, and then that call's answer", async () => {
    let asked = 0;
    const { answer, go } = late((_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end(chatFrames("cached", ["Hello"], true).join(""));
    });
    upstream.answer((request, response) => {
      asked++;
      return answer(request, response);
    });
    const leader = post("chat/completions", { model: "cached" });
    await eventually(() => asked === 1);
    const follower = await post("chat/completions", { model: "cached" });
    assert.equal(follower.status, 200);
    const text = await readAfterComment(follower, go);
    assert.match(text, /^(: keep-alive\n\n)+[^:][\s\S]*Hello[\s\S]*\[DONE\]/);
    assert.match(await (await leader).text(), /Hello/);
    assert.equal(asked, 1);
    assert.match(
      await (await post("chat/completions", { model: "cached" })).text(),
      /^data: [\s\S]*Hello/,
      "no comment is cached",
    );
  });

  it("still fails over to another target", async () => {
    const { answer, go } = late((_request, response) => json(response, 500, { error: { message: "died" } }));
    upstream.answer(answer);
    const text = await readAfterComment(await post("chat/completions"), go);
    assert.match(text, /"content":"Hello"[\s\S]*\[DONE\]/);
  });

  it("ends with an error event if no provider answers", async () => {
    const { answer, go } = late((_request, response) => json(response, 500, { error: { message: "died" } }));
    upstream.answer(answer);
    const text = await readAfterComment(await post("chat/completions", { model: "alone" }), go);
    assert.match(text, /^(: keep-alive\n\n)+data: \{"error":\{"message":"died"/);
    assert.doesNotMatch(text, /\[DONE\]/);
  });

  it("is read by the official SDKs, which ignore comments", async () => {
    const answer: Answer = async (_request, response) => {
      await new Promise((resolve) => setTimeout(resolve, 120));
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end(chatFrames("gpt-4o", ["Hello"], true).join(""));
    };
    upstream.answer(answer);
    const messages = [{ role: "user" as const, content: "Hi" }];
    const chat = await new OpenAI({ apiKey: clear, baseURL: `${gateway.url}/v1` }).chat.completions.create({
      model: "gpt-4o",
      stream: true,
      messages,
    });
    let words = "";
    for await (const part of chat) words += part.choices[0]?.delta.content ?? "";
    const claude = new Anthropic({ apiKey: clear, baseURL: gateway.url });
    const message = await claude.messages.stream({ model: "gpt-4o", max_tokens: 9, messages }).finalMessage();
    assert.deepEqual([words, message.content[0]?.type === "text" && message.content[0].text], ["Hello", "Hello"]);
  });
});

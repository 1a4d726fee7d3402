/** Large texts are read by worker threads: other calls go on meanwhile, and the results are those of the event loop. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { eventually, key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { json, openai, startUpstream, type Upstream, usage } from "../harness/upstream.ts";

type Json = Record<string, unknown>;
const alice = "slc_large_alice_00001";
const eve = "slc_large_eve_0000001";

/** Could begin at any letter, and is read for 150 more: the worst that a policy may have. */
const costly = { name: "Word", pattern: "(?i)[\\pL ]{0,150}secret" };
const words = "nobody had asked for them, and the rain began; mail a@b.co or 4111 1111 1111 1111. ";
const long = words.repeat(1_500);

const inNamespace = (namespace: string) => (manifest: ReturnType<typeof policy>) => ({
  ...manifest,
  metadata: { ...manifest.metadata, namespace },
});

function manifests(url: string): Parameters<typeof startGateway>[0] {
  const routing = { targets: [{ provider: { name: "up" } }] };
  const mask = { detect: ["Email", "CreditCard"] };
  const models = ["masked", "hidden", "denied", "answers", "stream", "costly", "plain"].map((name) => ({ name }));
  const tenant = (clear: string, name: string): ReturnType<typeof policy>[] =>
    [
      provider("up", url, { models }),
      secret("up-credentials", { apiKey: "sk" }),
      policy("masked", { match: { models: ["masked"] }, routing, guard: { mask } }),
      policy("hidden", { match: { models: ["hidden"] }, routing, guard: { mask: { ...mask, mode: "Placeholder" } } }),
      policy("denied", { match: { models: ["denied"] }, routing, guard: { deny: ["(?i)bomb"], mask } }),
      policy("answers", { match: { models: ["answers"] }, routing, guard: { mask: { ...mask, answers: true } } }),
      policy("stream", {
        match: { models: ["stream"] },
        routing,
        guard: { mask: { ...mask, custom: [costly], answers: true } },
      }),
      policy("costly", { match: { models: ["costly"] }, routing, guard: { mask: { custom: [costly] } } }),
      policy("plain", { match: { models: ["plain"] }, routing }),
      ...key(name, clear),
    ].map(inNamespace(name));
  return [...tenant(alice, "alice"), ...tenant(eve, "eve")];
}

describe("large texts", () => {
  let upstream: Upstream;
  const gateways = new Map<"threads" | "event loop", TestGateway>();

  before(async () => {
    upstream = await startUpstream();
    gateways.set("threads", await startGateway(manifests(upstream.url)));
    gateways.set("event loop", await startGateway(manifests(upstream.url), ["--text-threads=0"]));
  });
  after(async () => {
    for (const gateway of gateways.values()) await gateway.close();
    await upstream.close();
  });

  const send = async (
    model: string,
    content: string,
    clear = alice,
    where: "threads" | "event loop" = "threads",
  ): Promise<{ status: number; headers: Headers; text: string }> => {
    const response = await fetch(`${gateways.get(where)?.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
      body: JSON.stringify({ model, messages: [{ role: "user", content }] }),
    });
    return { status: response.status, headers: response.headers, text: await response.text() };
  };
  const echo = (content: (asked: string) => string): void =>
    upstream.answer((request, response) => {
      const messages = request.json["messages"] as { content: string }[];
      const message = { role: "assistant", content: content(messages[0]?.content ?? "") };
      json(response, 200, {
        id: "c",
        object: "chat.completion",
        choices: [{ index: 0, message, finish_reason: "stop" }],
      });
    });
  const said = (text: string): string =>
    ((JSON.parse(text) as Json)["choices"] as { message: { content: string } }[])[0]?.message.content ?? "";

  for (const model of ["masked", "hidden", "answers", "costly"])
    it(`reads ${model} alike in a thread and on the event loop`, async () => {
      echo((asked) => (model === "answers" ? long : asked));
      const content = model === "costly" ? `${"the rain began. ".repeat(400)} my secret` : long;
      const asked: string[] = [];
      const answered: string[] = [];
      for (const where of ["threads", "event loop"] as const) {
        answered.push(said((await send(model, content, alice, where)).text));
        asked.push(upstream.requests.at(-1)?.text ?? "");
      }
      assert.equal(asked[0], asked[1]);
      assert.equal(answered[0], answered[1]);
      assert.doesNotMatch(asked[0] ?? "", /a@b\.co|4111|my secret/);
      // What a placeholder stands for is put back, and everything else stays masked.
      if (model === "hidden") assert.equal(answered[0], long);
      else assert.doesNotMatch(answered[0] ?? "", /a@b\.co|4111|my secret/);
    });

  it("refuses what the guard denies, at the end of a long text as well", async () => {
    echo(() => "hi");
    const before = upstream.requests.length;
    const refused = await send("denied", `${long} BOMB`);
    assert.equal(refused.status, 400);
    assert.match(refused.text, /prompt_denied/);
    assert.equal(upstream.requests.length, before);
  });

  it("lets the calls of other namespaces pass a long text", async () => {
    echo(() => "hi");
    const order: string[] = [];
    const call = async (who: string, model: string, content: string, clear: string): Promise<void> => {
      assert.equal((await send(model, content, clear)).status, 200);
      order.push(who);
    };
    const attack = `${"a".repeat(40_000)} secret`;
    const attacks = [1, 2, 3].map(() => call("eve", "costly", attack, eve));
    for (let count = 0; count < 5; count++) await call("alice", "plain", "hi", alice);
    await call("alice", "masked", long, alice);
    assert.deepEqual(order, Array(6).fill("alice"));
    await Promise.all(attacks);
  });

  it("refuses a namespace's calls beyond what may wait, and no others", async () => {
    echo(() => "hi");
    const attack = `${"a".repeat(4_000)} secret`;
    const attacks = Array.from({ length: 100 }, () => send("costly", attack, eve));
    assert.equal((await send("masked", long, alice)).status, 200);
    const answers = await Promise.all(attacks);
    assert.deepEqual([...new Set(answers.map(({ status }) => status))].sort(), [200, 429]);
    const refused = answers.find(({ status }) => status === 429);
    assert.match(refused?.text ?? "", /rate_limit_exceeded/);
    assert.equal(refused?.headers.get("retry-after"), "1");
  });

  for (const where of ["threads", "event loop"] as const)
    it(`lets other calls pass a long event of a stream that is masked: ${where}`, async () => {
      // One event of 60 KB, whose pattern is costly for every character of it.
      const content = `${"the rain began. ".repeat(3_750)}${"z".repeat(200)}. Write to a@b.co, my secret`;
      upstream.answer((request, response) => {
        if (request.json["model"] !== "stream") return openai(request, response);
        response.writeHead(200, { "content-type": "text/event-stream" });
        const chunk = (delta: object, finish_reason: string | null) =>
          `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", choices: [{ index: 0, delta, finish_reason }] })}\n\n`;
        const end = chunk({ content: ". The end" }, "stop");
        response.end(
          `${chunk({ content }, null)}${end}data: ${JSON.stringify({ id: "c", choices: [], usage })}\n\ndata: [DONE]\n\n`,
        );
      });
      const url = gateways.get(where)?.url;
      let answered: string | null = null;
      const stream = fetch(`${url}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${eve}`, "content-type": "application/json" },
        body: JSON.stringify({ model: "stream", stream: true, messages: [{ role: "user", content: "Hi" }] }),
      }).then(async (response) => {
        answered = await response.text();
      });
      let passed = 0;
      while (answered === null) {
        assert.equal((await send("plain", "hi", alice, where)).status, 200);
        passed++;
      }
      await stream;
      assert.ok(passed >= 10, `${passed} calls were answered meanwhile`);
      const text = String(answered)
        .split("\n")
        .filter((line) => line.startsWith("data: {"))
        .map((line) => (JSON.parse(line.slice(6)).choices[0]?.delta.content ?? "") as string)
        .join("");
      assert.equal(text.slice(0, 10_000), content.slice(0, 10_000));
      assert.match(text, /Write to \[EMAIL\], \[WORD\]\. The end$|\[WORD\]\. The end$/);
      assert.doesNotMatch(text, /a@b\.co|my secret/);
      assert.match(String(answered), /\[DONE\]\n\n$/);
      const record = await eventually(async () => {
        const line = gateways.get(where)?.logs.findLast((entry) => entry["model"] === "stream" && "masked" in entry);
        assert.ok(line);
        return line;
      });
      assert.deepEqual(
        Object.keys(record["masked"] as object).includes("Word"),
        true,
        JSON.stringify(record["masked"]),
      );
    });
});

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import {
  eventually,
  key,
  type Manifest,
  policy,
  provider,
  secret,
  startGateway,
  type TestGateway,
} from "../harness/gateway.ts";
import { type Answer, chatFrames, json, openai, startUpstream, type Upstream } from "../harness/upstream.ts";

const clear = "slc_alice_key_0001";
const frames = chatFrames("gpt-4o", ["one", "two"], true);

const faults: { name: string; answer: Answer; retried: boolean }[] = [
  { name: "resets before its head", answer: (_request, response) => void response.destroy(), retried: true },
  {
    name: "says 429 and when to come back",
    answer: (_request, response) => json(response, 429, { error: { message: "slow" } }, { "retry-after": "30" }),
    retried: false,
  },
  {
    name: "says 429 and nothing more",
    answer: (_request, response) => json(response, 429, { error: { message: "slow" } }),
    retried: false,
  },
  {
    name: "says 500",
    answer: (_request, response) => json(response, 500, { error: { message: "bug" } }),
    retried: true,
  },
  {
    name: "says 503",
    answer: (_request, response) => json(response, 503, { error: { message: "later" } }),
    retried: true,
  },
  { name: "never sends a byte", answer: () => undefined, retried: false },
  {
    name: "answers HTML",
    answer: (_request, response) => {
      response.writeHead(200, { "content-type": "text/html" });
      response.end("<html></html>");
    },
    retried: true,
  },
  {
    name: "breaks off before the first byte of its answer",
    answer: (_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.flushHeaders();
      response.destroy();
    },
    retried: true,
  },
];

describe("with a second target", () => {
  let first: Upstream;
  let second: Upstream;
  let gateway: TestGateway;
  const ofFault = (at: number): string[] => [`plain-${at}`, `stream-${at}`];
  /** Only providers that never answer get a short limit, because a busy machine can delay the others. */
  const silent = faults.findIndex(({ name }) => name === "never sends a byte");
  const firstOf = (model: string): string => (ofFault(silent).includes(model) ? "silent" : "first");
  const models = [...faults.flatMap((_, index) => ofFault(index)), "gpt-4o"];
  const manifests = (spec: Record<string, unknown> = {}): Manifest[] => [
    ...["first", "silent"].flatMap((name) => [
      provider(name, first.url, {
        models: models.filter((model) => firstOf(model) === name).map((model) => ({ name: model })),
        retry: { attempts: 2, initialDelay: "1ms", maxDelay: "2ms" },
        ...(name === "silent" ? { timeouts: { response: "200ms", firstToken: "200ms" } } : {}),
      }),
      secret(`${name}-credentials`, { apiKey: "sk-first" }),
    ]),
    provider("second", second.url, { models: [{ name: "gpt-4o" }] }),
    secret("second-credentials", { apiKey: "sk-second" }),
    ...models.map((model) =>
      policy(`for-${model}`, {
        match: { models: [model] },
        routing: {
          targets: [
            { provider: { name: firstOf(model) } },
            { provider: { name: "second" }, model: "gpt-4o", priority: 2 },
          ],
        },
        ...spec,
      }),
    ),
    ...key("alice", clear),
  ];
  const post = (body: object, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${clear}`,
        "content-type": "application/json",
        "x-sluice-attempts": "true",
        ...headers,
      },
      body: JSON.stringify({ messages: [{ role: "user", content: "Hi" }], ...body }),
    });

  before(async () => {
    first = await startUpstream();
    second = await startUpstream();
    gateway = await startGateway(manifests());
  });
  beforeEach(() => {
    first.answer(openai);
    second.answer(openai);
  });
  after(async () => {
    await gateway.close();
    await first.close();
    await second.close();
  });

  for (const [index, { name, answer, retried }] of faults.entries()) {
    for (const stream of [false, true]) {
      it(`a caller does not notice that the first ${name}${stream ? ", when streaming" : ""}`, async () => {
        first.answer(answer);
        const reply = await post({ model: `${stream ? "stream" : "plain"}-${index}`, stream });
        const text = await reply.text();
        assert.equal(reply.status, 200, text);
        assert.match(text, stream ? /data: \[DONE\]\n\n$/ : /"Hello there"/);
        assert.equal(reply.headers.get("x-provider-used"), "second");
        assert.equal(reply.headers.get("x-sluice-attempts"), retried ? "3" : "2");
      });
    }
  }

  it("counts the failover, from and to", async () => {
    assert.match(
      await gateway.metrics(),
      /ai_gateway_provider_failover_total\{from="default\/first",to="default\/second"\} \d+/,
    );
  });

  it("never adds a second provider's output to a stream that has begun", async () => {
    first.answer((_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(frames.slice(0, 3).join(""));
      setImmediate(() => response.destroy());
    });
    const asked = second.requests.length;
    const text = await (await post({ model: "gpt-4o", stream: true })).text();
    assert.match(text, /"code":"upstream_stream_truncated"/);
    assert.doesNotMatch(text, /\[DONE\]|Hello/);
    assert.equal(second.requests.length, asked);
  });

  it("does not ask the second target if the first blamed the caller", async () => {
    first.answer((_request, response) => json(response, 400, { error: { message: "no such parameter", param: "x" } }));
    const asked = second.requests.length;
    const reply = await post({ model: "gpt-4o" });
    assert.equal(reply.status, 400);
    assert.equal(second.requests.length, asked);
  });

  it("moves a stream with a late first token on, but waits for the last target", async () => {
    const late: Answer = (_request, response) => {
      setTimeout(() => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.end(frames.join(""));
      }, 60);
    };
    const asked = second.requests.length;
    await gateway.apply(
      manifests().map((manifest) =>
        manifest.metadata.name === "for-gpt-4o"
          ? policy("for-gpt-4o", {
              match: { models: ["gpt-4o"] },
              routing: {
                slowAfter: "20ms",
                targets: [{ provider: { name: "first" } }, { provider: { name: "second" }, priority: 2 }],
              },
            })
          : manifest,
      ),
    );
    // Waits as long as needed: on a busy machine the timer can fire after the provider has answered.
    first.answer(async (request, response) => {
      await eventually(() => second.requests.length > asked || response.destroyed);
      return late(request, response);
    });
    second.answer(late);
    const reply = await post({ model: "gpt-4o", stream: true });
    assert.match(await reply.text(), /data: \[DONE\]\n\n$/);
    assert.equal(reply.headers.get("x-provider-used"), "second");
    assert.equal(reply.headers.get("x-sluice-attempts"), "2");
    // Targets that are slow by this policy come last, and on a busy machine all can be slow.
    await gateway.apply(manifests());
  });

  it("moves on before a refusal if a provider's headers say that its limit is used up", async () => {
    first.answer((request, response) => {
      for (const [name, value] of Object.entries({ limit: "2", remaining: "0", reset: "1m0s" }))
        response.setHeader(`x-ratelimit-${name}-requests`, value);
      return openai(request, response);
    });
    const used = [];
    for (const stream of [false, true, false]) {
      const reply = await post({ model: "gpt-4o", stream });
      await reply.arrayBuffer();
      used.push(reply.headers.get("x-provider-used"));
    }
    assert.deepEqual(used, ["first", "second", "second"]);
  });

  it("follows the caller's preferred provider", async () => {
    const reply = await post({ model: "gpt-4o" }, { "x-prefer-provider": "second" });
    await reply.arrayBuffer();
    assert.equal(reply.headers.get("x-provider-used"), "second");
  });
});

describe("with every provider down", () => {
  it("retries within the retry budget, and sends nothing while the breaker is open", async () => {
    const upstream = await startUpstream((_request, response) => json(response, 503, { error: { message: "down" } }));
    const gateway = await startGateway([
      provider("up", upstream.url, {
        retry: { attempts: 3, initialDelay: "1ms", maxDelay: "2ms" },
        circuitBreaker: { failureThreshold: 1000 },
      }),
      secret("up-credentials", { apiKey: "sk-up" }),
      provider("fragile", upstream.url, {
        retry: { attempts: 1 },
        circuitBreaker: { failureThreshold: 3, openFor: "1h" },
        models: [{ name: "fragile" }],
      }),
      secret("fragile-credentials", { apiKey: "sk-fragile" }),
      policy("chat", { match: { models: ["gpt-4o"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
      policy("fragile", { match: { models: ["fragile"] }, routing: { targets: [{ provider: { name: "fragile" } }] } }),
      ...key("alice", clear),
    ]);
    const call = async (model: string): Promise<[number, string | null]> => {
      const reply = await fetch(`${gateway.url}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
        body: JSON.stringify({ model, messages: [{ role: "user", content: "Hi" }] }),
      });
      await reply.arrayBuffer();
      return [reply.status, reply.headers.get("x-should-retry")];
    };
    try {
      const answers = await Promise.all(Array.from({ length: 200 }, () => call("gpt-4o")));
      assert.deepEqual(new Set(answers.map((answer) => answer.join(" "))), new Set(["503 "]));
      assert.ok(upstream.requests.length <= 200 * 1.2 + 10, `${upstream.requests.length} attempts for 200 requests`);
      const before = upstream.requests.length;
      for (let at = 0; at < 10; at++) await call("fragile");
      assert.equal(upstream.requests.length - before, 3);
      await eventually(async () =>
        /ai_gateway_circuit_breaker_state\{provider="default\/fragile",model="fragile"\} 2/.test(
          await gateway.metrics(),
        ),
      );
      const status = JSON.stringify(await gateway.status());
      assert.match(status, /"breakers":\{"fragile":"open"\}/);
    } finally {
      await gateway.close();
      await upstream.close();
    }
  });
});

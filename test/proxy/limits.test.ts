import assert from "node:assert/strict";
import { after, test } from "node:test";
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
import { openai, startUpstream } from "../harness/upstream.ts";

const upstream = await startUpstream();
after(() => upstream.close());
const clear = "sk-sluice-0123456789abcdef0123456789abcdef";
const otherClear = "sk-sluice-fedcba9876543210fedcba9876543210";

const manifests = (limits: unknown, keySpec: Record<string, unknown> = {}): Manifest[] => [
  provider("openai", upstream.url),
  secret("openai-credentials", { apiKey: "sk-upstream" }),
  policy("chat", {
    match: { models: ["gpt-4o"] },
    routing: { targets: [{ provider: { name: "openai" } }] },
    ...(limits === null ? {} : { limits }),
  }),
  ...key("alice", clear, { team: "red", ...keySpec }),
  ...key("bob", otherClear, { team: "red" }),
];

async function gateway(limits: unknown, keySpec: Record<string, unknown> = {}): Promise<TestGateway> {
  const started = await startGateway(manifests(limits, keySpec));
  after(() => started.close());
  return started;
}

const call = (url: string, as = clear, body: Record<string, unknown> = {}): Promise<Response> =>
  fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${as}`, "content-type": "application/json" },
    body: JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: "Hi" }], ...body }),
  });

async function statuses(url: string, count: number, as = clear): Promise<number[]> {
  const seen: number[] = [];
  for (let at = 0; at < count; at++) {
    const answer = await call(url, as);
    await answer.text();
    seen.push(answer.status);
  }
  return seen;
}

test("requests beyond a limit get 429, with the remaining quota in the headers that SDKs read", async () => {
  const { url } = await gateway([{ per: "ApiKey", requests: 2, window: "1h" }]);
  const first = await call(url);
  assert.equal(first.status, 200);
  assert.equal(first.headers.get("x-ratelimit-limit-requests"), "2");
  assert.equal(first.headers.get("x-ratelimit-remaining-requests"), "1");
  assert.match(first.headers.get("x-ratelimit-reset-requests") ?? "", /^1h0m[0-9]+s$/);
  assert.equal((await call(url)).status, 200);
  const refused = await call(url);
  assert.equal(refused.status, 429);
  const { error } = (await refused.json()) as { error: Record<string, unknown> };
  assert.equal(error["code"], "rate_limit_exceeded");
  assert.equal(error["type"], "rate_limit_error");
  assert.match(String(error["message"]), /2 requests per hour for this API key/);
  assert.ok(Number(refused.headers.get("retry-after")) > 3_500);
  assert.equal(refused.headers.get("x-should-retry"), "false", "nobody waits for an hour");
  assert.equal(refused.headers.get("x-ratelimit-remaining-requests"), "0");
  assert.equal((await call(url, otherClear)).status, 200, "each key has its own");
});

test("the Anthropic surface has its own headers", async () => {
  const { url } = await gateway([{ per: "User", requests: 5, window: "1m" }]);
  const answer = await fetch(`${url}/v1/messages`, {
    method: "POST",
    headers: { "x-api-key": clear, "content-type": "application/json" },
    body: JSON.stringify({ model: "gpt-4o", max_tokens: 10, messages: [{ role: "user", content: "Hi" }] }),
  });
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get("anthropic-ratelimit-requests-limit"), "5");
  assert.equal(answer.headers.get("anthropic-ratelimit-requests-remaining"), "4");
  assert.ok(Date.parse(answer.headers.get("anthropic-ratelimit-requests-reset") ?? "") > Date.now());
});

for (const [per, sharedByBoth] of [
  ["ApiKey", false],
  ["User", false],
  ["Team", true],
  ["Role", true],
  ["Route", true],
  ["Model", true],
] as const) {
  test(`a limit per ${per} ${sharedByBoth ? "is shared by" : "is separate for"} two keys of one team`, async () => {
    const { url } = await gateway([{ per, requests: 3, window: "1h" }]);
    assert.deepEqual(await statuses(url, 3), [200, 200, 200]);
    assert.deepEqual(await statuses(url, 1, otherClear), [sharedByBoth ? 429 : 200]);
  });
}

test("a key's own limit applies in addition to the policy's", async () => {
  const { url } = await gateway([{ per: "ApiKey", requests: 5, window: "1h" }], {
    limits: [{ requests: 1, window: "1d" }],
  });
  assert.deepEqual(await statuses(url, 2), [200, 429]);
  assert.deepEqual(await statuses(url, 2, otherClear), [200, 200]);
});

test("tokens are counted as the provider reports them, whatever the estimate was", async () => {
  // An answer has 18 tokens. Without a cap the estimate is above a thousand, and the difference is given back.
  const { url } = await gateway([{ per: "ApiKey", tokens: 1_100, window: "1h" }]);
  const answer = await call(url, clear, { max_tokens: 1_000 });
  assert.equal(answer.headers.get("x-ratelimit-limit-tokens"), "1100");
  await answer.text();
  const remaining = await eventually(async () => {
    const next = await call(url, clear, { max_tokens: 10 });
    await next.text();
    const left = Number(next.headers.get("x-ratelimit-remaining-tokens"));
    return next.status === 200 && left > 900 ? left : null;
  });
  assert.ok(remaining < 1_100);
  const refused = await call(url, clear, { max_tokens: 1_099 });
  assert.equal(refused.status, 429);
  assert.match(
    await refused.text(),
    /this call counts as 1,?1\d\d tokens; a lower limit on output tokens may let it pass\. Try again in/,
  );
});

test("concurrent calls are limited, and a call's place is free when it ends", async () => {
  const { url } = await gateway([{ per: "User", concurrency: 1 }]);
  let go: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  upstream.answer(async (_request, response) => {
    await gate;
    response.writeHead(200, { "content-type": "application/json" });
    response.end(
      JSON.stringify({
        id: "1",
        object: "chat.completion",
        created: 1,
        model: "gpt-4o",
        choices: [],
        usage: { prompt_tokens: 1, completion_tokens: 1 },
      }),
    );
  });
  const before = upstream.requests.length;
  const first = call(url);
  await eventually(() => upstream.requests.length > before);
  const second = await call(url);
  assert.equal(second.status, 429);
  assert.equal(second.headers.get("retry-after"), "1");
  assert.match(await second.text(), /At most 1 call/);
  go();
  assert.equal((await first).status, 200);
  await (await first).text();
  assert.equal(
    (
      await eventually(async () => {
        const next = await call(url);
        await next.text();
        return next.status === 200 ? next : null;
      })
    ).status,
    200,
  );
});

test("all or nothing: a call that one limit refuses uses nothing of the others", async () => {
  const { url } = await gateway([
    { per: "ApiKey", requests: 1, window: "1h" },
    { per: "Team", requests: 3, window: "1h" },
  ]);
  assert.deepEqual(await statuses(url, 4), [200, 429, 429, 429]);
  assert.deepEqual(await statuses(url, 2, otherClear), [200, 429]);
});

for (const [limits, complaint] of [
  [[{ per: "User" }], /set exactly one of requests, tokens, concurrency and duration/],
  [[{ per: "User", requests: 1, tokens: 1 }], /set exactly one of requests, tokens, concurrency and duration/],
  [[{ per: "User", requests: 1, window: "500ms" }], /window must be at least 1s and at most 31d/],
  [[{ per: "User", requests: 1, window: "60d" }], /window must be at least 1s and at most 31d/],
  [
    [
      { per: "User", requests: 1 },
      { per: "User", requests: 2 },
    ],
    /two limits are for the same requests in the same window/,
  ],
  [[{ per: "Planet", requests: 1 }], /per/],
  [[{ per: "User", requests: -1 }], /requests/],
] as const) {
  test(`refused with a message: ${JSON.stringify(limits)}`, async () => {
    const good = await gateway(null);
    await good.apply(manifests(limits));
    assert.match(good.printed.join("\n"), complaint);
  });
}

test("a small token limit allows calls one after another, even if callers set no cap", async () => {
  // A call has 18 tokens.
  upstream.answer(openai);
  const { url } = await gateway([{ per: "ApiKey", tokens: 300, window: "1h" }]);
  const seen = await statuses(url, 20);
  assert.ok(seen.filter((status) => status === 200).length >= 12, `${seen}`);
  assert.ok(seen.filter((status) => status === 200).length * 18 <= 300, `${seen}`);
});

for (const limit of [{ requests: 0 }, { tokens: 0 }, { concurrency: 0 }]) {
  test(`a limit of 0 pauses calls: ${JSON.stringify(limit)}`, async () => {
    const { url } = await gateway([{ per: "Route", ...limit }]);
    const response = await call(url);
    assert.equal(response.status, 429);
    assert.equal(response.headers.get("x-should-retry"), "false");
    const { error } = (await response.json()) as { error: { code: string; message: string } };
    assert.equal(error.code, "rate_limit_exceeded");
    assert.match(error.message, /paused/);
  });
}

test("a clock that is set back doesn't keep a limit closed", async () => {
  const real = Date.now;
  const { url } = await gateway([{ per: "Route", requests: 3, window: "1s" }]);
  assert.ok((await statuses(url, 4)).includes(429));
  Date.now = () => real() - 3_600_000;
  try {
    await eventually(async () => (await statuses(url, 1))[0] === 200);
    Date.now = () => real() + 7_200_000;
    await eventually(async () => (await statuses(url, 1))[0] === 200);
  } finally {
    Date.now = real;
  }
});

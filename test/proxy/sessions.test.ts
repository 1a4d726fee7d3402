/** Sessions: how a call says which it belongs to, limits and budgets for each, and the target that each stays on. */
import assert from "node:assert/strict";
import { after, beforeEach, describe, it } from "node:test";
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
import { sluice } from "../harness/sluice.ts";
import { type Answer, json, openai, startUpstream } from "../harness/upstream.ts";

const upstreams = { big: await startUpstream(), small: await startUpstream() };
after(() => Promise.all(Object.values(upstreams).map((upstream) => upstream.close())));
const clearOf = (name: string): string => `slc_${name}_key_0001_0123456789`;
const price = { inputPerMillion: "2", cachedInputPerMillion: "0.2", outputPerMillion: "10" };

beforeEach(() => {
  for (const upstream of Object.values(upstreams)) {
    upstream.answer(openai);
    upstream.requests.length = 0;
  }
});

const manifests = (routing: Record<string, unknown>, more: Record<string, unknown>, ...others: Manifest[]) => [
  ...Object.entries(upstreams).flatMap(([name, { url }]) => [
    provider(name, url, { models: [{ name: "gpt-4o", price }] }),
    secret(`${name}-credentials`, { apiKey: "sk-upstream" }),
  ]),
  policy("chat", {
    match: { models: ["gpt-4o"] },
    routing: { targets: [{ provider: { name: "big" } }, { provider: { name: "small" } }], ...routing },
    ...more,
  }),
  ...key("alice", clearOf("alice")),
  ...key("bob", clearOf("bob")),
  ...others,
];

async function gateway(
  routing: Record<string, unknown>,
  more: Record<string, unknown> = {},
  ...others: Manifest[]
): Promise<TestGateway> {
  const started = await startGateway(manifests(routing, more, ...others));
  after(() => started.close());
  return started;
}

interface Sent {
  as?: string;
  headers?: Record<string, string>;
  body?: Record<string, unknown>;
}

const chat = (url: string, { as = "alice", headers = {}, body = {} }: Sent): Promise<Response> =>
  fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${clearOf(as)}`, "content-type": "application/json", ...headers },
    body: JSON.stringify({ model: "gpt-4o", max_tokens: 10, messages: [{ role: "user", content: "Hi" }], ...body }),
  });

const inSession = (session: string, as = "alice"): Sent => ({ as, headers: { "x-session-id": session } });

const uuid = "072ed9b5-2c60-486d-aa4f-20afd95ddd37";
const device = "0123456789abcdef".repeat(4);
const hashed = /^sha256-[0-9a-f]{32}$/;

describe("the session of a call", () => {
  const rows: { name: string; sent: Sent; session: string | RegExp | undefined }[] = [
    { name: "Claude Code's header", sent: { headers: { "x-claude-code-session-id": uuid } }, session: uuid },
    { name: "Codex's header", sent: { headers: { "session-id": uuid } }, session: uuid },
    { name: "Codex's header of old", sent: { headers: { session_id: uuid } }, session: uuid },
    { name: "opencode's header", sent: { headers: { "x-session-affinity": "ses_1" } }, session: "ses_1" },
    { name: "the installation's header", sent: { headers: { "x-session-id": "run-7" } }, session: "run-7" },
    {
      name: "the policy's header, before all others",
      sent: { headers: { "x-run": "run-8", "x-session-id": "run-7", "session-id": uuid } },
      session: "run-8",
    },
    { name: "prompt_cache_key", sent: { body: { prompt_cache_key: uuid } }, session: uuid },
    {
      name: "a header before the body",
      sent: { headers: { "session-id": "a" }, body: { prompt_cache_key: "b" } },
      session: "a",
    },
    {
      name: "Claude Code's user_id",
      sent: { body: { metadata: { user_id: JSON.stringify({ device_id: device, session_id: uuid }) } } },
      session: uuid,
    },
    {
      name: "Claude Code's user_id of old",
      sent: { body: { metadata: { user_id: `user_${device}_account__session_${uuid}` } } },
      session: uuid,
    },
    {
      name: "a user_id without one",
      sent: { body: { metadata: { user_id: "alice@example.com" } } },
      session: undefined,
    },
    { name: "a user_id that is broken", sent: { body: { metadata: { user_id: "{" } } }, session: undefined },
    { name: "nothing", sent: {}, session: undefined },
    { name: "a name with an address in it", sent: { body: { prompt_cache_key: "a@b.com" } }, session: hashed },
    { name: "a long name", sent: { body: { prompt_cache_key: "x".repeat(5_000) } }, session: hashed },
  ];

  it("is known from headers and bodies, and is a field of the log", async () => {
    const started = await gateway({}, { session: { header: "x-run" } });
    const logs = (): Record<string, unknown>[] => started.logs.filter(({ msg }) => msg === "call");
    for (const { name, sent, session } of rows) {
      assert.equal((await chat(started.url, sent)).status, 200, name);
      const logged = logs().at(-1)?.["session"];
      if (session instanceof RegExp) assert.match(String(logged), session, name);
      else assert.equal(logged, session, name);
    }
  });
});

const servedBy = async (answer: Promise<Response>): Promise<string | null> =>
  (await answer).headers.get("x-provider-used");

/** An answer to a prompt of 2,000 tokens. */
const answering =
  (details: Record<string, number>): Answer =>
  (_request, response) =>
    json(response, 200, {
      ...{ id: "1", object: "chat.completion", created: 1, model: "gpt-4o" },
      choices: [{ index: 0, message: { role: "assistant", content: "Hello" }, finish_reason: "stop" }],
      usage: { prompt_tokens: 2_000, completion_tokens: 5, total_tokens: 2_005, prompt_tokens_details: details },
    });

describe("affinity by Session", () => {
  for (const strategy of ["RoundRobin", "Weighted", "Priority", "LeastCost"]) {
    it(`keeps each session on its target with ${strategy}`, async () => {
      const { url } = await gateway({ strategy, affinity: { by: "Session" } });
      const used = new Set<string | null>();
      for (let session = 0; session < 12; session++) {
        const first = await servedBy(chat(url, inSession(`s${session}`)));
        for (let turn = 0; turn < 3; turn++)
          assert.equal(await servedBy(chat(url, inSession(`s${session}`))), first, `session ${session}`);
        used.add(first);
      }
      // Targets that the strategy takes for equals share the sessions.
      assert.equal(used.size, strategy === "LeastCost" ? 1 : 2);
    });
  }

  it("begins where the strategy says", async () => {
    const targets = [{ provider: { name: "big" }, priority: 2 }, { provider: { name: "small" } }];
    const { url } = await gateway({ targets, affinity: { by: "Session" } });
    for (let session = 0; session < 5; session++)
      assert.match(String(await servedBy(chat(url, inSession(`s${session}`)))), /small/);
  });

  it("moves when the target fails, stays where it moved to, and says what that costs", async () => {
    const targets = [{ provider: { name: "big" } }, { provider: { name: "small" }, priority: 2 }];
    const started = await gateway({ targets, affinity: { by: "Session" } });
    const long = { messages: [{ role: "user", content: "Hello there. ".repeat(700) }] };
    const turn = (session: string) => servedBy(chat(started.url, { ...inSession(session), body: long }));
    upstreams.big.answer(answering({ cached_tokens: 1_500 }));
    assert.match(String(await turn("s1")), /big/);
    upstreams.big.answer((_request, response) => json(response, 500, { error: { message: "down" } }));
    upstreams.small.answer(answering({ cached_tokens: 0 }));
    assert.match(String(await turn("s1")), /small/);
    upstreams.big.answer(openai);
    assert.match(String(await turn("s1")), /small/);
    assert.match(String(await turn("s2")), /big/);
    const moved = started.logs.filter((line) => line["session_moved"] !== undefined);
    // 1,500 tokens at 1.80 USD per million more.
    assert.deepEqual(
      moved.map((line) => line["session_moved"]),
      [{ from: "big", to: "small", costNanoUsd: 2_700_000 }],
    );
    const labels = '{route="default/chat",from="big",to="small"}';
    const text = await started.metrics();
    assert.ok(text.includes(`ai_gateway_session_moves_total${labels} 1\n`), text);
    assert.ok(text.includes(`ai_gateway_session_move_cost_total${labels} 0.0027\n`), text);
  });

  it("is explained, with what a move would cost", async () => {
    const started = await gateway({ affinity: { by: "Session" } });
    const asked = [
      "explain",
      started.folder,
      "--key",
      "default/alice",
      "--model",
      "gpt-4o",
      "--prompt-tokens",
      "1000000",
    ];
    const explained = await sluice(...asked, "--header", "x-claude-code-session-id=s1");
    assert.match(explained.stdout, /1\. .*; the session stays here/);
    assert.match(explained.stdout, /2\. .*; a session that moves here pays about USD 1\.80 more once, for 1000000/);
    const without = await sluice(...asked);
    assert.match(without.stdout, /affinity by Session has no effect, as the call names no session/);
  });
});

describe("LeastCost", () => {
  /** big costs twice as much as small, and a tenth of that for what its cache has. */
  const priced = (...others: Manifest[]): Manifest[] => [
    ...manifests({ strategy: "LeastCost" }, {}, ...others).filter(({ metadata }) => metadata.name !== "small"),
    provider("small", upstreams.small.url, {
      models: [{ name: "gpt-4o", price: { inputPerMillion: "1", outputPerMillion: "10" } }],
    }),
  ];
  const long = { messages: [{ role: "user", content: "Hello there. ".repeat(600) }] };
  const rows: { name: string; cached: number; session: string; expected: RegExp }[] = [
    { name: "stays where most of the prompt is cached", cached: 1_900, session: "s1", expected: /big/ },
    { name: "moves where little of it is cached", cached: 200, session: "s1", expected: /small/ },
    { name: "counts the cache of its own session only", cached: 1_900, session: "s2", expected: /small/ },
  ];
  for (const { name, cached, session, expected } of rows) {
    it(name, async () => {
      const started = await startGateway(priced());
      after(() => started.close());
      upstreams.big.answer(answering({ cached_tokens: cached }));
      const first = { ...inSession("s1"), body: long };
      first.headers = { ...first.headers, "x-prefer-provider": "big" };
      assert.match(String(await servedBy(chat(started.url, first))), /big/);
      assert.match(String(await servedBy(chat(started.url, { ...inSession(session), body: long }))), expected);
    });
  }

  it("is explained, with what each target's cache makes of the price", async () => {
    const started = await startGateway(priced());
    after(() => started.close());
    const asked = [
      "explain",
      started.folder,
      "--key",
      "default/alice",
      "--model",
      "gpt-4o",
      "--prompt-tokens",
      "100000",
    ];
    const plain = await sluice(...asked, "--output-tokens", "0");
    assert.match(plain.stdout, /1\. +small .*: LeastCost: about USD 0\.10 for this request$/m);
    const cached = await sluice(...asked, "--output-tokens", "0", "--cached", "big=90000");
    assert.match(
      cached.stdout,
      /1\. +big .*: LeastCost: about USD 0\.038000 for this request, with 90000 of its tokens from the cache$/m,
    );
    assert.match((await sluice(...asked, "--cached", "big")).stderr, /--cached must be TARGET=N/);
  });
});

describe("limits and budgets per Session", () => {
  const steps: [sent: Sent, status: number][] = [
    [inSession("s1"), 200],
    [inSession("s1"), 200],
    [inSession("s1"), 429],
    [inSession("s2"), 200],
    // The same name with another key is another session.
    [inSession("s1", "bob"), 200],
    // Calls without a session count together, so that leaving it out helps nobody.
    [{}, 200],
    [{}, 200],
    [{}, 429],
    [{ as: "bob" }, 200],
  ];
  const rows: { name: string; spec: Record<string, unknown>; others: Manifest[]; code: string; says: RegExp }[] = [
    {
      name: "requests, in a policy",
      spec: { limits: [{ per: "Session", requests: 2, window: "1d" }] },
      others: [],
      code: "rate_limit_exceeded",
      says: /2 requests per day for this session/,
    },
    {
      name: "requests, in a Budget",
      spec: {},
      others: [
        {
          kind: "Budget",
          metadata: { name: "run" },
          spec: { per: "Session", limits: [{ requests: 2, window: "1h" }] },
        },
      ],
      code: "rate_limit_exceeded",
      says: /for this session, as Budget default\/run says/,
    },
    {
      name: "money",
      spec: {},
      others: [
        {
          kind: "Budget",
          metadata: { name: "run" },
          // A call costs 92 millionths of a dollar, and can cost a little more.
          spec: { per: "Session", amount: "0.0004", period: "Daily" },
        },
      ],
      code: "budget_exceeded",
      says: /default\/run \(USD 0\.000400, daily, for each session\).*Another session has its own budget/,
    },
  ];
  for (const { name, spec, others, code, says } of rows) {
    it(`${name}: a hard cap for each session of each key`, async () => {
      const { url } = await gateway({}, spec, ...others);
      for (const [index, [sent, status]] of steps.entries()) {
        const answer = await chat(url, sent);
        const text = await answer.text();
        assert.equal(answer.status, status, `step ${index}: ${text}`);
        if (status === 200) continue;
        const { error } = JSON.parse(text) as { error: { code: string; message: string } };
        assert.equal(error.code, code);
        assert.match(error.message, says);
      }
    });
  }

  it("shows a caller its own sessions' budgets only", async () => {
    const budget = {
      kind: "Budget",
      metadata: { name: "run" },
      spec: { per: "Session", amount: "1", period: "Total" },
    };
    const { url } = await gateway({}, {}, budget);
    for (const sent of [inSession("s1"), inSession("s2"), inSession("s3", "bob")]) await (await chat(url, sent)).text();
    const answer = await fetch(`${url}/v1/sluice/usage`, { headers: { authorization: `Bearer ${clearOf("alice")}` } });
    const { budgets } = (await answer.json()) as { budgets: { subject: string }[] };
    assert.deepEqual(budgets.map(({ subject }) => subject).sort(), ["s1@default/alice", "s2@default/alice"]);
  });

  it("bounds the calls of a session that are under way, and not those of its key", async () => {
    const { url } = await gateway({}, { limits: [{ per: "Session", concurrency: 1 }] });
    const waiting: (() => void)[] = [];
    for (const upstream of Object.values(upstreams))
      upstream.answer(
        (request, response) => new Promise((resolve) => waiting.push(() => resolve(openai(request, response)))),
      );
    const first = chat(url, inSession("s1"));
    while (waiting.length === 0) await new Promise((resolve) => setImmediate(resolve));
    assert.equal((await chat(url, inSession("s1"))).status, 429);
    const other = chat(url, inSession("s2"));
    while (waiting.length < 2) await new Promise((resolve) => setImmediate(resolve));
    for (const answer of waiting) answer();
    assert.deepEqual([(await first).status, (await other).status], [200, 200]);
  });
});

describe("the time of a session", () => {
  const run = { kind: "Budget", metadata: { name: "run" } };
  const rows: { name: string; spec: Record<string, unknown>; others: Manifest[]; says: RegExp }[] = [
    {
      name: "in a policy",
      spec: { limits: [{ per: "Session", duration: "1s" }] },
      others: [],
      says: /^This session began \d+ s ago, and the policy default\/chat lets a session last 1 s\. Start a new session\.$/,
    },
    {
      name: "in a Budget, where it is shorter than the policy's",
      spec: { limits: [{ per: "Session", duration: "2d" }] },
      others: [{ ...run, spec: { per: "Session", limits: [{ duration: "1s" }] } }],
      says: /the Budget default\/run lets a session last 1 s/,
    },
  ];
  for (const { name, spec, others, says } of rows) {
    it(`is limited ${name}, for each session of each key`, async () => {
      const { url } = await gateway({}, spec, ...others);
      assert.equal((await chat(url, inSession("s1"))).status, 200);
      const refused = await eventually(async () => {
        const answer = await chat(url, inSession("s1"));
        const text = await answer.text();
        return answer.status === 200 ? null : { answer, text };
      });
      assert.equal(refused.answer.status, 429);
      assert.equal(refused.answer.headers.get("x-should-retry"), "false");
      const { error } = JSON.parse(refused.text) as { error: { code: string; message: string } };
      assert.equal(error.code, "session_time_exceeded");
      assert.match(error.message, says);
      for (const sent of [inSession("s2"), inSession("s1", "bob"), {}])
        assert.equal((await chat(url, sent)).status, 200, JSON.stringify(sent));
    });
  }

  it("is explained", async () => {
    const { folder } = await gateway({}, { limits: [{ per: "Session", duration: "90m" }] });
    const asked = ["explain", folder, "--key", "default/alice", "--model", "gpt-4o"];
    const explained = await sluice(...asked, "--header", "x-session-id=s1");
    assert.match(
      explained.stdout,
      /^session +s1, which may last 1 h 30 min from its first call, by the policy default\/chat$/m,
    );
    assert.doesNotMatch((await sluice(...asked)).stdout, /^session/m);
  });
});

/** Copies of calls to a policy's shadow: callers never notice, and both answers are compared and charged apart. */
import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { ShadowReading, ShadowRow } from "../../proxy/config/shadow-report.ts";
import { eventually, key, type Manifest, policy, provider, secret, startGateway } from "../harness/gateway.ts";
import { complaintsOf } from "../harness/strict/provider.ts";
import { type Answer, chatFrames, json, openai, startUpstream, type Upstream } from "../harness/upstream.ts";

const clear = "slc_alice_key_0001";
const price = { inputPerMillion: "1", outputPerMillion: "2" };
const models = [{ name: "gpt-4o", price }];

interface Given {
  shadow?: Record<string, unknown>;
  spec?: Record<string, unknown>;
  /** Of the shadow's provider. */
  provider?: Record<string, unknown>;
  more?: Manifest[];
}

const manifests = (live: Upstream, shadow: Upstream, given: Given = {}): Manifest[] => [
  provider("live", live.url, { models }),
  secret("live-credentials", { apiKey: "sk-live" }),
  provider("next", shadow.url, { models, ...given.provider }),
  secret("next-credentials", { apiKey: "sk-next" }),
  policy("chat", {
    match: { models: ["gpt-4o"] },
    routing: {
      targets: [{ provider: { name: "live" } }],
      shadow: { target: { provider: { name: "next" } }, percent: 100, ...given.shadow },
    },
    ...given.spec,
  }),
  ...key("alice", clear),
  ...(given.more ?? []),
];

interface Stand {
  live: Upstream;
  next: Upstream;
  call(more?: Record<string, unknown>): Promise<Response>;
  reading(): Promise<ShadowReading>;
  row(): Promise<ShadowRow>;
  dropped(): Promise<Record<string, number>>;
  gateway: Awaited<ReturnType<typeof startGateway>>;
  close(): Promise<void>;
}

/** Refuses what the API refuses. */
const strictly =
  (answer: Answer): Answer =>
  (request, response) => {
    const complaints = complaintsOf("OpenAI", request);
    if (complaints.length === 0) return answer(request, response);
    json(response, 400, { error: { message: complaints.join("; "), type: "invalid_request_error" } });
  };

async function stand(
  given: Given = {},
  answers: { live?: Answer; next?: Answer } = {},
  flags: readonly string[] = [],
): Promise<Stand> {
  const live = await startUpstream(strictly(answers.live ?? openai));
  const next = await startUpstream(strictly(answers.next ?? openai));
  const gateway = await startGateway(manifests(live, next, given), flags);
  const reading = async (): Promise<ShadowReading> =>
    (await (await fetch(`${gateway.statusUrl}/shadow`)).json()) as ShadowReading;
  return {
    ...{ live, next, gateway, reading },
    call: (more = {}) =>
      fetch(`${gateway.url}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
        body: JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: "Hi" }], ...more }),
      }),
    row: () => eventually(async () => (await reading()).rows[0]),
    dropped: async () => Object.fromEntries((await reading()).dropped.map(({ reason, calls }) => [reason, calls])),
    async close() {
      await gateway.close();
      await live.close();
      await next.close();
    },
  };
}

const says =
  (content: string, usage = { prompt_tokens: 20, completion_tokens: 30, total_tokens: 50 }): Answer =>
  (request, response) => {
    if (request.json["stream"] === true) {
      response.writeHead(200, { "content-type": "text/event-stream" });
      for (const frame of chatFrames(request.json["model"], content.split(/(?= )/), true)) response.write(frame);
      response.end();
      return;
    }
    json(response, 200, {
      id: "chatcmpl-2",
      object: "chat.completion",
      created: 2,
      model: request.json["model"],
      choices: [
        { index: 0, message: { role: "assistant", content, refusal: null }, logprobs: null, finish_reason: "stop" },
      ],
      usage,
    });
  };

/** The answer of a server that says nothing until it is asked to. */
function waits(): { answer: Answer; go(): void; asked: number } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const state = {
    asked: 0,
    go: resolve,
    answer: (async (request, response) => {
      state.asked++;
      await promise;
      await openai(request, response);
    }) satisfies Answer as Answer,
  };
  return state;
}

describe("what is known of a copy", () => {
  let rig: Stand;
  before(async () => {
    rig = await stand({}, { next: says("Hello here") });
    await (await rig.call()).text();
    await rig.row();
  });
  after(() => rig.close());

  it("is in the comparisons of a span that has its hour, and in no other", async () => {
    const asked = (from: string, to: string) =>
      fetch(`${rig.gateway.statusUrl}/shadow?${new URLSearchParams({ from, to })}`);
    const rows = async (fromMs: number, toMs: number) => {
      const answer = await asked(new Date(fromMs).toISOString(), new Date(toMs).toISOString());
      return ((await answer.json()) as ShadowReading).rows.length;
    };
    const nowMs = Date.now();
    const dayMs = 86_400_000;
    assert.deepEqual([await rows(nowMs - dayMs, nowMs + dayMs), await rows(nowMs - 2 * dayMs, nowMs - dayMs)], [1, 0]);
    assert.equal((await asked("yesterday", "")).status, 400);
  });

  it("has the cost and duration of its call in metrics, next to its own", async () => {
    const metrics = await rig.gateway.metrics();
    const metricOf = (name: string, provider: string): number => {
      const labels = `route="default/chat",provider="default/${provider}",model="gpt-4o"`;
      return Number(
        metrics
          .split("\n")
          .find((line) => line.startsWith(`${name}{${labels}}`))
          ?.split(" ")[1],
      );
    };
    assert.deepEqual(
      [metricOf("ai_gateway_shadow_call_cost_total", "live"), metricOf("ai_gateway_shadow_cost_total", "next")],
      [0.000_025, 0.000_08],
    );
    assert.equal(metricOf("ai_gateway_shadow_call_duration_seconds_count", "live"), 1);
  });
});

describe("a copy of a call", () => {
  let rig: Stand;
  before(async () => {
    rig = await stand({}, { next: says("Hello here") });
  });
  after(() => rig.close());

  it("goes to the shadow with its credential, and the caller gets the live answer", async () => {
    const reply = await rig.call();
    assert.equal(reply.headers.get("x-provider-used"), "live");
    assert.match(await reply.text(), /Hello there/);
    await eventually(() => rig.next.requests.length === 1);
    const [copy] = rig.next.requests;
    assert.equal(copy?.headers.authorization, "Bearer sk-next");
    assert.deepEqual(copy?.json, rig.live.requests[0]?.json);
  });

  it("is compared by status, tokens, cost, duration and words", async () => {
    const row = await rig.row();
    assert.equal(row.policy, "default/chat");
    assert.equal(row.target, "default/live gpt-4o");
    assert.equal(row.shadow, "default/next gpt-4o");
    assert.deepEqual([row.call.inputTokens, row.call.outputTokens, row.call.costNanoUsd], [11, 7, 25_000]);
    assert.deepEqual([row.copy.inputTokens, row.copy.outputTokens, row.copy.costNanoUsd], [20, 30, 80_000]);
    assert.deepEqual(row.statuses, { 200: 1 });
    // Of "hello there" and "hello here": one of two words, and not the pair of them.
    assert.equal(row.similarity, (2 * 1) / 6);
  });

  it("is charged to nobody, in a row of the ledger of its own", async () => {
    const usage = await eventually(async () => {
      await rig.gateway.state.ledger.flush();
      const now = Date.now();
      const url = `${rig.gateway.statusUrl}/usage?from=${new Date(now - 7_200_000).toISOString()}&to=${new Date(now + 3_600_000).toISOString()}`;
      const { rows } = (await (await fetch(url)).json()) as { rows: Record<string, unknown>[] };
      return rows.length === 2 ? rows : null;
    });
    const costs = usage.map(({ user, key: id, provider: of, costNanoUsd }) => [user, id, of, costNanoUsd]);
    assert.deepEqual(costs.sort(), [
      ["(shadow)", "", "default/next", 80_000],
      ["alice@example.com", "default/alice", "default/live", 25_000],
    ]);
  });

  it("has metrics of its own, and doesn't count in those of calls", async () => {
    const text = await rig.gateway.metrics();
    const labels = 'route="default/chat",provider="default/next",model="gpt-4o"';
    assert.ok(text.includes(`ai_gateway_shadow_copies_total{${labels},status="200"} 1`));
    assert.ok(text.includes(`ai_gateway_shadow_cost_total{${labels}} 0.00008`));
    assert.equal(/^ai_gateway_(requests|upstream_attempts|tokens|cost)_total.*default\/next/m.test(text), false);
  });

  it("has a line in the log, without the texts", async () => {
    const line = await eventually(() => rig.gateway.logs.find(({ msg }) => msg === "shadow"));
    assert.equal(line["similarity"], 0.3333);
    assert.equal(line["provider"], "default/next");
    assert.equal((line["compared_with"] as Record<string, unknown>)["provider"], "default/live");
    assert.equal(rig.gateway.logText().includes("Hello"), false);
  });

  it("of a stream is streamed, and compared by its words", async () => {
    const reply = await rig.call({ stream: true });
    assert.match(await reply.text(), /data: \[DONE\]/);
    const row = await eventually(async () => {
      const row = await rig.row();
      return row.pairs === 2 ? row : null;
    });
    assert.equal(rig.next.requests.at(-1)?.json["stream"], true);
    assert.equal(row.similarity, (2 * 2) / 6);
  });
});

const broken: readonly [name: string, answer: Answer, status: string][] = [
  ["fails", (_request, response) => json(response, 500, { error: { message: "no", type: "server_error" } }), "502"],
  ["refuses", (_request, response) => json(response, 400, { error: { message: "no", type: "x" } }), "400"],
  ["hangs up", (_request, response) => response.destroy(), "502"],
  [
    "answers without end",
    (_request, response) => {
      response.writeHead(200, { "content-type": "application/json" });
      const piece = `"${"x".repeat(1_000_000)}"`;
      response.write(`{"choices":[`);
      const more = (): void => {
        while (!response.destroyed && response.write(`${piece},`));
        if (!response.destroyed) response.once("drain", more);
      };
      more();
    },
    "502",
  ],
];

describe("a shadow that is broken", () => {
  for (const [name, answer, status] of broken)
    it(`${name}: callers are served as before, and the comparison says so`, async () => {
      const rig = await stand({}, { next: answer });
      try {
        for (const stream of [false, true]) {
          const reply = await rig.call({ stream });
          assert.equal(reply.status, 200);
          assert.match(await reply.text(), /Hello/);
        }
        const row = await eventually(async () => {
          const row = await rig.row();
          return row.copy.ok === 0 && row.call.ok > 0 ? row : null;
        });
        assert.ok(Object.keys(row.statuses).includes(status), JSON.stringify(row.statuses));
        assert.equal(row.compared, 0);
      } finally {
        await rig.close();
      }
    });

  it("has its breaker respected: calls are no longer copied, and counted", async () => {
    const rig = await stand(
      { provider: { circuitBreaker: { failureThreshold: 2, openFor: "10m" } } },
      { next: (_request, response) => json(response, 500, { error: { message: "no", type: "server_error" } }) },
    );
    try {
      for (let calls = 1; calls <= 2; calls++) {
        await (await rig.call()).text();
        await eventually(async () => (await rig.row()).pairs === calls);
      }
      await (await rig.call()).text();
      await eventually(async () => (await rig.dropped())["unavailable"] === 1);
      assert.equal(rig.next.requests.length, 2);
      const { providers } = (await rig.gateway.status()) as { providers: { id: string; breakers: object }[] };
      const live = providers.find(({ id }) => id === "default/live");
      assert.deepEqual(live?.breakers, { "gpt-4o": "closed" });
    } finally {
      await rig.close();
    }
  });
});

describe("a shadow that hangs", () => {
  it("delays no caller, holds no more copies than it may, and is left behind when the proxy stops", async () => {
    const slow = waits();
    const rig = await stand({ shadow: { maxConcurrent: 2 } }, { next: slow.answer }, ["--drain-ms", "300"]);
    try {
      for (let calls = 0; calls < 6; calls++) assert.equal((await rig.call()).status, 200);
      await eventually(() => slow.asked === 2);
      await eventually(async () => (await rig.dropped())["full"] === 4);
      assert.match(await rig.gateway.metrics(), /^ai_gateway_shadow_copies_in_flight 2$/m);
    } finally {
      await rig.close();
      slow.go();
    }
    assert.equal(rig.gateway.logs.filter(({ msg }) => msg === "shadow").length, 0);
  });

  it("is waited for when the proxy stops, within the drain time", async () => {
    const slow = waits();
    const rig = await stand({}, { next: slow.answer });
    await (await rig.call()).text();
    await eventually(() => slow.asked === 1);
    const closing = rig.close();
    slow.go();
    await closing;
    assert.ok(rig.gateway.logs.some(({ msg }) => msg === "shadow"));
  });
});

describe("what is copied", () => {
  it("an answer from the cache is not", async () => {
    const rig = await stand({ spec: { cache: { ttl: "1m" } } });
    try {
      await (await rig.call({ temperature: 0 })).text();
      assert.equal((await rig.call({ temperature: 0 })).headers.get("x-sluice-cache"), "hit");
      await rig.row();
      assert.equal((await rig.row()).pairs, 1);
      assert.equal(rig.next.requests.length, 1);
    } finally {
      await rig.close();
    }
  });

  it("a call that failed is not", async () => {
    const rig = await stand(
      {},
      {
        live: (_request, response) => json(response, 400, { error: { message: "no", type: "invalid_request_error" } }),
      },
    );
    try {
      assert.equal((await rig.call()).status, 400);
      rig.live.answer(openai);
      await (await rig.call()).text();
      await rig.row();
      assert.equal(rig.next.requests.length, 1);
    } finally {
      await rig.close();
    }
  });

  it("masked text is copied masked, and what the caller gets is not in the copy", async () => {
    const rig = await stand({ spec: { guard: { mask: { detect: ["Email"], mode: "Placeholder" } } } });
    try {
      await (await rig.call({ messages: [{ role: "user", content: "I am ada@example.com" }] })).text();
      await rig.row();
      assert.equal(rig.next.requests[0]?.text.includes("ada@example.com"), false);
      assert.deepEqual(rig.next.requests[0]?.json, rig.live.requests[0]?.json);
    } finally {
      await rig.close();
    }
  });

  it("the shadow's own model and parameters are used", async () => {
    const target = { provider: { name: "next" }, model: "small", parameters: { temperature: 0 } };
    const rig = await stand({ shadow: { target }, provider: { models: [{ name: "small", upstream: "small-1" }] } });
    try {
      await (await rig.call({ temperature: 1 })).text();
      await rig.row();
      const { model, temperature } = rig.next.requests[0]?.json ?? {};
      assert.deepEqual([model, temperature], ["small-1", 0]);
    } finally {
      await rig.close();
    }
  });

  it("only the share that the policy sets", async () => {
    const rig = await stand({ shadow: { percent: 1 } });
    try {
      for (let calls = 0; calls < 20; calls++) await (await rig.call()).text();
      assert.ok(rig.next.requests.length < 10);
    } finally {
      await rig.close();
    }
  });
});

describe("what copies cost", () => {
  it("is within costPerDay, beyond which calls are no longer copied and callers notice nothing", async () => {
    // A copy may cost up to the model's largest answer, of which one fits.
    const own = { provider: { models: [{ name: "gpt-4o", price, maxOutputTokens: 1_000 }] } };
    const rig = await stand(
      { shadow: { costPerDay: "0.0025" }, ...own },
      { next: says("Hi", { prompt_tokens: 20, completion_tokens: 900, total_tokens: 920 }) },
    );
    try {
      await (await rig.call()).text();
      await rig.row();
      assert.equal((await rig.call()).status, 200);
      await eventually(async () => (await rig.dropped())["budget"] === 1);
      assert.equal(rig.next.requests.length, 1);
    } finally {
      await rig.close();
    }
  });

  it("counts in no budget of the caller", async () => {
    const budget = { kind: "Budget", metadata: { name: "all" }, spec: { amount: "1", period: "Daily" } };
    const rig = await stand({ more: [budget] }, { next: says("Hello there") });
    try {
      await (await rig.call()).text();
      await rig.row();
      await eventually(async () => {
        const { budgets } = (await (await fetch(`${rig.gateway.statusUrl}/budgets`)).json()) as {
          budgets: { id: string; spentNanoUsd: number }[];
        };
        assert.deepEqual(
          budgets.map(({ id, spentNanoUsd }) => [id, spentNanoUsd]),
          [["default/all", 25_000]],
        );
        return true;
      });
    } finally {
      await rig.close();
    }
  });
});

describe("a Budget whose terms change", () => {
  it("counts what callers spent so far, without copies", async () => {
    const daily = (amount: string, timeZone: string): Manifest => ({
      kind: "Budget",
      metadata: { name: "all" },
      spec: { amount, period: "Monthly", timeZone, enforcement: "Soft" },
    });
    const rig = await stand({ more: [daily("1", "UTC")] });
    try {
      await (await rig.call()).text();
      await rig.row();
      await rig.gateway.apply(manifests(rig.live, rig.next, { more: [daily("1", "Europe/Berlin")] }));
      await eventually(async () => {
        const { budgets } = (await (await fetch(`${rig.gateway.statusUrl}/budgets`)).json()) as {
          budgets: { sinceMs?: number; spentNanoUsd: number }[];
        };
        assert.ok(budgets[0]?.sinceMs !== undefined);
        assert.equal(budgets[0].spentNanoUsd, 25_000);
        return true;
      });
    } finally {
      await rig.close();
    }
  });
});

describe("copies in the audit log", () => {
  it("are records of the operation shadow, with bodies only where the policy records bodies, masked", async () => {
    for (const bodies of [false, true]) {
      const folder = await mkdtemp(join(tmpdir(), "sluice-shadow-audit-"));
      const given = { spec: { audit: { bodies }, guard: { mask: { detect: ["Email"] } } } };
      const rig = await stand(given, { next: says("Ask bob@example.com") }, ["--audit-dir", folder]);
      try {
        await (await rig.call()).text();
        await rig.row();
        await rig.close();
        const files = await readdir(folder);
        const texts = await Promise.all(files.map((file) => readFile(join(folder, file), "utf8")));
        const records = texts
          .join("")
          .split("\n")
          .filter((line) => line.includes('"operation":"shadow"'))
          .map((line) => JSON.parse(line) as Record<string, unknown>);
        assert.equal(records.length, 1);
        assert.deepEqual([records[0]?.["provider"], records[0]?.["user"]], ["default/next", "alice@example.com"]);
        assert.equal("response_body" in (records[0] ?? {}), bodies);
        assert.equal(texts.join("").includes("bob@example.com"), false);
        if (bodies) assert.match(String(records[0]?.["response_body"]), /Ask /);
      } finally {
        await rig.close().catch(() => undefined);
        await rm(folder, { recursive: true, force: true });
      }
    }
  });
});

describe("a caller whose calls are sampled while the shadow hangs", () => {
  it("costs the proxy little more than one whose calls are not", async () => {
    const slow = waits();
    const sampled = await stand({ shadow: { maxConcurrent: 1 } }, { next: slow.answer });
    const { shadow: _, ...routing } = { targets: [{ provider: { name: "live" } }], shadow: null };
    const plain = await stand({ spec: { routing } });
    const cpuMsOfCalls = async (rig: Stand): Promise<number> => {
      const before = process.cpuUsage();
      for (let calls = 0; calls < 100; calls++) await (await rig.call({ stream: true })).text();
      const { user, system } = process.cpuUsage(before);
      return (user + system) / 1_000;
    };
    try {
      for (const rig of [sampled, plain]) await cpuMsOfCalls(rig);
      const [copied, alone] = [await cpuMsOfCalls(sampled), await cpuMsOfCalls(plain)];
      assert.ok(copied < 2 * alone, `${copied} ms with samples, ${alone} ms without`);
    } finally {
      slow.go();
      await sampled.close();
      await plain.close();
    }
  });
});

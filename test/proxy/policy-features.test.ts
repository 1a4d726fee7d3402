/** Every capability of a policy works alone and with any others, and what is off leaves no trace in the answer. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { eventually, key, type Manifest, policy, provider, secret, startGateway } from "../harness/gateway.ts";
import fc, { runs } from "../harness/property.ts";
import { startUpstream, type Upstream, type UpstreamRequest } from "../harness/upstream.ts";

const clear = "slc_alice_key_0001";
const models = [{ name: "gpt-4o", price: { inputPerMillion: "1", outputPerMillion: "2" } }];

/** What a call shows of a policy. */
interface Seen {
  /** Names of the answer's headers. */
  headers: ReadonlySet<string>;
  answer: string;
  /** As the provider that answered got it. */
  sent: UpstreamRequest["json"];
  line: Record<string, unknown>;
  /** Whether a copy went to the shadow. */
  copied: boolean;
}

interface Feature {
  spec: Record<string, unknown>;
  /** Whether the call shows it; absent if nothing does. */
  trace?(seen: Seen): boolean;
}

const messages = ({ sent }: Seen): { role: string; content: string }[] =>
  sent["messages"] as { role: string; content: string }[];
const main = { provider: { name: "live" } };
const other = { name: "other", provider: { name: "live" }, model: "gpt-4o", priority: 2, weight: 0 };

const features: Readonly<Record<string, Feature>> = {
  affinity: { spec: { routing: { affinity: { by: "User" } } } },
  cache: { spec: { cache: { ttl: "1m" } }, trace: ({ headers }) => headers.has("x-sluice-cache") },
  canary: {
    spec: {
      routing: {
        targets: [main, other],
        canary: { target: "other", percent: 1, for: "24h", succeedWhen: { errorRate: "<1%" } },
      },
    },
  },
  defaults: { spec: { request: { defaults: { top_p: 0.5 } } }, trace: ({ sent }) => "top_p" in sent },
  deny: { spec: { guard: { deny: ["forbidden"] } } },
  fallback: { spec: { routing: { targets: [main, other], fallbackOn: ["ServerError"] } } },
  leastLatency: { spec: { routing: { strategy: "LeastLatency" } } },
  limits: {
    spec: { limits: [{ per: "ApiKey", requests: 1000, window: "1m" }] },
    trace: ({ headers }) => headers.has("x-ratelimit-limit-requests"),
  },
  mask: {
    spec: { guard: { mask: { detect: ["Email"] } } },
    trace: (seen) => !messages(seen).some(({ content }) => content.includes("ada@example.com")),
  },
  overrides: { spec: { request: { overrides: { seed: 7 } } }, trace: ({ sent }) => sent["seed"] === 7 },
  payloads: { spec: { logging: { payloads: true } }, trace: ({ line }) => "request_body" in line },
  prompts: {
    spec: { request: { prompts: [{ content: "Be kind." }] } },
    trace: (seen) => messages(seen).some(({ content }) => content === "Be kind."),
  },
  roles: { spec: { access: { roles: ["developer"] } } },
  rules: {
    spec: {
      routing: {
        targets: [main, other],
        rules: [{ when: { headers: [{ name: "x-tier", value: "1" }] }, use: ["other"] }],
      },
    },
  },
  session: {
    spec: { session: { header: "x-run" } },
    trace: ({ line }) => line["session"] === "run-1",
  },
  shadow: {
    spec: { routing: { shadow: { target: { provider: { name: "next" } }, percent: 100 } } },
    trace: ({ copied }) => copied,
  },
  slowAfter: { spec: { routing: { slowAfter: "10s" } } },
  statistics: { spec: { logging: { statistics: true } } },
};
const names = Object.keys(features);

function merged(a: unknown, b: unknown): unknown {
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null || Array.isArray(b)) return b;
  const out: Record<string, unknown> = { ...a };
  for (const [name, value] of Object.entries(b)) out[name] = merged(out[name], value);
  return out;
}

const specOf = (on: readonly string[]): Record<string, unknown> =>
  on.reduce<unknown>((spec, name) => merged(spec, features[name]?.spec), {
    match: { models: ["gpt-4o"] },
    routing: { targets: [main] },
  }) as Record<string, unknown>;

/** Headers that every answer has, or that depend on the connection. */
const always = [
  "x-request-id",
  "x-accel-buffering",
  "x-provider-used",
  "content-type",
  "content-length",
  "date",
  "connection",
  "keep-alive",
];
const ofFeature: Readonly<Record<string, RegExp>> = { cache: /^x-sluice-cache$/, limits: /^x-ratelimit-/ };

describe("a policy with any of its features", () => {
  let live: Upstream;
  let next: Upstream;
  let gateway: Awaited<ReturnType<typeof startGateway>>;
  const manifests = (on: readonly string[]): Manifest[] => [
    provider("live", live.url, { models }),
    secret("live-credentials", { apiKey: "sk-live" }),
    provider("next", next.url, { models }),
    secret("next-credentials", { apiKey: "sk-next" }),
    policy("chat", specOf(on)),
    ...key("alice", clear),
  ];
  before(async () => {
    live = await startUpstream();
    next = await startUpstream();
    gateway = await startGateway(manifests([]));
  });
  after(async () => {
    await gateway.close();
    await live.close();
    await next.close();
  });

  let calls = 0;
  async function called(stream: boolean): Promise<Seen> {
    const content = `I am ada@example.com, call ${++calls}`;
    const [logged, copies] = [gateway.logs.length, next.requests.length];
    const reply = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${clear}`, "content-type": "application/json", "x-run": "run-1" },
      body: JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content }], stream }),
    });
    const answer = await reply.text();
    assert.equal(reply.status, 200, answer);
    const line = await eventually(() => gateway.logs.slice(logged).find(({ msg }) => msg === "call"));
    // A copy is sent as soon as its call is recorded, so a later call's record comes after it.
    const isCopied = (): boolean => next.requests.length > copies;
    await new Promise((resolve) => setImmediate(resolve));
    return {
      headers: new Set(reply.headers.keys()),
      answer,
      sent: live.requests.at(-1)?.json ?? {},
      line,
      get copied() {
        return isCopied();
      },
    };
  }

  let applied = JSON.stringify(specOf([]));
  async function check(on: readonly string[]): Promise<void> {
    const wanted = JSON.stringify(specOf(on));
    if (wanted !== applied) await gateway.apply(manifests(on));
    applied = wanted;
    for (const stream of [false, true]) {
      const seen = await called(stream);
      for (const [name, { trace }] of Object.entries(features)) {
        if (trace === undefined) continue;
        if (on.includes(name)) await eventually(() => trace(seen));
        else assert.equal(trace(seen), false, `${name} is off, and shows`);
      }
      const own = on.flatMap((name) => ofFeature[name] ?? []);
      const odd = [...seen.headers].filter(
        (header) =>
          /^x-|limit|sluice/.test(header) && !always.includes(header) && !own.some((form) => form.test(header)),
      );
      assert.deepEqual(odd, []);
      assert.match(seen.answer, /Hello/);
    }
  }

  it("compiles, serves, and shows what is on and nothing else", { timeout: 300_000 }, () =>
    fc.assert(
      fc.asyncProperty(fc.subarray(names), (on) => check(on)),
      { numRuns: runs(25), examples: [[[]], [names]] },
    ),
  );

  for (const name of names) it(`serves with ${name} alone`, () => check([name]));
});

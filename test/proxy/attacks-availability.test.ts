/** A caller that tries to make a model unavailable to others. alice causes a failure repeatedly; bob must still be served. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { type Answer, chatFrames, json, openai, startUpstream, type Upstream } from "../harness/upstream.ts";

const keys = { alice: "slc_alice_key_0001", bob: "slc_bob_key_000001", carol: "slc_carol_key_0001" };
type Caller = keyof typeof keys;

interface Cause {
  name: string;
  /** How the provider answers the prompt "poison". It answers all other prompts normally. */
  answer: Answer;
  stream?: boolean;
  headers?: Record<string, string>;
  /** The caller hangs up after this time. */
  hangUpMs?: number;
  /** Whether only the caller can have caused the failure. It then never counts against the provider, even if other callers cause it too. */
  certain?: true;
}

const never: Answer = () => undefined;
const refuses =
  (status: number, message: string, headers: Record<string, string> = {}): Answer =>
  (_request, response) =>
    json(response, status, { error: { message, type: "error", code: null } }, headers);
const streams =
  (...texts: string[]): Answer =>
  (_request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (const text of texts) response.write(text);
    response.end();
  };
const begun = chatFrames("gpt-4o", ["one"], false)[0] ?? "";
const soon = { "retry-after": "60" };
const hung = { "x-stainless-timeout": "0.05" };

const causes: Cause[] = [
  { name: "its own deadline", answer: never, headers: hung, certain: true },
  { name: "its own deadline for a stream", answer: never, headers: hung, stream: true, certain: true },
  {
    name: "its own deadline in a stream",
    answer: (_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(begun);
    },
    headers: hung,
    stream: true,
    certain: true,
  },
  {
    name: "an answer over our cap",
    answer: (_request, response) => json(response, 200, { data: "x".repeat(2_200_000) }),
    certain: true,
  },
  {
    name: "a stream over our cap",
    answer: streams(begun, ...Array.from({ length: 48 }, () => `: ${"x".repeat(100_000)}\n\n`)),
    stream: true,
    certain: true,
  },
  {
    name: "an event over our cap",
    answer: streams(begun, `data: ${"x".repeat(2_200_000)}\n\n`),
    stream: true,
    certain: true,
  },
  {
    name: "OpenAI's 429 about its size",
    answer: refuses(
      429,
      "Request too large for gpt-4o in organization org-1 on tokens per min (TPM): Limit 30000, Requested 45000. The input or output tokens must be reduced in order to run successfully.",
      soon,
    ),
    certain: true,
  },
  {
    name: "a 429 whose numbers are about its size",
    answer: refuses(429, "TPM limit: 6,000; requested: 6,954", { ...soon, "x-ratelimit-remaining-tokens": "0" }),
    certain: true,
  },
  { name: "a 429 without a known reason", answer: refuses(429, "slow down", soon) },
  { name: "a hang-up", answer: never, hangUpMs: 20, certain: true },
  { name: "an image that can't be fetched", answer: refuses(400, "Error while downloading the image."), certain: true },
  { name: "a prompt that is too long", answer: refuses(413, "too large"), certain: true },
  { name: "a 500", answer: refuses(500, "engine died") },
  { name: "a 503", answer: refuses(503, "overloaded by this prompt") },
  { name: "a 504 of a server in front", answer: refuses(504, "upstream timed out") },
  { name: "a 404 for an object that it named", answer: refuses(404, "no such file"), certain: true },
  { name: "a crash of the server", answer: (_request, response) => void response.destroy() },
  {
    name: "an answer that is not valid",
    answer: (_request, response) => {
      response.writeHead(200, { "content-type": "application/json" });
      response.end("{");
    },
  },
  { name: "a stream that ends too soon", answer: streams(begun), stream: true },
  { name: "an error in a stream", answer: streams(begun, 'data: {"error":{"message":"died"}}\n\n'), stream: true },
  { name: "an answer that takes too long", answer: never },
  { name: "a first token that takes too long", answer: never, stream: true },
];

describe("a caller that tries to make a model unavailable", () => {
  let upstream: Upstream;
  let gateway: TestGateway;
  let model = "";
  let serial = 0;
  let poison: Answer = never;

  const call = async (caller: Caller, content: string, cause: Partial<Cause> = {}): Promise<number> => {
    try {
      const reply = await fetch(`${gateway.url}/v1/chat/completions`, {
        method: "POST",
        headers: {
          authorization: `Bearer ${keys[caller]}`,
          "content-type": "application/json",
          ...cause.headers,
        },
        body: JSON.stringify({ model, stream: cause.stream ?? false, messages: [{ role: "user", content }] }),
        ...(cause.hangUpMs === undefined ? {} : { signal: AbortSignal.timeout(cause.hangUpMs) }),
      });
      await reply.text();
      return reply.status;
    } catch {
      return 0;
    }
  };
  const breaker = async (): Promise<string | undefined> =>
    new RegExp(`breaker_state\\{provider="default/up",model="${model}"\\} (\\d)`).exec(await gateway.metrics())?.[1];
  /** Number of failed calls that the provider's alerts count. */
  const errors = async (): Promise<number> => {
    const { watched } = (await gateway.status()) as { watched: { id: string; counts: { errors: number } }[] };
    return watched.find(({ id }) => id === "default/up")?.counts.errors ?? 0;
  };
  const attack = async (caller: Caller, cause: Cause): Promise<void> => {
    for (let count = 0; count < 4; count++) await call(caller, "poison", cause);
  };

  // Each row uses its own model, so that rows don't see each other's failures.
  const models = Array.from({ length: 3 * causes.length }, (_, index) => `m${index}`);
  before(async () => {
    upstream = await startUpstream((request, response) =>
      request.text.includes("poison") ? poison(request, response) : openai(request, response),
    );
    const timeouts = { response: "300ms", firstToken: "300ms", idle: "10s" };
    gateway = await startGateway(
      [
        provider("up", upstream.url, {
          models: models.map((name) => ({ name })),
          circuitBreaker: { failureThreshold: 3, openFor: "1h" },
          timeouts,
          alertWhen: { errorRate: ">1%", minimumRequests: 1 },
        }),
        secret("up-credentials", { apiKey: "sk-up" }),
        ...models.map((name) =>
          policy(name, { match: { models: [name] }, routing: { targets: [{ provider: { name: "up" } }] } }),
        ),
        ...Object.entries(keys).flatMap(([name, clear]) => key(name, clear)),
      ],
      [],
      { SLUICE_MAX_REPLY_BYTES: "2000000", SLUICE_MAX_STREAM_BYTES: "4000000" },
    );
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
  });
  beforeEach(() => {
    model = models[serial++] ?? "";
  });

  for (const cause of causes) {
    it(`by ${cause.name}: other callers are still served`, async () => {
      poison = cause.answer;
      assert.equal(await call("bob", "hello"), 200);
      const before = await errors();
      await attack("alice", cause);
      const counted = (await errors()) - before;
      assert.ok(counted <= (cause.certain ? 0 : 1), `${counted} errors count for alerts`);
      assert.equal(await breaker(), "0", "the breaker is closed");
      assert.equal(await call("bob", "hello"), 200);
    });

    it(`by ${cause.name}: a caller who arrives later is still served`, async () => {
      poison = cause.answer;
      await attack("alice", cause);
      assert.equal(await call("bob", "hello"), 200);
      assert.equal(await breaker(), "0", "the breaker is closed");
    });

    it(`by ${cause.name}: ${cause.certain ? "never counts" : "counts once a second caller fails"}`, async () => {
      poison = cause.answer;
      assert.equal(await call("carol", "hello"), 200);
      for (const caller of ["alice", "bob", "alice", "bob", "alice", "bob"] as const)
        await call(caller, "poison", cause);
      const served = (await call("carol", "hello")) === 200;
      assert.equal(served, cause.certain === true);
    });
  }
});

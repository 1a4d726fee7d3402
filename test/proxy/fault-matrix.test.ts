/**
 * {fault on the way to a provider} × {plain, stream} × {alone, with a second target}: what the client sees,
 * which limit ended the call, and how many attempts were made. Only the order of times is asserted: not before the limit
 * that applies, and before the overall limit.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  answer,
  chunk,
  drip,
  type Fault,
  type Faulty,
  frames,
  head,
  lastChunk,
  startFaulty,
  status,
  streamHead,
  wholeHead,
} from "../harness/faults.ts";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { openai, startUpstream, type Upstream } from "../harness/upstream.ts";

const clear = "slc_alice_key_0001";
/** Short for the calls that they end, and long for all others, so that a busy machine changes nothing. */
const limits = { connect: 150, write: 250, idle: 300, response: 500, firstToken: 500, total: 30_000 };
type Limit = keyof typeof limits;

interface Outcome {
  /** Code of an answer that failed before the first byte, "broken" for an error event in a stream, "ok" for a complete answer. */
  sees: [status: number, code: string] | ["broken", code: string] | "ok";
  attempts: number;
  /** The limit that ended the call, if any. */
  limit?: Limit;
  says?: RegExp;
}

interface Row {
  name: string;
  fault: Fault;
  /** The provider's endpoint, if it is not a server that runs `fault`. */
  endpoint?: "closed" | "silent TLS" | "no such name" | "never reads";
  /** Size of the prompt in bytes. */
  prompt?: number;
  timeouts?: Record<string, string>;
  plain: Outcome;
  stream: Outcome;
}

const unreachable: Outcome = { sees: [502, "upstream_unreachable"], attempts: 2 };
const truncated: Outcome = { sees: [502, "upstream_stream_truncated"], attempts: 2 };
const invalid: Outcome = { sees: [502, "upstream_invalid_response"], attempts: 2 };
const late = (limit: Limit, says = /did not answer in time/): Outcome => ({
  sees: [504, "upstream_timeout"],
  attempts: 1,
  limit,
  says,
});
const noConnection = late("connect", /No connection/);
const notTaken = late("write", /stopped taking the request/);
const nothing: Fault = () => undefined;
/** Sends half of an answer, then nothing. */
const half: Fault = (socket, stream) => {
  const text = stream ? streamHead + chunk(frames.slice(0, 2).join("")) : wholeHead + answer.slice(0, 40);
  socket.write(text);
};

const rows: Row[] = [
  { name: "refused connection", endpoint: "closed", fault: nothing, plain: unreachable, stream: unreachable },
  {
    name: "reset before headers",
    fault: (socket) => void socket.resetAndDestroy(),
    plain: unreachable,
    stream: unreachable,
  },
  {
    name: "reset after headers",
    fault: (socket, stream) =>
      void socket.write(stream ? streamHead : wholeHead, () => setTimeout(() => socket.resetAndDestroy(), 20)),
    plain: unreachable,
    stream: truncated,
  },
  {
    name: "reset in mid-stream",
    fault: (socket, stream) => {
      void half(socket, stream);
      setTimeout(() => socket.resetAndDestroy(), 50);
    },
    plain: unreachable,
    stream: { sees: ["broken", "upstream_stream_truncated"], attempts: 1 },
  },
  {
    name: "429 with Retry-After",
    fault: status("429 Too Many Requests", { "retry-after": "30" }),
    plain: { sees: [429, "upstream_rate_limited"], attempts: 1 },
    stream: { sees: [429, "upstream_rate_limited"], attempts: 1 },
  },
  {
    name: "429 without Retry-After",
    fault: status("429 Too Many Requests"),
    plain: { sees: [429, "upstream_rate_limited"], attempts: 1 },
    stream: { sees: [429, "upstream_rate_limited"], attempts: 1 },
  },
  {
    name: "500",
    fault: status("500 Internal Server Error"),
    plain: { sees: [502, "upstream_error"], attempts: 2 },
    stream: { sees: [502, "upstream_error"], attempts: 2 },
  },
  {
    name: "503",
    fault: status("503 Service Unavailable"),
    plain: { sees: [503, "upstream_unavailable"], attempts: 2 },
    stream: { sees: [503, "upstream_unavailable"], attempts: 2 },
  },
  { name: "hang at connect", endpoint: "silent TLS", fault: nothing, plain: noConnection, stream: noConnection },
  {
    name: "a request that nobody takes",
    endpoint: "never reads",
    fault: nothing,
    prompt: 9_000_000,
    plain: notTaken,
    stream: notTaken,
  },
  { name: "hang before the first token", fault: nothing, plain: late("response"), stream: late("firstToken") },
  {
    name: "hang behind the headers",
    fault: (socket, stream) => void socket.write(stream ? streamHead : wholeHead),
    plain: late("response"),
    stream: late("firstToken"),
  },
  {
    name: "hang in mid-stream",
    fault: half,
    plain: late("idle"),
    stream: { sees: ["broken", "upstream_timeout"], attempts: 1, limit: "idle" },
  },
  {
    name: "HTML",
    fault: (socket) =>
      void socket.write(`${head("200 OK", { "content-type": "text/html", "content-length": 13 })}<html></html>`),
    plain: invalid,
    stream: invalid,
  },
  {
    name: "truncated JSON",
    fault: (socket, stream) => {
      const cut = answer.slice(0, 60);
      const whole = head("200 OK", { "content-type": "application/json", "content-length": cut.length }) + cut;
      socket.write(stream ? streamHead + chunk((frames[0] ?? "").slice(0, 30)) + lastChunk : whole);
    },
    plain: invalid,
    stream: truncated,
  },
  {
    name: "slow bytes",
    fault: (socket, stream) =>
      drip(socket, stream ? streamHead + frames.map(chunk).join("") + lastChunk : wholeHead + answer, 16, 5),
    plain: { sees: "ok", attempts: 1 },
    stream: { sees: "ok", attempts: 1 },
  },
  {
    name: "slow bytes without end",
    fault: (socket, stream) => {
      const frame = stream ? chunk(frames[1] ?? "") : " ";
      socket.write(stream ? streamHead : wholeHead);
      return drip(socket, frame.repeat(10_000), frame.length, 20);
    },
    timeouts: { response: "500ms", firstToken: "500ms", total: "1500ms" },
    plain: { sees: [504, "upstream_timeout"], attempts: 1, limit: "response" },
    stream: { sees: ["broken", "upstream_timeout"], attempts: 1, limit: "firstToken" },
  },
  { name: "DNS failure", endpoint: "no such name", fault: nothing, plain: unreachable, stream: unreachable },
];

/** Longer than a DNS label may be, so that no resolver is asked. */
const noSuchName = `http://${"x".repeat(64)}.example.com`;

interface Seen {
  status: number;
  code: string | null;
  text: string;
  usedProvider: string | null;
  attempts: string | null;
  elapsedMs: number;
}

describe("the fault matrix", () => {
  let gateway: TestGateway;
  let second: Upstream;
  const faulty: Faulty[] = [];
  const model = (at: number, targets: "alone" | "both", stream: boolean): string =>
    `f${at}-${targets}-${stream ? "stream" : "plain"}`;
  const modelsOf = (at: number, targets: "alone" | "both"): string[] =>
    [false, true].map((stream) => model(at, targets, stream));

  const endpointOf = (row: Row, server: Faulty): string => {
    if (row.endpoint === "closed") return "http://127.0.0.1:1";
    if (row.endpoint === "no such name") return noSuchName;
    return row.endpoint === "silent TLS" ? server.url.replace("http:", "https:") : server.url;
  };

  before(async () => {
    second = await startUpstream(openai);
    for (const row of rows)
      faulty.push(
        await startFaulty(
          row.fault,
          row.endpoint === "silent TLS" || row.endpoint === "never reads" ? "never reads" : "reads",
        ),
      );
    const timeoutsOf = ({ plain, stream }: Row): Record<string, string> =>
      Object.fromEntries(
        Object.entries(limits).map(([name, value]) => [
          name,
          name === plain.limit || name === stream.limit ? `${value}ms` : "20s",
        ]),
      );
    gateway = await startGateway(
      [
        ...rows.flatMap((row, index) => [
          provider(`f${index}`, endpointOf(row, faulty[index] as Faulty), {
            models: [...modelsOf(index, "alone"), ...modelsOf(index, "both")].map((name) => ({ name })),
            timeouts: { ...timeoutsOf(row), total: `${limits.total}ms`, ...row.timeouts },
            retry: { attempts: 2, initialDelay: "1ms", maxDelay: "2ms" },
            circuitBreaker: { failureThreshold: 1000 },
          }),
          secret(`f${index}-credentials`, { apiKey: "sk-first" }),
          policy(`alone-${index}`, {
            match: { models: modelsOf(index, "alone") },
            routing: { targets: [{ provider: { name: `f${index}` } }] },
          }),
          policy(`both-${index}`, {
            match: { models: modelsOf(index, "both") },
            routing: {
              targets: [
                { provider: { name: `f${index}` } },
                { provider: { name: "second" }, model: "gpt-4o", priority: 2 },
              ],
            },
          }),
        ]),
        provider("second", second.url),
        secret("second-credentials", { apiKey: "sk-second" }),
        ...key("alice", clear),
      ],
      ["--log-level", "silent"],
    );
  });
  after(async () => {
    await gateway.close();
    await second.close();
    for (const one of faulty) await one.close();
  });

  async function ask(row: Row, name: string, stream: boolean): Promise<Seen> {
    const began = performance.now();
    const reply = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${clear}`, "content-type": "application/json", "x-sluice-attempts": "true" },
      body: JSON.stringify({ model: name, stream, messages: [{ role: "user", content: "x".repeat(row.prompt ?? 2) }] }),
    });
    const text = await reply.text();
    const elapsedMs = performance.now() - began;
    const code = /"code":\s?"([a-z_]+)"/.exec(text)?.[1] ?? null;
    return {
      status: reply.status,
      code,
      text,
      usedProvider: reply.headers.get("x-provider-used"),
      attempts: reply.headers.get("x-sluice-attempts"),
      elapsedMs,
    };
  }

  function assertTime(seen: Seen, expected: Outcome): void {
    // Timers and clocks may differ by a millisecond.
    if (expected.limit !== undefined)
      assert.ok(
        seen.elapsedMs >= limits[expected.limit] - 2,
        `${seen.elapsedMs} ms is before the limit ${expected.limit}`,
      );
    assert.ok(seen.elapsedMs < limits.total, `${seen.elapsedMs} ms`);
  }

  function assertWhole(seen: Seen, stream: boolean): void {
    assert.equal(seen.status, 200, seen.text);
    assert.match(seen.text, stream ? /data: \[DONE\]\n\n$/ : /"Hello there"/);
  }

  for (const [index, row] of rows.entries()) {
    for (const stream of [false, true]) {
      const expected = stream ? row.stream : row.plain;
      const how = stream ? "stream" : "plain";
      const reaches = row.endpoint !== "closed" && row.endpoint !== "no such name";

      it(`${row.name}, ${how}, alone`, async () => {
        const before = faulty[index]?.count() ?? 0;
        const seen = await ask(row, model(index, "alone", stream), stream);
        if (expected.sees === "ok") assertWhole(seen, stream);
        else if (expected.sees[0] === "broken") {
          assert.deepEqual([seen.status, seen.code], [200, expected.sees[1]]);
          assert.doesNotMatch(seen.text, /\[DONE\]/);
        } else assert.deepEqual([seen.status, seen.code], [...expected.sees], seen.text);
        if (expected.says) assert.match(seen.text, expected.says);
        assertTime(seen, expected);
        if (reaches) assert.equal((faulty[index]?.count() ?? 0) - before, expected.attempts);
      });

      it(`${row.name}, ${how}, with a second target`, async () => {
        const before = faulty[index]?.count() ?? 0;
        const askedBefore = second.requests.length;
        const seen = await ask(row, model(index, "both", stream), stream);
        const asked = second.requests.length - askedBefore;
        const beyondHelp =
          expected.sees !== "ok" && (expected.sees[0] === "broken" || row.timeouts?.["total"] !== undefined);
        if (beyondHelp) {
          assert.deepEqual(
            [seen.code, asked],
            [expected.sees[1], 0],
            "nothing is spliced, and no time is left that there isn't",
          );
        } else {
          assertWhole(seen, stream);
          assert.deepEqual([seen.usedProvider, asked], expected.sees === "ok" ? [`f${index}`, 0] : ["second", 1]);
          assert.equal(seen.attempts, String(expected.attempts + asked));
        }
        assertTime(seen, expected);
        if (reaches) assert.equal((faulty[index]?.count() ?? 0) - before, expected.attempts);
      });
    }
  }
});

describe("a single provider that answers 429 once, without Retry-After", () => {
  it("is called again when its hold-back ends", async () => {
    let asked = 0;
    const upstream = await startUpstream((request, response) => {
      if (asked++ > 0) return openai(request, response);
      response.writeHead(429, { "content-type": "application/json" });
      response.end(JSON.stringify({ error: { message: "slow down" } }));
    });
    const gateway = await startGateway([
      provider("one", upstream.url, { retry: { attempts: 2, initialDelay: "1ms" } }),
      secret("one-credentials", { apiKey: "sk-one" }),
      policy("chat", { match: { models: ["gpt-4o"] }, routing: { targets: [{ provider: { name: "one" } }] } }),
      ...key("alice", clear),
    ]);
    try {
      const reply = await fetch(`${gateway.url}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
        body: JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: "Hi" }] }),
      });
      assert.equal(reply.status, 200, await reply.text());
      assert.equal(asked, 2);
    } finally {
      await gateway.close();
      await upstream.close();
    }
  });
});

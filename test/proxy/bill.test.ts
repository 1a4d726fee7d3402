/** The gateway charges what the provider bills. A simulated provider keeps its own bill through every kind of fault. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { request as send } from "node:http";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { answered, manifestPrice, refusedOnce, type Script, startBilling } from "../harness/billing-upstream.ts";
import { pastDayTurn } from "../harness/day-turn.ts";
import { eventually, key, policy, provider, secret, startGateway } from "../harness/gateway.ts";
import { seeded } from "../harness/seeded.ts";

await pastDayTurn(120_000);
const clear = "slc_alice_key_0001_0123456789";

const breaksWhole: Script = async (answer) => {
  answer.charge(answer.words);
  const { whole } = answer;
  answer.response.writeHead(200, { "content-type": "application/json", "content-length": whole.length });
  answer.response.write(whole.slice(0, whole.length / 2));
  await sleep(5);
  answer.response.destroy();
};

const resets: Script = async (answer) => {
  answer.charge(answer.stream ? 0 : answer.words);
  answer.response.destroy();
};

const late: Script = async (answer) => {
  answer.charge(answer.words);
  await once(answer.response, "close");
};

const breaksStream: Script = async (answer) => {
  answer.charge(await answer.say(Math.ceil(answer.words / 2)));
  answer.response.destroy();
};

const stalls: Script = async (answer) => {
  answer.charge(await answer.say(Math.ceil(answer.words / 2)));
  await once(answer.response, "close");
};

/** Reads the prompt, and sends nothing until the caller or the gateway gives up. */
const silent: Script = async (answer) => {
  answer.response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
  answer.charge(0);
  await once(answer.response, "close");
};

/** Sends the whole answer, then pauses before the usage. */
const lateUsage: Script = async (answer) => {
  answer.charge(await answer.say(answer.words));
  answer.finish();
  await sleep(30);
  answer.endStream();
};

/** Generates until it sees that the connection closed. */
const untilClosed: Script = async (answer) => {
  answer.charge(await answer.say(10_000, 3));
};

const first =
  (script: Script): Script =>
  (answer, attempt) =>
    (attempt === 1 ? script : answered)(answer, attempt);

interface Kind {
  script: Script;
  stream: boolean;
  /** When the caller leaves: after this many milliseconds, or once the text it has read matches. */
  leaves?: number | ((text: string) => boolean);
  /** Whether the call fails by a time limit. Only these calls have a short limit, so that a busy machine doesn't break others. */
  hasty?: boolean;
  /** Whether every attempt's usage is reported, so that nothing is estimated. */
  exact?: boolean;
}

const kinds: Record<string, Kind> = {
  plain: { script: answered, stream: false, exact: true },
  stream: { script: answered, stream: true, exact: true },
  "refused, then answered": { script: refusedOnce, stream: false, exact: true },
  "whole answer breaks": { script: breaksWhole, stream: false },
  "connection resets": { script: resets, stream: false },
  "answer is late": { script: late, stream: false, hasty: true },
  "breaks, then answered": { script: first(breaksWhole), stream: false },
  "resets, then a stream": { script: first(resets), stream: true },
  "stream breaks": { script: breaksStream, stream: true },
  "stream stalls": { script: stalls, stream: true, hasty: true },
  "first token is late": { script: first(silent), stream: true, hasty: true },
  "caller leaves before a whole answer": { script: late, stream: false, leaves: 40 },
  "caller leaves before the first token": { script: silent, stream: true, leaves: 40 },
  "caller leaves at the first token": { script: untilClosed, stream: true, leaves: (text) => text.includes("tokens ") },
  "caller leaves in the middle": {
    script: untilClosed,
    stream: true,
    leaves: (text) => text.split("tokens ").length > 12,
  },
  "caller leaves before the usage": {
    script: lateUsage,
    stream: true,
    leaves: (text) => text.includes('"finish_reason":"stop"'),
    exact: true,
  },
};

const biller = await startBilling(
  Object.fromEntries(Object.entries(kinds).map(([name, { script }]) => [name, script])),
  (call, attempt) => 20 + Math.floor(seeded(Number(call) * 7 + attempt)() * 30),
);
after(() => biller.upstream.close());

const spec = {
  models: [{ name: "gpt-4o", maxOutputTokens: 4_096, price: manifestPrice }],
  circuitBreaker: { failureThreshold: 1_000 },
  retry: { attempts: 2, initialDelay: "1ms", maxDelay: "5ms" },
};
const hasty = { ...spec, timeouts: { response: "400ms", firstToken: "300ms", idle: "300ms", total: "20s" } };
const named = (prefix: string) =>
  ["first", "second"].flatMap((name) => [
    provider(`${prefix}${name}`, biller.upstream.url, prefix === "" ? spec : hasty),
    secret(`${prefix}${name}-credentials`, { apiKey: `sk-${name}` }),
  ]);
const targetsOf = (prefix: string) => ["first", "second"].map((name) => ({ provider: { name: `${prefix}${name}` } }));

const gateway = await startGateway([
  ...named(""),
  ...named("hasty-"),
  policy("chat", { match: { models: ["gpt-4o"] }, routing: { targets: targetsOf("") } }),
  policy("hasty", { match: { pathPrefix: "/hasty", models: ["gpt-4o"] }, routing: { targets: targetsOf("hasty-") } }),
  ...key("alice", clear),
  { kind: "Budget", metadata: { name: "all" }, spec: { amount: "100", period: "Total" } },
]);
after(() => gateway.close());

const prompts = ["What is a token?", "Say it again, please, and at some length.", "Hi"];

/** Resolves when the answer has ended or the caller has left. */
function call(fault: string, id: number): Promise<void> {
  const { stream, leaves, hasty: isHasty } = kinds[fault] as Kind;
  const body = JSON.stringify({
    model: "gpt-4o",
    user: `${fault}:${id}`,
    stream,
    messages: [{ role: "user", content: prompts[id % prompts.length] }],
  });
  return new Promise((resolve) => {
    const headers = {
      authorization: `Bearer ${clear}`,
      "content-type": "application/json",
      "x-request-id": `call-${id}`,
    };
    const request = send(
      `${gateway.url}${isHasty ? "/hasty" : ""}/v1/chat/completions`,
      { method: "POST", headers },
      (response) => {
        let text = "";
        response.on("data", (chunk: Buffer) => {
          text += chunk.toString();
          if (typeof leaves === "function" && leaves(text)) request.destroy();
        });
        response.on("close", resolve);
      },
    );
    request.on("error", () => resolve());
    if (typeof leaves === "number") setTimeout(() => request.destroy(), leaves);
    request.end(body);
  });
}

const logged = (): Record<string, unknown>[] => gateway.logs.filter((line) => line["msg"] === "call");

test("the gateway's total equals the provider's bill through every kind of fault", async () => {
  let id = 0;
  const faultOf = new Map<string, string>();
  const run = async (fault: string): Promise<void> => {
    faultOf.set(`call-${id}`, fault);
    await call(fault, id++);
  };
  // As in production, most calls succeed.
  const usual = async (count: number): Promise<void> => {
    for (let done = 0; done < count; done += 4)
      await Promise.all([run("plain"), run("stream"), run("plain"), run("stream")]);
  };
  await usual(32);
  for (let round = 0; round < 3; round++) {
    await Promise.all(Object.keys(kinds).map(run));
    await usual(160);
  }
  await eventually(() => logged().length === id && biller.open === 0);

  const billed = new Map<string, number>();
  for (const { fault, nanoUsd } of biller.attempts) billed.set(fault, (billed.get(fault) ?? 0) + nanoUsd);
  const charged = new Map<string, number>();
  for (const line of logged()) {
    const fault = faultOf.get(String(line["request_id"])) ?? "";
    charged.set(fault, (charged.get(fault) ?? 0) + Number(line["cost_nano_usd"] ?? 0));
  }
  const sum = (of: Map<string, number>): number => [...of.values()].reduce((all, one) => all + one, 0);
  const row = (name: string, bill: number, own: number): string =>
    `# ${name.padEnd(38)} ${String(bill).padStart(12)} ${String(own).padStart(12)} ${(((own - bill) / bill) * 100).toFixed(2).padStart(8)} %`;
  process.stdout.write(`# ${"nano-USD".padEnd(38)} ${"billed".padStart(12)} ${"charged".padStart(12)}\n`);
  for (const fault of Object.keys(kinds))
    process.stdout.write(`${row(fault, billed.get(fault) ?? 0, charged.get(fault) ?? 0)}\n`);
  const [bill, own] = [sum(billed), sum(charged)];
  process.stdout.write(`${row("all", bill, own)}\n`);

  for (const [fault, { exact }] of Object.entries(kinds))
    if (exact) assert.equal(charged.get(fault), billed.get(fault), fault);
  assert.ok(own >= bill && own <= bill * 1.01, `charged ${own}, billed ${bill}`);
  // The budget shows the logged charges once the proxy has reported to its store.
  await eventually(async () => {
    const response = await fetch(`${gateway.statusUrl}/budgets`);
    const { budgets } = (await response.json()) as { budgets: { spentNanoUsd: number }[] };
    assert.equal(budgets[0]?.spentNanoUsd, own);
    return true;
  });
});

/**
 * Load from inside the node: `load.ts URL KEY SECONDS KIND WORKERS GAP_MS`, for SECONDS at least and until its input ends.
 * KIND is fresh (a connection for each call), kept
 * (connections are used again), stream (3 s each, on kept connections), large (fresh, in Anthropic's format, with 90,000
 * blocks for a slow model) or retried (fresh, each call up to three times, as SDKs do). Otherwise nothing is retried, so
 * that every failed call counts. Prints one line of JSON.
 */
import { Agent, type IncomingMessage, request } from "node:http";
import { Agent as TlsAgent, request as tlsRequest } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";

const [url = "", key = "", seconds = "1", kind = "fresh", workers = "1", gapMs = "0"] = process.argv.slice(2);
const stream = kind === "stream";
const keepAlive = kind === "kept" || stream;
const tls = url.startsWith("https:");
const agent = new (tls ? TlsAgent : Agent)(keepAlive ? { keepAlive, maxSockets: Number(workers) } : { keepAlive });
const models: Readonly<Record<string, string>> = { stream: "mid", large: "slow" };
const large = kind === "large";
const content = large ? Array.from({ length: 90_000 }, (_, index) => ({ type: "text", text: `${index}` })) : "hi";
const messages = [{ role: "user", content }];
const cap = large ? { max_tokens: 9 } : {};
const body = JSON.stringify({ model: models[kind] ?? "fast", stream, messages, ...cap });
const path = large ? "/v1/messages" : "/v1/chat/completions";
const options = {
  method: "POST",
  agent,
  headers: {
    authorization: `Bearer ${key}`,
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
  },
};

const tally: Record<string, number> = {};
const failures: string[] = [];
const tookMs: number[] = [];

const judge = (response: IncomingMessage, text: string): string => {
  if (response.statusCode !== 200) return `http ${response.statusCode}`;
  return stream && !text.includes("[DONE]") ? "cut" : "ok";
};

function call(): Promise<[outcome: string, detail: string]> {
  return new Promise((resolve) => {
    const sent = (tls ? tlsRequest : request)(`${url}${path}`, options, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => (text += piece));
      response.on("error", (error) => resolve([`answer ${(error as NodeJS.ErrnoException).code}`, text.slice(-80)]));
      response.on("end", () => resolve([judge(response, text), text.slice(-200)]));
    });
    sent.on("error", (error: NodeJS.ErrnoException) =>
      resolve([`${error.code}${sent.reusedSocket ? " on a kept connection" : ""}`, error.message]),
    );
    sent.end(body);
  });
}

/** Refused connections, broken ones and busy servers are tried again, as in OpenAI's SDK. */
async function persistently(): Promise<[outcome: string, detail: string]> {
  for (let attempt = 0; ; attempt++) {
    const [outcome, detail] = await call();
    if (attempt === 2 || outcome === "ok" || /^http 4(?!29)/.test(outcome)) return [outcome, detail];
    await sleep(500 * 2 ** attempt);
  }
}

const leastMs = performance.now() + Number(seconds) * 1_000;
let inputEnded = false;
process.stdin.on("end", () => (inputEnded = true)).resume();

async function work(): Promise<void> {
  while (!inputEnded || performance.now() < leastMs) {
    const began = performance.now();
    const [outcome, detail] = await (kind === "retried" ? persistently() : call());
    tookMs.push(performance.now() - began);
    tally[outcome] = (tally[outcome] ?? 0) + 1;
    if (outcome !== "ok" && failures.length < 10) failures.push(`${new Date().toISOString()} ${outcome}: ${detail}`);
    await sleep(Number(gapMs));
  }
}

await Promise.all(Array.from({ length: Number(workers) }, work));
tookMs.sort((a, b) => a - b);
const quantile = (share: number): number => Math.round(tookMs[Math.floor(tookMs.length * share)] ?? 0);
const { ok = 0, ...others } = tally;
const p99Ms = quantile(0.99);
process.stdout.write(`${JSON.stringify({ kind, ok, others, p50Ms: quantile(0.5), p99Ms, failures })}\n`);
process.exit(0);

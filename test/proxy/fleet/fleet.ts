/** Proxies as processes on one store, and callers that hammer them. */
import { writeFile } from "node:fs/promises";
import { Agent, request as send } from "node:http";
import { join } from "node:path";
import { stringify } from "yaml";
import { type Child, removeFolder, startChild, temporaryFolder } from "../../harness/child.ts";
import { freePort } from "../../harness/free-port.ts";
import { key, type Manifest, policy, provider, secret } from "../../harness/gateway.ts";
import { untilReady } from "../../harness/until-ready.ts";
import { json, startUpstream, type Upstream } from "../../harness/upstream.ts";

export const clear = "slc_fleet_key_0001_0123456789";
/** nano-USD for a token. */
export const prices = { input: 2_500, output: 10_000 };

export interface Bill {
  /** nano-USD of the answers that the provider completed, and of those it started. */
  completed: number;
  begun: number;
  /** For streams whose caller left: nano-USD of what was produced until the provider noticed. */
  left: number;
  calls: number;
}

const plain = new Set(["Secret"]);
const text = (manifests: readonly Manifest[]): string =>
  manifests
    .map(({ kind, metadata, ...rest }) =>
      stringify({
        apiVersion: plain.has(kind) ? "v1" : "sluice.dev/v1alpha1",
        kind,
        metadata: { namespace: "default", ...metadata },
        ...rest,
      }),
    )
    .join("---\n");

/** A provider that answers after a moment with a random number of tokens below the cap, fails at times, and keeps the bill. */
export async function startBiller(
  random: () => number,
  latencyMs: number,
): Promise<{ upstream: Upstream; bill: Bill }> {
  const bill: Bill = { completed: 0, begun: 0, left: 0, calls: 0 };
  const upstream = await startUpstream(async (asked, response) => {
    await new Promise((resolve) => setTimeout(resolve, latencyMs * (0.5 + random())));
    if (random() < 0.04) return json(response, 500, { error: { message: "overloaded" } });
    const most = Number(asked.json["max_tokens"]);
    const completion = 1 + Math.floor(random() * most);
    const cost = 20 * prices.input + completion * prices.output;
    const usage = { prompt_tokens: 20, completion_tokens: completion, total_tokens: 20 + completion };
    bill.calls++;
    bill.begun += cost;
    const base = { id: "1", created: 1, model: asked.json["model"] };
    if (asked.json["stream"] !== true) {
      bill.completed += cost;
      const message = { role: "assistant", content: "x".repeat(8) };
      return json(response, 200, {
        ...base,
        object: "chat.completion",
        choices: [{ index: 0, message, finish_reason: "stop" }],
        usage,
      });
    }
    response.writeHead(200, { "content-type": "text/event-stream" });
    const frame = (choices: unknown[], more: object = {}): string =>
      `data: ${JSON.stringify({ ...base, object: "chat.completion.chunk", choices, ...more })}\n\n`;
    const first = Math.min(4, completion);
    response.write(
      frame([{ index: 0, delta: { role: "assistant", content: "xxxx".repeat(first) }, finish_reason: null }]),
    );
    await new Promise((resolve) => setTimeout(resolve, latencyMs * random()));
    if (response.destroyed) bill.left += 20 * prices.input + first * prices.output;
    else if (asked.json["user"] === "leaver") bill.left += cost;
    else bill.completed += cost;
    if (response.destroyed) return;
    response.write(frame([{ index: 0, delta: { content: "xxxx".repeat(completion - first) }, finish_reason: null }]));
    response.end(`${frame([{ index: 0, delta: {}, finish_reason: "stop" }])}${frame([], { usage })}data: [DONE]\n\n`);
  });
  return { upstream, bill };
}

export interface FleetOptions {
  proxies: number;
  stateUrl: string;
  upstreamUrl: string;
  budgets: Manifest[];
  limits?: unknown[];
  /** Clock error of each proxy, in milliseconds. */
  clocks?: number[];
}

export interface Fleet {
  urls: string[];
  children: Child[];
  start(at: number): Promise<void>;
  stop(): Promise<void>;
}

export async function startFleet(options: FleetOptions): Promise<Fleet> {
  const dir = await temporaryFolder("fleet");
  const manifests = [
    provider("up", options.upstreamUrl, {
      models: [{ name: "gpt-4o", maxOutputTokens: 4_096, price: { inputPerMillion: "2.5", outputPerMillion: "10" } }],
      circuitBreaker: { failureThreshold: 1_000 },
    }),
    secret("up-credentials", { apiKey: "sk-upstream" }),
    policy("chat", {
      match: { models: ["gpt-4o"] },
      routing: { targets: [{ provider: { name: "up" } }] },
      logging: { statistics: false },
      ...(options.limits ? { limits: options.limits } : {}),
    }),
    ...key("alice", clear, { team: "red" }),
    ...options.budgets,
  ];
  await writeFile(join(dir, "manifests.yaml"), text(manifests));
  const ports: [number, number][] = [];
  for (let at = 0; at < options.proxies; at++) ports.push([await freePort(), await freePort()]);
  const children: Child[] = [];
  const start = async (at: number): Promise<void> => {
    const [port = 0, status = 0] = ports[at] ?? [];
    const off = options.clocks?.[at] ?? 0;
    const skew = `const real = Date.now; Date.now = () => real() + (${off});`;
    const args = [
      "--import",
      `data:text/javascript,${encodeURIComponent(skew)}`,
      "cli/main.ts",
      "dev",
      join(dir, "manifests.yaml"),
    ];
    const flags = [
      "--port",
      String(port),
      "--status-port",
      String(status),
      "--state-url",
      options.stateUrl,
      "--log-level",
      "warn",
    ];
    const child = await startChild(process.execPath, [...args, ...flags], {
      name: `proxy ${at}`,
      logFile: join(dir, `proxy-${at}.log`),
    });
    children[at] = child;
    await untilReady(child, async () => (await fetch(`http://127.0.0.1:${status}/readyz`)).ok, 90_000);
  };
  await Promise.all(ports.map((_, index) => start(index)));
  return {
    urls: ports.map(([port]) => `http://127.0.0.1:${port}`),
    children,
    start,
    async stop() {
      await Promise.all(children.map((child) => child.end("SIGTERM")));
      removeFolder(dir);
    },
  };
}

export interface Tally {
  answered: number;
  refused: number;
  failed: number;
  abandoned: number;
  codes: Record<string, number>;
}

/** Makes one call; some streams are abandoned after their first bytes. Resolves to the status, or 0 if the connection broke. */
function callOnce(agent: Agent, url: string, random: () => number, tally: Tally): Promise<number> {
  const stream = random() < 0.3;
  const leave = stream && random() < 0.1;
  const body = JSON.stringify({
    model: "gpt-4o",
    max_tokens: 20 + Math.floor(random() * 180),
    stream,
    ...(leave ? { user: "leaver" } : {}),
    messages: [{ role: "user", content: "y".repeat(60) }],
  });
  return new Promise((resolve) => {
    const request = send(
      `${url}/v1/chat/completions`,
      {
        method: "POST",
        agent,
        headers: {
          authorization: `Bearer ${clear}`,
          "content-type": "application/json",
          "content-length": Buffer.byteLength(body),
        },
      },
      (response) => {
        const status = response.statusCode ?? 0;
        let said = "";
        response.on("data", (chunk: Buffer) => {
          if (status !== 200) said += chunk.toString();
          if (leave && status === 200) {
            tally.abandoned++;
            request.destroy();
            resolve(status);
          }
        });
        response.on("end", () => {
          if (status !== 200) {
            const code = /"code":"(\w+)"/.exec(said)?.[1] ?? String(status);
            tally.codes[code] = (tally.codes[code] ?? 0) + 1;
          }
          resolve(status);
        });
        response.on("error", () => resolve(leave ? status : 0));
      },
    );
    request.on("error", () => resolve(0));
    request.end(body);
  });
}

export interface Hammer {
  tally: Tally;
  done: Promise<void>;
}

/** `callers` at a time, until `refusals` budget refusals in a row have been seen by each, or `stop` says so. */
export function hammer(
  urls: readonly string[],
  callers: number,
  random: () => number,
  onRefused: () => void,
  stop: (tally: Tally) => boolean,
): Hammer {
  const agent = new Agent({ keepAlive: true, maxSockets: callers });
  const tally: Tally = { answered: 0, refused: 0, failed: 0, abandoned: 0, codes: {} };
  const caller = async (at: number): Promise<void> => {
    for (let turn = at; !stop(tally); turn++) {
      const status = await callOnce(agent, urls[turn % urls.length] ?? "", random, tally);
      if (status === 200) tally.answered++;
      else if (status === 429) {
        if (tally.refused++ === 0) onRefused();
        await new Promise((resolve) => setTimeout(resolve, 100));
      } else {
        tally.failed++;
        if (status !== 502) await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  };
  const done = Promise.all(Array.from({ length: callers }, (_, at) => caller(at))).then(() => agent.destroy());
  return { tally, done };
}

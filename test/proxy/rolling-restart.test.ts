/**
 * Proxies are replaced while callers keep their connections alive. No connection is reset during a request, and a
 * refused caller gets an answer of the gateway that makes its SDK retry.
 */
import assert from "node:assert/strict";
import { Agent, request as send } from "node:http";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { RunningProxy } from "../../proxy/main.ts";
import { eventually, key, policy, provider, secret } from "../harness/gateway.ts";
import { type Proxies, startProxies } from "../harness/proxies.ts";
import { chatFrames, openai, pausedStream, startUpstream, type Upstream } from "../harness/upstream.ts";

const clear = "slc_alice_key_0001";
const frames = chatFrames("gpt-4o", ["one", "two", "three"], false);

interface Seen {
  status: number;
  text: string;
  headers: Record<string, string | string[] | undefined>;
}

function call(
  url: string,
  agent: Agent,
  stream: boolean,
  { path = "chat/completions", begun = (): void => undefined } = {},
): Promise<Seen> {
  const body = JSON.stringify({ model: "gpt-4o", stream, max_tokens: 9, messages: [{ role: "user", content: "Hi" }] });
  return new Promise((resolve, reject) => {
    const outgoing = send(
      `${url}/v1/${path}`,
      {
        agent,
        method: "POST",
        headers: {
          authorization: `Bearer ${clear}`,
          "content-type": "application/json",
          "content-length": Buffer.byteLength(body),
        },
      },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (part: string) => {
          text += part;
          begun();
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text, headers: response.headers }));
        response.on("error", reject);
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

describe("proxies that are replaced", () => {
  let upstream: Upstream;
  let proxies: Proxies;
  before(async () => {
    upstream = await startUpstream();
    proxies = await startProxies(
      0,
      [
        provider("up", upstream.url),
        secret("up-credentials", { apiKey: "sk-up" }),
        policy("chat", { match: { models: ["gpt-4o"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
        ...key("alice", clear),
      ],
      ["--drain-ms=20000", "--drain-delay-ms=1500"],
      {},
    );
  });
  after(async () => {
    await proxies.close();
    await upstream.close();
  });

  it("reset no connection in five rounds, and refuse with an answer that SDKs retry", async () => {
    upstream.answer(async (request, response) => {
      if (request.json["stream"] !== true) return openai(request, response);
      response.writeHead(200, { "content-type": "text/event-stream" });
      for (const frame of frames) {
        response.write(frame);
        await sleep(60);
      }
      response.end();
    });
    // The load balancer's view of which proxies are ready. It learns of changes with a delay.
    let ready: RunningProxy[] = [await proxies.start(), await proxies.start()];
    let over = false;
    const wrong: string[] = [];
    const counts = { served: 0, draining: 0 };
    const client = async (at: number): Promise<void> => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      for (let turn = 0; !over; turn++) {
        const proxy = ready[(at + turn) % ready.length] as RunningProxy;
        const stream = at % 3 === 0;
        try {
          const { status, text, headers } = await call(proxy.trafficUrl, agent, stream);
          if (status === 200 && (stream ? text.endsWith("[DONE]\n\n") : text.includes("Hello"))) counts.served++;
          else if (status === 503 && /"code":"draining"/.test(text) && headers["x-should-retry"] === "true")
            counts.draining++;
          else wrong.push(`${status} ${text}`);
        } catch (cause) {
          wrong.push(String(cause));
        }
        await sleep(at % 5);
      }
      agent.destroy();
    };
    const clients = Array.from({ length: 12 }, (_, at) => client(at));
    for (let restart = 0; restart < 5; restart++) {
      const served = counts.served;
      await eventually(() => counts.served > served + 20);
      const next = await proxies.start();
      const [leaving, ...staying] = ready as [RunningProxy, ...RunningProxy[]];
      const closed = leaving.close(true);
      await eventually(async () => (await fetch(`${leaving.statusUrl}/readyz`)).status === 503);
      ready = [...staying, next];
      await closed;
    }
    over = true;
    await Promise.all(clients);
    for (const proxy of ready) await proxy.close();
    assert.deepEqual(wrong, []);
    assert.ok(counts.served > 100, JSON.stringify(counts));
  });

  it("send Connection: close while they still serve, and then refuse in the caller's own format", async () => {
    const proxy = await proxies.start();
    const paused = pausedStream("gpt-4o");
    upstream.answer((request, response) =>
      request.json["stream"] === true ? paused.answer(request, response) : openai(request, response),
    );
    const streaming = new Agent({ keepAlive: true, maxSockets: 1 });
    let begun = false;
    const stream = call(proxy.trafficUrl, streaming, true, { begun: () => void (begun = true) });
    await eventually(() => begun);
    const closing = proxy.close(true);
    await eventually(async () => (await fetch(`${proxy.statusUrl}/readyz`)).status === 503);
    const served = await call(proxy.trafficUrl, new Agent({ keepAlive: true }), false);
    assert.deepEqual([served.status, served.headers["connection"]], [200, "close"]);
    // A connection that was in use when the delay ended is closed with its next request.
    await eventually(async () => {
      try {
        await (await fetch(proxy.trafficUrl)).arrayBuffer();
        return false;
      } catch {
        return true;
      }
    });
    paused.finish();
    assert.match((await stream).text, /\[DONE\]/);
    const refused = await call(proxy.trafficUrl, streaming, false, { path: "messages" });
    assert.deepEqual(
      [
        refused.status,
        refused.headers["retry-after"],
        refused.headers["x-should-retry"],
        refused.headers["connection"],
      ],
      [503, "1", "true", "close"],
    );
    assert.equal(JSON.parse(refused.text).error.type, "overloaded_error");
    await closing;
    streaming.destroy();
  });
});

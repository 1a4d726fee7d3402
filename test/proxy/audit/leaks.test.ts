/**
 * What is left behind of calls whose policy masks: personal data of every class, the caller's key and the providers' keys
 * stand in requests, answers and failures, and in nothing that is kept: audit records with bodies, in files and in the
 * store, log lines with payloads, metrics, status, and cached answers, opened.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { openBodies } from "../../../proxy/audit/sealed.ts";
import { type Client, connectRedis } from "../../../proxy/fleet/redis-client.ts";
import { detectorNames } from "../../../proxy/masking/detectors.ts";
import { Sealer } from "../../../proxy/seal/seal.ts";
import { eventually, key, policy, provider, secret, startGateway, type TestGateway } from "../../harness/gateway.ts";
import { type Redis, startRedis } from "../../harness/redis.ts";
import {
  chatFrames,
  json,
  openai,
  startUpstream,
  type Upstream,
  type UpstreamRequest,
} from "../../harness/upstream.ts";

type Json = Record<string, unknown>;
/** One of each class that is detected, and of a policy's own. */
const personal: Record<(typeof detectorNames)[number] | "EmployeeId", string> = {
  Email: "alice.doe@example.com",
  Phone: "+14155552671",
  SSN: "536-22-1234",
  CreditCard: "4111 1111 1111 1111",
  EmployeeId: "EMP-123456",
};
const clients = ["slc_leak_alice_00001", "slc_leak_bob_0000001", "slc_leak_never_known"] as const;
const providers = ["sk-leak-upstream-000001", "sk-leak-other-00000001"] as const;
const hidden = [...Object.values(personal), ...clients, ...providers];
const data = Object.values(personal).join("\n");
const all = `I am\n${data}\nwith ${[...clients, ...providers].join(" and ")}.`;

/** Also as JSON and JSON in JSON have it, and as a header or a URL may. */
function leaks(text: string): string[] {
  const once = (value: string): string => JSON.stringify(value).slice(1, -1);
  return hidden.filter((one) =>
    [one, once(one), once(once(one)), encodeURIComponent(one), Buffer.from(one).toString("base64")].some((form) =>
      text.includes(form),
    ),
  );
}

const sayWhole = (text: string) => (request: UpstreamRequest, response: ServerResponse) => {
  if (request.path.endsWith("/embeddings")) return openai(request, response);
  if (request.json["stream"] === true) {
    response.writeHead(200, { "content-type": "text/event-stream" });
    return void response.end(chatFrames("m", text.match(/[\s\S]{1,7}/g) ?? [], true).join(""));
  }
  json(response, 200, {
    id: "x",
    object: "chat.completion",
    created: 1,
    model: "m",
    choices: [{ index: 0, message: { role: "assistant", content: text }, finish_reason: "stop" }],
    usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
  });
};
const failing = (status: number) => (_request: unknown, response: ServerResponse) =>
  json(response, status, {
    error: { message: `Wrong: ${all}`, type: "invalid_request_error", code: personal.Email, param: personal.Email },
  });
const breaking = (_request: unknown, response: ServerResponse): void => {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write(chatFrames("m", [all], true).slice(0, 2).join(""));
  response.write(`data: ${JSON.stringify({ error: { message: all, code: personal.Email } })}\n\n`);
  response.end();
};

describe("what is left behind", () => {
  const keys = randomBytes(32).toString("base64");
  let upstream: Upstream;
  let redis: Redis;
  let store: Client;
  let folder: string;

  before(async () => {
    [upstream, redis, folder] = await Promise.all([
      startUpstream(),
      startRedis(),
      mkdtemp(join(tmpdir(), "sluice-leaks-")),
    ]);
    store = connectRedis(redis.url, null, null);
    await eventually(() => store.ping());
  });
  after(async () => {
    store.disconnect();
    await Promise.all([upstream.close(), redis.stop(), rm(folder, { recursive: true })]);
  });

  const start = (audit: string, sealing: Record<string, string>, flags: readonly string[]): Promise<TestGateway> => {
    const custom = [{ name: "EmployeeId", pattern: "EMP-\\d{6}" }];
    const targets = [{ provider: { name: "up" } }, { provider: { name: "other" } }];
    const common = { audit: { bodies: true, required: true }, logging: { payloads: true }, cache: { ttl: "1h" } };
    const masking = (name: string, mask: Json) =>
      policy(name, {
        ...common,
        match: { models: [name] },
        routing: { targets },
        guard: { mask: { custom, answers: true, ...mask } },
      });
    const models = [{ name: "replacing" }, { name: "hiding" }];
    return startGateway(
      [
        provider("up", upstream.url, { models, retry: { attempts: 1 }, circuitBreaker: { failureThreshold: 1_000 } }),
        secret("up-credentials", { apiKey: providers[0] }),
        provider("other", upstream.url, {
          models,
          retry: { attempts: 1 },
          circuitBreaker: { failureThreshold: 1_000 },
        }),
        secret("other-credentials", { apiKey: providers[1] }),
        masking("replacing", {}),
        masking("hiding", { mode: "Placeholder" }),
        ...key("alice", clients[0]),
        ...key("bob", clients[1]),
      ],
      [`--audit-dir=${audit}`, "--audit-redis=true", `--state-url=${redis.url}`, ...flags],
      sealing,
    );
  };

  /** Bodies in every format, with the data in texts, names, tools and members that nobody knows. */
  const bodies = (model: string): [string, Json][] => {
    const user = { role: "user", content: all };
    const tool = {
      type: "function",
      function: {
        name: "f",
        description: all,
        parameters: { type: "object", properties: { [personal.Email]: { type: "string", description: all } } },
      },
    };
    const used = { id: "c", type: "function", function: { name: "f", arguments: JSON.stringify({ note: all }) } };
    return [
      ["/chat/completions", { model, messages: [user], user: personal.Email, metadata: { who: all }, tools: [tool] }],
      [
        "/chat/completions",
        {
          model,
          messages: [
            { role: "assistant", content: null, tool_calls: [used] },
            { role: "tool", tool_call_id: "c", content: all },
            user,
          ],
        },
      ],
      [
        "/messages",
        { model, max_tokens: 5, system: all, messages: [{ role: "user", content: [{ type: "text", text: all }] }] },
      ],
      ["/responses", { model, input: all, instructions: all }],
      ["/embeddings", { model, input: [all] }],
    ];
  };

  async function traffic(url: string): Promise<Set<number>> {
    const statuses = new Set<number>();
    const send = async (path: string, body: Json, headers: Record<string, string> = {}): Promise<void> => {
      const answer = await fetch(`${url}/v1${path}?who=${encodeURIComponent(personal.Email)}`, {
        method: "POST",
        headers: {
          authorization: `Bearer ${clients[0]}`,
          "content-type": "application/json",
          "user-agent": personal.Email,
          ...headers,
        },
        body: JSON.stringify(body),
      });
      await answer.text();
      statuses.add(answer.status);
    };
    for (const model of ["replacing", "hiding"])
      for (const answer of [openai, sayWhole(all), failing(400), failing(401), failing(429), failing(500), breaking]) {
        upstream.answer(answer);
        for (const [path, body] of bodies(model))
          for (const stream of path === "/embeddings" ? [false] : [false, true])
            await send(
              path,
              { ...body, ...(stream ? { stream } : {}) },
              { "cache-control": answer === openai ? "" : "no-cache" },
            );
      }
    upstream.answer(sayWhole(all));
    const [, [, body] = ["", {}]] = bodies("replacing");
    // As the cache gives them again, and by every way in which a caller is refused.
    await send("/chat/completions", body);
    await send("/chat/completions", body, { authorization: "", "x-api-key": clients[1] });
    await send("/chat/completions", body, { authorization: `Bearer ${clients[2]}` });
    await send("/chat/completions", body, { authorization: `Bearer ${personal.Email}` });
    await send("/chat/completions", { ...body, model: personal.Email });
    await send("/chat/completions", { ...body, model: clients[1] });
    await send("/chat/completions", { ...body, messages: all });
    await send(`/${encodeURIComponent(personal.Email)}`, body);
    await send("/chat/completions", body, {
      "x-request-id": personal.Email,
      "x-prefer-provider": personal.Email,
      origin: `https://${clients[1]}.example`,
    });
    return statuses;
  }

  /** All that the store holds, opened where it is sealed. */
  async function held(sealer: Sealer | null): Promise<string> {
    const texts: string[] = [];
    for (const name of await store.keys("*")) {
      texts.push(name);
      const kind = await store.type(name);
      if (kind === "hash") texts.push(JSON.stringify(await store.hgetall(name)));
      else if (kind === "stream") texts.push(JSON.stringify(await store.xrange(name, "-", "+")));
      else if (kind === "zset") texts.push(JSON.stringify(await store.zrange(name, "0", "-1")));
      else if (kind === "string") {
        const bytes = (await store.getBuffer(name)) ?? Buffer.alloc(0);
        texts.push(bytes.toString("latin1"), sealer?.open(name, bytes)?.toString("utf8") ?? "");
      }
    }
    return texts.join("\n");
  }
  const filed = async (audit: string): Promise<string> =>
    (await Promise.all((await readdir(audit)).map((name) => readFile(join(audit, name), "utf8")))).join("");

  it("plants one of every class that is detected", () => {
    assert.deepEqual(Object.keys(personal).slice(0, -1).sort(), [...detectorNames].sort());
    assert.deepEqual(leaks(all), hidden);
  });

  it("is nothing of what was planted, in any place", async (context) => {
    const audit = join(folder, "clear");
    const gateway = await start(audit, {}, []);
    const statuses = await traffic(gateway.url);
    const metrics = await gateway.metrics();
    const status = JSON.stringify(await gateway.status());
    await gateway.close();
    const records = await filed(audit);
    const logs = gateway.logText() + gateway.printed.join("\n");
    for (const [place, text] of [
      ["audit files", records],
      ["the store", await held(null)],
      ["logs", logs],
      ["metrics", metrics],
      ["status", status],
    ] as const) {
      const lines = text.split("\n").filter((line) => leaks(line).length > 0);
      assert.deepEqual(
        lines.slice(0, 2).map((line) => [leaks(line), line]),
        [],
        place,
      );
    }
    // It was there to be found.
    for (const label of ["[EMAIL]", "[PHONE]", "[SSN]", "[CREDIT_CARD]", "[EMPLOYEE_ID]", "[KEY]"]) {
      assert.ok(records.includes(label), `audit: ${label}`);
      assert.ok(logs.includes(label), `logs: ${label}`);
    }
    assert.ok(records.includes("[EMAIL_1]"));
    assert.match(metrics, /ai_gateway_masked_total\{[^}]*type="EmployeeId"\} \d/);
    for (const one of [200, 400, 401, 404]) assert.ok(statuses.has(one), String(one));
    context.diagnostic(`${records.split("\n").length} records, statuses ${[...statuses].join(", ")}`);
  });

  it("is nothing of it under the seals either, in cached answers and in bodies", async () => {
    await store.flushall();
    const audit = join(folder, "sealed");
    const gateway = await start(audit, { SLUICE_SEALING_KEYS: keys }, ["--cache-store=Shared"]);
    await traffic(gateway.url);
    await eventually(async () => (await store.keys("sluice:cache:*")).length > 2);
    await gateway.close();
    const sealer = new Sealer(keys);
    const text = await held(sealer);
    assert.ok(text.includes('"storedAtMs"'), "cached answers are opened");
    assert.deepEqual(leaks(text), []);
    const opened = (await filed(audit))
      .split("\n")
      .filter((line) => line.includes('"sealed_bodies"'))
      .map((line) => JSON.parse(line) as { chain: string; seq: number; sealed_bodies: string })
      .map(({ chain, seq, sealed_bodies }) => openBodies(sealer, chain, seq, sealed_bodies));
    assert.ok(opened.length > 10 && opened.every((one) => typeof one !== "string"));
    assert.ok(JSON.stringify(opened).includes("[EMAIL]"));
    assert.deepEqual(leaks(JSON.stringify(opened)), []);
  });
});

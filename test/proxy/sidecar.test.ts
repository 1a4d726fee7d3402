import assert from "node:assert/strict";
import { rename, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import OpenAI from "openai";
import { pino } from "pino";
import { stringify } from "yaml";
import { Fleet } from "../../proxy/sidecar/fleet.ts";
import { type RunningSidecar, startSidecar } from "../../proxy/sidecar/main.ts";
import { parseSidecarSettings } from "../../proxy/sidecar/settings.ts";
import { removeFolder, temporaryFolder } from "../harness/child.ts";
import { freePort } from "../harness/free-port.ts";
import { eventually, type Manifest, startGateway, type TestGateway } from "../harness/gateway.ts";
import { type Issuer, startIssuer } from "../harness/issuer.ts";
import { chatFrames, openai, pausedStream, startUpstream, type Upstream } from "../harness/upstream.ts";

const quiet = pino({ level: "silent" });
const claims = (name: string) => ({
  sub: `system:serviceaccount:team-b:${name}`,
  "kubernetes.io": { namespace: "team-b", serviceaccount: { name, uid: "u" } },
});

describe("a sidecar", () => {
  let upstream: Upstream;
  let cluster: Issuer;
  let gateway: TestGateway;
  let folder: string;
  let tokenFile: string;
  let sidecar: RunningSidecar;
  const others: RunningSidecar[] = [];

  /** As kubelet does: replaces the old file with a new one. */
  const project = async (token: string): Promise<void> => {
    await writeFile(`${tokenFile}.next`, `${token}\n`);
    await rename(`${tokenFile}.next`, tokenFile);
  };
  const start = async (fleet: string[], more: string[] = []): Promise<RunningSidecar> => {
    const flags = [
      ...fleet.flatMap((url) => ["--fleet", url]),
      "--token-file",
      tokenFile,
      "--port",
      "0",
      "--status-port",
      "0",
      ...more,
    ];
    const one = await startSidecar(parseSidecarSettings(flags, {}), quiet);
    others.push(one);
    return one;
  };
  const app = (url = sidecar.url) => new OpenAI({ apiKey: "the-app-has-none", baseURL: `${url}/v1`, maxRetries: 0 });
  const ask = async (url = sidecar.url, content = "Hi") =>
    (await app(url).chat.completions.create({ model: "gpt-4o", messages: [{ role: "user", content }] })).choices[0]
      ?.message.content;

  before(async () => {
    [upstream, cluster, folder] = await Promise.all([
      startUpstream(),
      startIssuer("RS256"),
      temporaryFolder("sidecar"),
    ]);
    tokenFile = join(folder, "token");
    await writeFile(
      join(folder, "settings.yaml"),
      stringify({
        identity: {
          issuers: [
            { name: "cluster", kind: "Kubernetes", issuer: cluster.url, audiences: ["sluice"], jwks: cluster.keys() },
          ],
        },
      }),
    );
    const object = (kind: string, name: string, rest: object): Manifest => ({
      kind,
      metadata: { name, namespace: "team-b" },
      ...rest,
    });
    gateway = await startGateway(
      [
        object("LLMProvider", "up", {
          spec: {
            type: "OpenAICompatible",
            endpoint: `${upstream.url}/v1`,
            allowPrivateEndpoint: true,
            credentials: { secretRef: { name: "creds" } },
            models: [{ name: "gpt-4o" }],
          },
        }),
        object("Secret", "creds", { stringData: { apiKey: "sk-upstream" } }),
        object("RoutingPolicy", "chat", {
          spec: { match: { models: ["gpt-4o"] }, routing: { targets: [{ provider: { name: "up" } }] } },
        }),
      ],
      ["--settings", join(folder, "settings.yaml")],
    );
    await project(await cluster.token(claims("worker")));
    sidecar = await start([gateway.url]);
  });
  after(async () => {
    for (const other of others) await other.close();
    await gateway.close();
    await upstream.close();
    await cluster.close();
    removeFolder(folder);
  });

  it("calls as its ServiceAccount, and ignores the app's own credentials", async () => {
    assert.equal(await ask(), "Hello there");
    const answer = await fetch(`${sidecar.url}/v1/chat/completions`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "x-api-key": "slc_other",
        "x-forwarded-for": "10.0.0.1",
        cookie: "a=b",
        "x-request-id": "from-the-app",
      },
      body: JSON.stringify({ model: "gpt-4o", messages: [] }),
    });
    assert.equal(answer.headers.get("x-request-id"), "from-the-app");
    await answer.arrayBuffer();
    const line = await eventually(() => gateway.logs.find((log) => log["request_id"] === "from-the-app"));
    assert.deepEqual([line["user"], line["status"]], ["system:serviceaccount:team-b:worker", 200]);
    assert.equal(upstream.requests.at(-1)?.headers.authorization, "Bearer sk-upstream");
  });

  it("forwards a stream word by word", async () => {
    const paused = pausedStream("gpt-4o", ["one", "two"]);
    upstream.answer(paused.answer);
    const stream = await app().chat.completions.create({
      model: "gpt-4o",
      messages: [{ role: "user", content: "Hi" }],
      stream: true,
    });
    let text = "";
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? "";
      if (text === "one") paused.finish();
    }
    upstream.answer(openai);
    assert.equal(text, "onetwo");
  });

  it("forwards 5 MB and the gateway's refusals unchanged", async () => {
    const content = "x".repeat(5_000_000);
    assert.equal(await ask(sidecar.url, content), "Hello there");
    const [sent] = (upstream.requests.at(-1)?.json["messages"] ?? []) as { content: string }[];
    assert.equal(sent?.content.length, content.length);
    await assert.rejects(
      app().chat.completions.create({ model: "gpt-9", messages: [] }),
      (error: InstanceType<typeof OpenAI.APIError>) => {
        assert.deepEqual([error.status, error.code], [404, "model_not_found"]);
        return true;
      },
    );
  });

  it("ends the provider's call when the app disconnects", async () => {
    upstream.answer(pausedStream("gpt-4o").answer);
    const before = upstream.requests.length;
    const controller = new AbortController();
    const stream = await app().chat.completions.create(
      { model: "gpt-4o", messages: [], stream: true },
      { signal: controller.signal },
    );
    const request = await eventually(() => upstream.requests[before]);
    controller.abort();
    for await (const _ of stream);
    await request.aborted;
    upstream.answer(openai);
  });

  it("tries the next address if one does not answer", async () => {
    const dead = await Promise.all([freePort(), freePort()]);
    const one = await start([...dead.map((port) => `http://127.0.0.1:${port}`), gateway.url]);
    for (let at = 0; at < 9; at++) assert.equal(await ask(one.url), "Hello there");
  });

  it("reports an error if no address answers", async () => {
    const one = await start([`http://127.0.0.1:${await freePort()}`], ["--attempts", "2"]);
    const answer = await fetch(`${one.url}/v1/models`);
    const { error } = (await answer.json()) as { error: { code: string } };
    assert.deepEqual(
      [answer.status, error.code, answer.headers.get("x-should-retry")],
      [502, "gateway_unreachable", "true"],
    );
  });

  it("passes an interruption on, instead of ending the answer normally", async () => {
    const half: Server = createServer((_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write("data: half\n\n", () => response.destroy());
    });
    await new Promise<void>((resolve) => half.listen(0, "127.0.0.1", resolve));
    const one = await start([`http://127.0.0.1:${(half.address() as AddressInfo).port}`]);
    await assert.rejects(fetch(`${one.url}/v1/models`).then((answer) => answer.text()));
    half.close();
  });

  it("uses a rotated token, and reports an error without a token", async () => {
    const one = await start([gateway.url]);
    await project(await cluster.token(claims("second")));
    const caller = async (): Promise<unknown> => {
      await ask(one.url);
      return gateway.logs.at(-1)?.["user"];
    };
    await eventually(async () => (await caller()) === "system:serviceaccount:team-b:second");
    await rm(tokenFile);
    const none = await start([gateway.url]);
    const answer = await fetch(`${none.url}/v1/models`);
    assert.deepEqual(
      [answer.status, ((await answer.json()) as { error: { code: string } }).error.code],
      [503, "sidecar_without_token"],
    );
    assert.equal((await fetch(`${none.statusUrl}/readyz`)).status, 503);
    assert.equal((await fetch(`${none.statusUrl}/livez`)).status, 200);
    await project("not a token\r\nx-evil: 1");
    assert.equal((await fetch(`${none.url}/v1/models`)).status, 503);
    await project(await cluster.token(claims("worker")));
    await eventually(async () => (await fetch(`${none.statusUrl}/readyz`)).status === 200);
    assert.equal(await ask(none.url), "Hello there");
  });

  it("lets running calls finish when it is stopped", async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    upstream.answer(async (request, response) => {
      await held;
      await openai(request, response);
    });
    const one = await start([gateway.url]);
    const before = upstream.requests.length;
    const asked = ask(one.url);
    await eventually(() => upstream.requests.length > before);
    const closed = one.close();
    others.splice(others.indexOf(one), 1);
    release();
    assert.equal(await asked, "Hello there");
    await closed;
    upstream.answer(openai);
    await new Promise<void>((resolve) => {
      connect(Number(new URL(one.url).port), "127.0.0.1").once("error", () => resolve());
    });
  });

  it("asks callers to reconnect while it stops, then refuses in their format, and ends streams with an error", async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    upstream.answer(async (request, response) => {
      if (request.json["stream"] !== true) return openai(request, response);
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(chatFrames("gpt-4o", ["Hello"], false).slice(0, 2).join(""));
      await held;
      response.destroy();
    });
    const one = await start([gateway.url], ["--drain-ms", "1500"]);
    others.splice(others.indexOf(one), 1);
    const post = (path: string, more: object = {}) =>
      fetch(`${one.url}/v1/${path}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ model: "gpt-4o", max_tokens: 9, messages: [{ role: "user", content: "Hi" }], ...more }),
      });
    const kept = await post("chat/completions");
    assert.equal(kept.headers.get("connection"), "keep-alive");
    await kept.text();
    const stream = await post("messages", { stream: true });
    const closed = one.close();
    const answer = await post("chat/completions");
    assert.deepEqual([answer.status, answer.headers.get("connection")], [200, "close"]);
    assert.equal((await fetch(`${one.statusUrl}/readyz`)).status, 503);
    await answer.text();
    assert.match(await stream.text(), /event: error\ndata: .*The sidecar is being stopped/);
    await closed;
    release();
    upstream.answer(openai);
  });

  const refused: [what: string, args: string[], says: RegExp][] = [
    ["no fleet", [], /say where the gateway is/],
    ["an address that others reach", ["--fleet", "http://a", "--host", "0.0.0.0"], /must be a loopback address/],
    ["a fleet with a path", ["--fleet", "http://a/v1"], /scheme, host and port only/],
    ["a fleet with a key", ["--fleet", "http://user:key@a"], /scheme, host and port only/],
    ["a fleet that is no URL", ["--fleet", "a:80"], /fleet/],
    ["a port that is none", ["--fleet", "http://a", "--port", "x"], /port/],
  ];
  for (const [what, args, says] of refused)
    it(`does not start with ${what}`, () => assert.throws(() => parseSidecarSettings(args, {}), says));

  it("reads its settings from the environment as well", () => {
    const settings = parseSidecarSettings([], {
      SLUICE_SIDECAR_FLEET: "http://a:1, https://b",
      SLUICE_SIDECAR_PORT: "9",
    });
    assert.deepEqual([settings.fleet, settings.port], [["http://a:1", "https://b"], 9]);
  });
});

describe("the fleet's addresses", () => {
  it("rotate, are resolved again, and come last for a while after a failure", async () => {
    const clock = { now: 0 };
    let names = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
    const fleet = new Fleet(
      ["http://sluice.sluice-system:8080"],
      () => clock.now,
      async () => names,
    );
    const first = async (): Promise<string | undefined> => (await fleet.candidates(3))[0]?.host;
    assert.deepEqual(
      [await first(), await first(), await first(), await first()],
      ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.1"],
    );
    const [ill] = await fleet.candidates(1);
    assert.ok(ill);
    fleet.failed(ill);
    for (let at = 0; at < 6; at++) assert.notEqual(await first(), ill.host);
    assert.equal((await fleet.candidates(3)).at(-1)?.host, ill.host);
    clock.now += 10_001;
    assert.ok((await Promise.all([first(), first(), first()])).includes(ill.host));
    names = ["10.0.0.9"];
    clock.now += 5_001;
    assert.deepEqual(
      (await fleet.candidates(2)).map(({ host, port }) => `${host}:${port}`),
      ["10.0.0.9:8080", "10.0.0.9:8080"],
    );
    names = [];
    clock.now += 5_001;
    assert.equal(await first(), "10.0.0.9");
  });
});

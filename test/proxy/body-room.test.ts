/** Request bodies reserve memory before they are read, per caller and in total, and lose it if they arrive too slowly. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import { after, afterEach, before, describe, it } from "node:test";
import { eventually, key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { startUpstream, type Upstream } from "../harness/upstream.ts";

const alice = "slc_room_alice_000001";
const bob = "slc_room_bob_00000001";
const carol = "slc_room_carol_000001";
const dora = "slc_room_dora_0000001";
const megabyte = 1_000_000;

class RawCall {
  text = "";
  closed = false;
  readonly #socket: Socket;

  constructor(url: string, head: string, body = "") {
    const { hostname, port } = new URL(url);
    this.#socket = connect(Number(port), hostname.replace(/[[\]]/g, ""));
    this.#socket.on("data", (bytes) => {
      this.text += bytes.toString("latin1");
    });
    this.#socket.on("error", () => undefined);
    this.#socket.on("close", () => {
      this.closed = true;
    });
    this.#socket.write(`${head}\r\n\r\n${body}`);
  }

  write(text: string | Buffer): void {
    this.#socket.write(text);
  }

  onceAnswered(next: () => void): void {
    this.#socket.once("data", next);
  }

  close(): void {
    this.#socket.destroy();
  }

  answer(status: number): Promise<string> {
    return eventually(() => {
      assert.match(this.text, new RegExp(`HTTP/1\\.1 ${status} `));
      return this.text;
    });
  }
}

describe("room for bodies", () => {
  let upstream: Upstream;
  let gateway: TestGateway;
  const calls: RawCall[] = [];

  before(async () => {
    upstream = await startUpstream();
    const targets = [{ provider: { name: "up" } }];
    gateway = await startGateway(
      [
        provider("up", upstream.url, { models: [{ name: "gpt-4o" }, { name: "narrow" }] }),
        secret("up-credentials", { apiKey: "sk" }),
        provider("claude", upstream.url, { type: "Anthropic", endpoint: upstream.url, models: [{ name: "sonnet" }] }),
        secret("claude-credentials", { apiKey: "sk" }),
        policy("claude", {
          match: { models: ["sonnet"] },
          routing: { targets: [{ provider: { name: "claude" } }] },
          resources: { provider: { name: "claude" } },
        }),
        policy("all", { match: { models: ["gpt-4o"] }, routing: { targets } }),
        policy("open", {
          match: { models: ["gpt-4o"], pathPrefix: "/open" },
          routing: { targets },
          access: { anonymous: true },
        }),
        policy("narrow", {
          match: { models: ["narrow"], pathPrefix: "/narrow" },
          routing: { targets },
          limits: [{ per: "ApiKey", concurrency: 2 }],
        }),
        ...key("alice", alice),
        ...key("bob", bob),
        ...key("carol", carol),
        ...key("dora", dora, { role: "data-scientist" }),
      ],
      [
        `--max-held-body-bytes=${8 * megabyte}`,
        `--max-caller-body-bytes=${4 * megabyte}`,
        "--min-upload-bytes-per-second=100",
      ],
    );
  });
  afterEach(async () => {
    for (const call of calls.splice(0)) call.close();
    await eventually(async () => ((await gateway.status())["inFlight"] as number) === 0);
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
  });

  const open = (clear: string | null, headers: string, body = "", path = "/v1/chat/completions"): RawCall => {
    const bearer = clear === null ? "" : `authorization: Bearer ${clear}\r\n`;
    const head = `POST ${path} HTTP/1.1\r\nhost: x\r\n${bearer}content-type: application/json\r\n${headers}`;
    const call = new RawCall(gateway.url, head, body);
    calls.push(call);
    return call;
  };
  const stalled = (clear: string | null, path?: string): RawCall =>
    open(clear, `content-length: ${megabyte}`, "{", path);
  const inFlight = (count: number): Promise<unknown> =>
    eventually(async () => ((await gateway.status())["inFlight"] as number) === count);
  const body = JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: "Hi" }] });
  const send = (clear: string): Promise<Response> =>
    fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
      body,
    });

  it("is refused only to the caller whose stalled uploads hold its share", async () => {
    for (let count = 1; count <= 4; count++) stalled(alice);
    await inFlight(4);
    const refused = await stalled(alice).answer(429);
    assert.match(refused, /rate_limit_exceeded/);
    assert.match(refused, /retry-after: 1/i);
    assert.equal((await send(bob)).status, 200);
  });

  it("is refused to all callers once it is used up, and is released afterwards", async () => {
    for (const clear of [alice, bob]) for (let count = 1; count <= 4; count++) stalled(clear);
    await inFlight(8);
    const refused = await stalled(carol).answer(503);
    assert.match(refused, /"overloaded"/);
    assert.match(refused, /retry-after: 1/i);
    for (const call of calls.splice(0)) call.close();
    await inFlight(0);
    assert.equal((await send(carol)).status, 200);
  });

  it("is reserved as a body of unknown length grows", async () => {
    const chunk = `${(200_000).toString(16)}\r\n${"x".repeat(200_000)}\r\n`;
    for (let count = 1; count <= 3; count++) stalled(alice);
    await inFlight(3);
    const growing = open(alice, "transfer-encoding: chunked", "");
    await inFlight(4);
    for (let count = 0; count < 8; count++) growing.write(chunk);
    assert.match(await growing.answer(503), /"overloaded"/);
  });

  it("is counted per address for callers without a key", async () => {
    for (let count = 1; count <= 4; count++) stalled(null, "/open/v1/chat/completions");
    await inFlight(4);
    assert.match(await stalled(null, "/open/v1/chat/completions").answer(429), /rate_limit_exceeded/);
    assert.equal((await send(alice)).status, 200);
  });

  it("is given to at most as many bodies as a caller may have concurrent calls", async () => {
    for (let count = 1; count <= 2; count++) stalled(alice, "/narrow/v1/chat/completions");
    await inFlight(2);
    assert.match(
      await stalled(alice, "/narrow/v1/chat/completions").answer(429),
      /This caller may have at most 2 requests in progress/,
    );
    assert.equal((await send(bob)).status, 200);
  });

  /** A WebSocket with the beginning of a large event. */
  const socketWith = (clear: string, bytes: number): RawCall => {
    const head = `GET /v1/responses HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${clear}\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==`;
    const call = new RawCall(gateway.url, head);
    calls.push(call);
    const frame = Buffer.alloc(14);
    frame.writeUInt16BE(0x81ff);
    frame.writeBigUInt64BE(BigInt(megabyte), 2);
    call.onceAnswered(() => call.write(Buffer.concat([frame, Buffer.alloc(bytes, 0x20)])));
    return call;
  };

  it("is also taken by the events of a WebSocket that arrive or wait", async () => {
    const sockets = Array.from({ length: 5 }, () => socketWith(alice, 900_000));
    const refused = await eventually(() => sockets.find(({ text }) => text.includes("rate_limit_exceeded")));
    assert.equal((await send(bob)).status, 200);
    await eventually(() => refused.closed);
    for (const call of calls.splice(0)) call.close();
    await eventually(async () => (await send(alice)).status === 200);
  });

  it("is taken from an event that arrives too slowly", async () => {
    const slow = socketWith(alice, 1_000);
    await eventually(() => slow.closed);
    assert.match(slow.text, /arrives too slowly/);
  });

  for (const [what, path, start] of [
    ["a batch", "/v1/messages/batches", "content-type: application/json"],
    ["a long line of an upload", "/v1/files", "content-type: multipart/form-data; boundary=b"],
  ] as const)
    it(`is also taken by ${what}`, async () => {
      const head = `POST ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${dora}\r\nanthropic-version: 2023-06-01\r\n${start}\r\ncontent-length: ${megabyte}`;
      const file = '--b\r\ncontent-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n{';
      const uploads = Array.from({ length: 5 }, () => {
        const call = new RawCall(gateway.url, head, file + " ".repeat(950_000));
        calls.push(call);
        return call;
      });
      await eventually(() => uploads.some(({ text }) => /HTTP\/1\.1 (503|429) /.test(text)));
      assert.equal((await send(bob)).status, 200);
    });

  it("is taken from a body that arrives too slowly", async () => {
    const slow = stalled(alice);
    assert.match(await slow.answer(408), /request_timeout/);
  });

  it("is checked, like the key, before the client gets 100 Continue", async () => {
    const continued = open(alice, `expect: 100-continue\r\ncontent-length: ${body.length}`);
    await continued.answer(100);
    continued.write(body);
    await continued.answer(200);
    const unknown = open("slc_nobody_at_all_0001", `expect: 100-continue\r\ncontent-length: ${body.length}`);
    assert.doesNotMatch(await unknown.answer(401), /100 Continue/);
    for (let count = 1; count <= 4; count++) stalled(bob);
    await inFlight(4);
    const full = open(bob, `expect: 100-continue\r\ncontent-length: ${megabyte}`);
    assert.doesNotMatch(await full.answer(429), /100 Continue/);
  });
});

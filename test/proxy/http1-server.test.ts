/** The gateway's own HTTP/1.1 for clients: what it does beyond what node:http does, and what it relies on in Node. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { type AddressInfo, connect, type Socket } from "node:net";
import { after, afterEach, before, describe, it } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { ClientExchange, TrafficListener } from "../../proxy/wire/client-exchange.ts";
import { addAnswerHead } from "../../proxy/wire/http1/fields.ts";
import { http1Listener } from "../../proxy/wire/http1/listener.ts";
import { type MessageHead, MessageParser } from "../../proxy/wire/http1/parser.ts";
import { readsShared } from "../../proxy/wire/http1/reads.ts";
import { TextBytes } from "../../proxy/wire/text-bytes.ts";
import { until } from "../harness/until.ts";

const ignore = (): void => undefined;
const when = (what: string, holds: () => boolean): Promise<void> => until(what, () => assert.ok(holds()), 60_000, 5);

describe("Node's parser", () => {
  it("is what proxy/wire/http1/parser.ts expects", () => {
    const seen: unknown[] = [];
    const parser = new MessageParser(
      "request",
      {
        head: (head: MessageHead) => seen.push(head) > 0,
        body: (piece) => seen.push(piece.toString()),
        complete: () => seen.push("end"),
      },
      16_384,
    );
    const headers = Array.from({ length: 40 }, (_, at) => [`X-${at}`, String(at)]);
    const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
    const bytes = Buffer.from(
      `PUT /a?b HTTP/1.1\r\n${lines}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: 1\r\n\r\n`,
    );
    assert.equal(parser.read(bytes), null);
    const head = {
      method: "PUT",
      url: "/a?b",
      status: 0,
      httpVersion: "1.1",
      keepAlive: true,
      upgrade: false,
      byName: null,
    };
    assert.deepEqual(seen, [
      { ...head, rawHeaders: [...headers.flat(), "Transfer-Encoding", "chunked"] },
      "abc",
      "end",
    ]);
    assert.equal(parser.read(Buffer.from("GET / HTTP/1.1\r\n")), null);
    assert.equal(parser.finish(), false);
    parser.close();
  });

  it("reads responses, and refuses headers that are too large", () => {
    const seen: unknown[] = [];
    const sink = {
      head: (head: MessageHead) => seen.push([head.status, head.keepAlive]) > 0,
      body: (piece: Buffer) => seen.push(piece.toString()),
      complete: () => seen.push("end"),
    };
    const parser = new MessageParser("response", sink, 100);
    parser.read(Buffer.from("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\n\r\nrest"));
    assert.equal(parser.finish(), true);
    assert.deepEqual(seen, [[100, true], "end", [200, false], "rest", "end"]);
    parser.close();
    const strict = new MessageParser("response", sink, 100);
    assert.equal(strict.read(Buffer.from(`HTTP/1.1 200 OK\r\nx: ${"a".repeat(200)}\r\n\r\n`)), "headers_too_large");
    strict.close();
  });

  it("reads accepted sockets into one buffer", () => assert.equal(readsShared, true));
});

describe("an answer's head", () => {
  for (const [what, name, value] of [
    ["a line break in a value", "x-a", "a\r\nx-b: c"],
    ["a NUL in a value", "x-a", "a\0"],
    ["a character beyond Latin-1", "x-a", "中"],
    ["a blank in a name", "x a", "b"],
    ["a line break in a name", "x-a\r\nx-b", "c"],
  ] as const)
    it(`can't hold ${what}`, () =>
      assert.throws(() => addAnswerHead(new TextBytes(), 200, { [name]: value }), TypeError));
});

describe("the gateway's HTTP/1.1", () => {
  let listener: TrafficListener;
  let handle: (exchange: ClientExchange) => void = ignore;
  const sockets: Socket[] = [];
  const handled: string[] = [];

  before(async () => {
    const times = {
      keepAliveMs: 3_000,
      headersMs: 1_000,
      requestMs: 2_000,
      tcpKeepAliveMs: 30_000,
      maxHeaderBytes: 4_096,
    };
    listener = http1Listener(null, times, {
      handle(exchange) {
        handled.push(exchange.url);
        exchange.onGone(ignore);
        handle(exchange);
      },
      refusal: (fault) => `HTTP/1.1 400 ${fault}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`,
    });
    await new Promise<void>((resolve) => listener.server.listen(0, "127.0.0.1", resolve));
  });
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
    handled.length = 0;
  });
  after(async () => {
    listener.cutAll();
    await listener.close();
  });

  const answer = (exchange: ClientExchange, body = "ok"): void => {
    exchange.head(200, { "content-length": body.length });
    exchange.end(body);
  };

  /** A client, and what it has received. */
  function open(): { socket: Socket; got: { text: string; closed: boolean } } {
    const socket = connect({ port: (listener.server.address() as AddressInfo).port, host: "127.0.0.1", noDelay: true });
    const got = { text: "", closed: false };
    socket.on("data", (bytes) => {
      got.text += bytes.toString("latin1");
    });
    socket.on("error", ignore);
    socket.on("close", () => {
      got.closed = true;
    });
    sockets.push(socket);
    return { socket, got };
  }

  const get = (url: string, more = ""): string => `GET ${url} HTTP/1.1\r\nHost: a\r\n${more}\r\n`;
  const upgrade = "Connection: upgrade\r\nUpgrade: h2c\r\n";

  it("answers pipelined requests in order, though a later one is ready first", async () => {
    const waiting: ClientExchange[] = [];
    handle = (exchange) => void waiting.push(exchange);
    const { socket, got } = open();
    socket.write(get("/1") + get("/2") + get("/3"));
    await when("all were handed on", () => waiting.length === 3);
    for (const exchange of waiting.toReversed()) answer(exchange, exchange.url);
    await when("all are answered", () => got.text.includes("/3"));
    assert.match(got.text, /\/1[\s\S]*\/2[\s\S]*\/3$/);
  });

  it("holds back at most a bounded part of an answer that waits for its turn", async () => {
    const waiting: ClientExchange[] = [];
    handle = (exchange) => void waiting.push(exchange);
    const { socket, got } = open();
    socket.write(get("/1") + get("/2"));
    await when("both were handed on", () => waiting.length === 2);
    const [first, second] = waiting as [ClientExchange, ClientExchange];
    second.head(200, {});
    let parts = 0;
    while (second.write(Buffer.alloc(1_000, "x")) && parts < 1_000) parts++;
    assert.ok(parts < 100, `${parts} KB were taken`);
    const drained = new Promise<void>((resolve) => second.onDrain(resolve));
    answer(first);
    await drained;
    second.end();
    await when("both are answered", () => got.text.endsWith("0\r\n\r\n"));
  });

  it("does not hand on more requests while the client reads no answers", async () => {
    const large = Buffer.alloc(4_000_000);
    handle = (exchange) => {
      exchange.head(200, { "content-length": large.length });
      exchange.end(large);
    };
    const { socket, got } = open();
    socket.pause();
    socket.write(Array.from({ length: 50 }, (_, at) => get(`/${at}`)).join(""));
    await when("the first is answered", () => handled.length > 0);
    assert.ok(handled.length < 10, `${handled.length} were handed on`);
    socket.resume();
    await when("all are answered", () => handled.length === 50 && got.text.length > 50 * large.length);
  });

  it("refuses an expectation that it doesn't know", async () => {
    handle = (exchange) => answer(exchange);
    const { socket, got } = open();
    socket.write(get("/", "Expect: something\r\n") + get("/2"));
    await when("both are answered", () => /417[\s\S]*ok$/.test(got.text));
    assert.deepEqual(handled, ["/2"]);
  });

  it("serves a request that asks for another protocol, but nothing that was sent with it", async () => {
    handle = (exchange) => answer(exchange);
    const alone = open();
    alone.socket.write(get("/1", upgrade));
    await when("it is answered", () => alone.got.text.endsWith("ok"));
    alone.socket.write(get("/2"));
    await when("the next one too", () => /ok[\s\S]*ok$/.test(alone.got.text));
    const together = open();
    together.socket.write(get("/3", upgrade) + get("/4"));
    await when("the connection is closed", () => together.got.closed);
    assert.match(together.got.text, /Connection: close[\s\S]*ok$/);
    assert.deepEqual(handled, ["/1", "/2", "/3"]);
  });

  it("refuses a tunnel", async () => {
    const { socket, got } = open();
    socket.write("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n");
    await when("the connection is closed", () => got.closed);
    assert.deepEqual([got.text, handled], ["", []]);
  });

  it("delivers a refusal to a client that is still sending a large body, then closes", async () => {
    handle = (exchange) => {
      exchange.head(413, { "content-length": 3 });
      exchange.end("big");
    };
    const { socket, got } = open();
    socket.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 150000\r\n\r\n`);
    socket.write(Buffer.alloc(120_000));
    await when("it is answered", () => got.text.endsWith("big"));
    assert.match(got.text, /Connection: close/);
    await when("the connection is closed", () => got.closed);
  });

  it("reads and drops the rest of a small refused body, and goes on", async () => {
    handle = (exchange) => answer(exchange);
    const { socket, got } = open();
    socket.write("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
    await when("it is answered", () => got.text.endsWith("ok"));
    socket.write(`67890${get("/2")}`);
    await when("the next one too", () => /ok[\s\S]*ok$/.test(got.text));
    assert.deepEqual(handled, ["/1", "/2"]);
  });

  it("sends no body to HEAD, and closes after an answer of unknown length to HTTP/1.0", async () => {
    handle = (exchange) => {
      exchange.head(200, {});
      exchange.write(Buffer.from("part"));
      exchange.end();
    };
    const head = open();
    head.socket.write("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    await when("HEAD is answered", () => head.got.text.endsWith("\r\n\r\n"));
    const old = open();
    old.socket.write("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    await when("HTTP/1.0 is answered", () => old.got.closed);
    assert.match(old.got.text, /\r\n\r\npart$/);
    assert.doesNotMatch(old.got.text, /chunked/);
  });

  for (const [what, sent, answered] of [
    ["a connection that sends nothing", "", /400 timeout/],
    ["headers that don't end", "GET / HTTP/1.1\r\nHost", /400 timeout/],
    ["a body that doesn't end", "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab", /400 timeout/],
  ] as const)
    it(`ends ${what}`, async () => {
      handle = ignore;
      const { socket, got } = open();
      socket.write(sent);
      await when("it is answered", () => answered.test(got.text));
      await when("the connection is closed", () => got.closed);
    });

  it("silently closes a connection that is idle for too long", async () => {
    handle = (exchange) => answer(exchange);
    const { socket, got } = open();
    socket.write(get("/"));
    await when("it is answered", () => got.text.endsWith("ok"));
    await when("the connection is closed", () => got.closed);
    assert.match(got.text, /ok$/);
  });

  it("keeps nothing of a request while the connection is idle", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    let request: WeakRef<ClientExchange> | null = null;
    handle = (exchange) => {
      request = new WeakRef(exchange);
      answer(exchange);
    };
    const { socket, got } = open();
    socket.write(get("/"));
    await when("it is answered", () => got.text.endsWith("ok"));
    handle = ignore;
    await when("the request is collected", () => {
      collect();
      return request?.deref() === undefined;
    });
    assert.equal(socket.destroyed, false);
  });
});

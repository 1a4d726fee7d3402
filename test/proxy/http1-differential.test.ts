/**
 * The gateway's own HTTP/1.1 against node:http as the oracle: what one refuses, the other refuses; what both accept,
 * both read and answer alike.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { type AddressInfo, connect, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { ClientExchange, ServerTimes, TrafficListener } from "../../proxy/wire/client-exchange.ts";
import { http1Listener } from "../../proxy/wire/http1/listener.ts";
import { nodeListener } from "../../proxy/wire/node-exchange.ts";
import fc, { runs } from "../harness/property.ts";
import { until } from "../harness/until.ts";

const when = (what: string, holds: () => boolean): Promise<void> => until(what, () => assert.ok(holds()), 60_000, 1);

const times: ServerTimes = {
  keepAliveMs: 75_000,
  headersMs: 30_000,
  requestMs: 300_000,
  tcpKeepAliveMs: 30_000,
  maxHeaderBytes: 2_048,
};

/** Answers with what it read. */
async function echo(exchange: ClientExchange): Promise<void> {
  exchange.onGone(() => undefined);
  await nextTurn();
  const { method, url, httpVersion, rawHeaders, headers } = exchange;
  const read = await exchange.whole(100_000, {});
  // node:http runs microtasks amid a read that holds several requests, so an answer could precede the refusal of what
  // follows in the same read. With a turn between them it can't, on either side.
  await nextTurn();
  const body = Buffer.isBuffer(read) ? read.toString("latin1") : read;
  const text = JSON.stringify({ method, url, httpVersion, rawHeaders, headers, body });
  const streamed = url.startsWith("/stream");
  exchange.head(200, streamed ? { "x-a": 1 } : { "x-a": 1, "content-length": Buffer.byteLength(text) });
  if (streamed) exchange.write(Buffer.from(text));
  exchange.end(streamed ? undefined : text);
}

const handler = {
  handle: (exchange: ClientExchange): void => void echo(exchange),
  refusal: (fault: string): string => `HTTP/1.1 400 ${fault}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`,
};

/** What differs by intent, or by the second. */
const compared = (text: string): string => text.replaceAll(/^(Date|Connection|Keep-Alive): .*\r\n/gim, "");

class Side {
  readonly #listener: TrafficListener;
  #accepted: PromiseWithResolvers<Socket> = Promise.withResolvers();

  constructor(listener: TrafficListener) {
    this.#listener = listener;
    listener.server.on("connection", (socket: Socket) => this.#accepted.resolve(socket));
  }

  start(): Promise<void> {
    return new Promise((resolve) => this.#listener.server.listen(0, "127.0.0.1", resolve));
  }

  async close(): Promise<void> {
    this.#listener.cutAll();
    await this.#listener.close();
  }

  /** Sends the pieces, each after the server has read the one before. Returns all answers, and whether it is over. */
  async send(pieces: Buffer[]): Promise<{ text: string; over: boolean }> {
    this.#accepted = Promise.withResolvers();
    const { port } = this.#listener.server.address() as AddressInfo;
    const client = connect({ port, host: "127.0.0.1", noDelay: true });
    client.on("error", () => undefined);
    let text = "";
    client.on("data", (bytes) => {
      text += bytes.toString("latin1");
    });
    const server = await this.#accepted.promise;
    let sent = 0;
    for (const piece of pieces) {
      client.write(piece);
      sent += piece.length;
      await when("the server has read it", () => server.destroyed || server.bytesRead >= sent || server.writableEnded);
      for (let turn = 0; turn < 6; turn++) await nextTurn();
    }
    const over = server.destroyed || server.writableEnded;
    await when("the answer is here", () => server.destroyed || text.length >= server.bytesWritten);
    await nextTurn();
    client.destroy();
    return { text: compared(text), over };
  }
}

const from = <T>(...values: T[]): fc.Arbitrary<T> => fc.constantFrom(...values);
/** Mostly the first, as most mistakes come alone. */
const mostly = <T>(usual: T, ...others: T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 40, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: from(...others) });

const goodField = fc.oneof(
  fc
    .record({ name: from("X-A", "x-b", "Cookie", "Accept", "From"), value: fc.string({ maxLength: 12 }) })
    .map(({ name, value }) => `${name}: ${value}`),
  from(
    "Host: b",
    "Connection: close",
    "Connection: keep-alive",
    "Connection: keep-alive, X-A",
    "Upgrade: h2c",
    "Expect: 100-continue",
    "X-A:\tb\t",
    "X-A: é",
    "X-A:",
  ),
);
const field = fc.oneof(
  { weight: 40, arbitrary: goodField },
  {
    weight: 1,
    arbitrary: from(
      "X-A : b",
      "X-A: b\r\n c",
      "X-A: b\n",
      "X-A: b\rX-B: c",
      ": b",
      "X A: b",
      "X-A: \x00",
      "X-A: \x0b",
      "X-A: \x7f",
      `X-A: ${"a".repeat(2_100)}`,
    ),
  },
);

const chunks = (body: string): fc.Arbitrary<string> =>
  fc
    .record({
      size: mostly(
        body.length.toString(16),
        `0${body.length.toString(16)}`,
        "0x5",
        "+5",
        "zz",
        "-1",
        "fffffffffffffffff",
      ),
      extension: mostly("", ";a=b", ';a="b"', "; a", " ", ";a\nb"),
      line: mostly("\r\n", "\n", "\r", " \r\n"),
      after: mostly("\r\n", "\n", "", "XX\r\n"),
      trailer: mostly("", "X-T: 1\r\n", "Content-Length: 3\r\n", "X-T : 1\r\n", "x\r\n"),
      end: mostly("0\r\n", "0;a\r\n", "00\r\n", "0\n", "0"),
    })
    .map(({ size, extension, line, after: behind, trailer, end }) =>
      body === "" ? `${end}${trailer}\r\n` : `${size}${extension}${line}${body}${behind}${end}${trailer}\r\n`,
    );

const framing = (body: string): fc.Arbitrary<{ fields: readonly string[]; sent: string }> => {
  const length = `Content-Length: ${body.length}`;
  return fc.oneof(
    { weight: 20, arbitrary: fc.constant({ fields: [length], sent: body }) },
    { weight: 20, arbitrary: chunks(body).map((sent) => ({ fields: ["Transfer-Encoding: chunked"], sent })) },
    {
      weight: 2,
      arbitrary: from(
        { fields: [], sent: "" },
        { fields: [], sent: body },
        { fields: [length, length], sent: body },
        { fields: [length, "Content-Length: 1"], sent: body },
        { fields: [`Content-Length: +${body.length}`], sent: body },
        { fields: [`Content-Length: ${body.length}, ${body.length}`], sent: body },
        { fields: [`Content-Length: 0${body.length}`], sent: body },
        { fields: ["Content-Length: "], sent: body },
        { fields: ["Content-Length: 99999999999999999999"], sent: body },
        { fields: [`content-length:${body.length}`], sent: body },
        { fields: ["Transfer-Encoding: chunked", length], sent: `0\r\n\r\n` },
        { fields: [length, "Transfer-Encoding: chunked"], sent: `0\r\n\r\n` },
        { fields: ["Transfer-Encoding: CHUNKED"], sent: `0\r\n\r\n` },
        { fields: ["Transfer-Encoding: gzip, chunked"], sent: `0\r\n\r\n` },
        { fields: ["Transfer-Encoding: chunked, gzip"], sent: `0\r\n\r\n` },
        { fields: ["Transfer-Encoding: xchunked"], sent: `0\r\n\r\n` },
        { fields: ["Transfer-Encoding: identity"], sent: body },
        { fields: ["Transfer-Encoding:\x0bchunked"], sent: `0\r\n\r\n` },
        { fields: ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], sent: `0\r\n\r\n` },
      ),
    },
  );
};

const request = fc
  .record({
    before: mostly("", "\r\n", "\n", " "),
    method: mostly("POST", "GET", "HEAD", "PUT", "OPTIONS", "post", "BREW", "CONNECT", "PRI", "M-SEARCH", "P OST"),
    target: mostly("/", "/stream", "http://a/b", "*", "a", "/ä", "/a b", "/a#b", "//", "/\x01"),
    version: mostly(
      "HTTP/1.1",
      "HTTP/1.0",
      "HTTP/1.2",
      "HTTP/2.0",
      "HTTP/0.9",
      "http/1.1",
      "HTTP/1.1 ",
      "HTTP/11",
      "ICE/1.1",
    ),
    lineEnd: mostly("\r\n", "\n", "\r", " \r\n"),
    host: mostly(["Host: a"], [], ["host:a"], ["Host: a", "Host: a"]),
    fields: fc.array(field, { maxLength: 3 }),
    framed: fc.string({ maxLength: 20 }).chain((body) => framing(body)),
    headEnd: mostly("\r\n", "\n", "\r"),
    many: mostly(0, 31, 40),
  })
  .map(({ before: prefix, method, target, version, lineEnd, host, fields, framed, headEnd, many }) => {
    const more = Array.from({ length: many }, (_, at) => `x-${at}: ${at}`);
    const lines = [...host, ...fields, ...framed.fields, ...more].map((line) => `${line}\r\n`).join("");
    return `${prefix}${method} ${target} ${version}${lineEnd}${lines}${headEnd}${framed.sent}`;
  });

const conversation = fc
  .array(request, { minLength: 1, maxLength: 3 })
  .map((all) => Buffer.from(all.join(""), "latin1"));

/** Cuts the bytes at these places, given as shares of the whole. */
function cut(bytes: Buffer, cuts: number[]): Buffer[] {
  const ends = [...cuts.map((share) => Math.floor(share * bytes.length)), bytes.length].sort((a, b) => a - b);
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end)).filter((piece) => piece.length > 0);
}

describe("the gateway's HTTP/1.1 and node:http", () => {
  const own = new Side(http1Listener(null, times, handler));
  const node = new Side(nodeListener(null, times, handler));
  before(async () => {
    await own.start();
    await node.start();
  });
  after(async () => {
    await own.close();
    await node.close();
  });

  it("read and answer the same bytes alike", { timeout: 120_000 }, async () => {
    const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(conversation, cuts, async (bytes, shares) => {
        const pieces = cut(bytes, shares);
        const [mine, oracle] = await Promise.all([own.send(pieces), node.send(pieces)]);
        assert.deepEqual(mine, oracle, JSON.stringify(pieces.map((piece) => piece.toString("latin1"))));
      }),
      { numRuns: runs(600) },
    );
  });
});

/** A client that reads slowly stops its provider: what the gateway holds of its stream is bounded, in bytes. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect as connectSecure } from "node:tls";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { certificateAuthority } from "../harness/certificates.ts";
import { eventually, key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";

const clear = "slc_slow_alice_0000001";
const readers = 24;
const maxBytes = 256 * 1024;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Rounds without a lower figure after which everything counts as freed: buffers are freed behind a collection. */
const quietRounds = 20;

/** Held by this process, without what can be collected. `others`: bytes that don't count. */
async function heldBytes(others: () => number): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < quietRounds; round++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
    const { arrayBuffers, heapUsed } = process.memoryUsage();
    const held = arrayBuffers + heapUsed - others();
    if (held < least) [least, round] = [held, least - held > 65_536 ? 0 : round];
  }
  return least;
}

const delta = { content: "word ".repeat(20) };
const event = {
  id: "c",
  object: "chat.completion.chunk",
  model: "m",
  choices: [{ index: 0, delta, finish_reason: null }],
};
const frames = Buffer.from(`data: ${JSON.stringify(event)}\n\n`.repeat(100));

/** So costly that what one read brings is read in turns of the event loop. */
const costly = [1, 2, 3, 4].map((number) => ({ name: `P${number}`, pattern: `[A-Z]{2,40}-[0-9]{2,40}x${number}` }));

const folder = mkdtempSync(join(tmpdir(), "sluice-slow-"));
after(() => rmSync(folder, { recursive: true }));

/** Settings for a listener with a certificate of its own. */
async function pairFlags(): Promise<string[]> {
  const { cert, key } = await (await certificateAuthority()).issue("127.0.0.1");
  const files = { "tls-cert": cert, "tls-key": key };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return Object.keys(files).map((name) => `--${name}=${join(folder, name)}`);
}

/** Sends as much as the gateway takes. */
class Torrent {
  readonly #server: Server;
  readonly responses: ServerResponse[] = [];

  constructor() {
    this.#server = createServer((request, response) => {
      request.resume();
      response.writeHead(200, { "content-type": "text/event-stream" });
      this.responses.push(response);
      const go = (): void => {
        while (response.write(frames));
        response.once("drain", go);
      };
      request.on("end", go);
    });
  }

  async start(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Bytes that were written to the sockets. */
  get sent(): number {
    return this.responses.reduce((sum, { socket }) => sum + (socket?.bytesWritten ?? 0), 0);
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

function slowReaders(isTls: boolean): void {
  const torrent = new Torrent();
  let gateway: TestGateway;
  const sockets: Socket[] = [];

  before(async () => {
    const url = await torrent.start();
    const tls = isTls ? await pairFlags() : [];
    const routing = { targets: [{ provider: { name: "up" } }] };
    const to = { targets: [{ provider: { name: "up" }, model: "plain" }] };
    gateway = await startGateway(
      [
        provider("up", url, { models: [{ name: "plain" }] }),
        secret("up-credentials", { apiKey: "sk" }),
        policy("plain", { match: { models: ["plain"] }, routing }),
        policy("costly", {
          match: { models: ["costly"] },
          routing: to,
          guard: { mask: { answers: true, custom: costly } },
        }),
        policy("masked", { match: { models: ["masked"] }, routing: to, guard: { mask: { answers: true } } }),
        ...key("alice", clear),
      ],
      ["--stalled-client-ms=600000", ...tls],
    );
  });
  /** Without what the clients of this test hold themselves. */
  const ofGateway = (): Promise<number> =>
    heldBytes(() => sockets.reduce((sum, { readableLength }) => sum + readableLength, 0));

  after(async () => {
    for (const socket of sockets) socket.destroy();
    torrent.close();
    await gateway.close();
  });

  /** Reads the beginning of its answer and no more. */
  async function stalled(path: string, model: string): Promise<void> {
    const words = "Hi ann@example.com";
    const asked =
      path === "/v1/responses" ? { input: words } : { max_tokens: 9, messages: [{ role: "user", content: words }] };
    const body = JSON.stringify({ model, stream: true, ...asked });
    const port = Number(new URL(gateway.url).port);
    const socket = isTls
      ? connectSecure({ port, host: "127.0.0.1", rejectUnauthorized: false })
      : connect(port, "127.0.0.1");
    sockets.push(socket);
    socket.on("error", () => undefined);
    socket.write(
      `POST ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${clear}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    await once(socket, "readable");
  }

  /** Returns when no provider can send any more. */
  async function atRest(): Promise<void> {
    let sent = -1;
    let same = 0;
    await eventually(() => {
      same =
        torrent.sent === sent && torrent.responses.every(({ writableNeedDrain }) => writableNeedDrain) ? same + 1 : 0;
      sent = torrent.sent;
      return same > 50;
    });
  }

  for (const [what, path, model] of [
    ["a stream that passes through", "/v1/chat/completions", "plain"],
    ["a stream for Anthropic's clients", "/v1/messages", "plain"],
    ["a stream of Responses", "/v1/responses", "plain"],
    ["a masked stream", "/v1/chat/completions", "masked"],
    ["a stream masked by costly patterns", "/v1/chat/completions", "costly"],
    ["a stream masked by costly patterns, for Anthropic's clients", "/v1/messages", "costly"],
  ] as const)
    it(`cost at most 256 KiB each: ${what}`, async () => {
      await stalled(path, model);
      await atRest();
      const least = await ofGateway();
      await Promise.all(Array.from({ length: readers }, () => stalled(path, model)));
      await atRest();
      const each = ((await ofGateway()) - least) / readers;
      assert.ok(each <= maxBytes, `${Math.round(each / 1024)} KiB`);
    });
}

describe("slow readers", () => slowReaders(false));
describe("slow readers over TLS", () => slowReaders(true));

/** A client's body arrives complete and in order, however it is split and framed, and whenever it is read. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createServer, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { buffer } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Incoming } from "../../proxy/wire/incoming.ts";
import fc, { runs } from "../harness/property.ts";
import { until } from "../harness/until.ts";

interface Case {
  chunked: boolean;
  /** Sizes of the writes, each in its own turn of the event loop. */
  pieces: number[];
  /** Turns of the event loop between the request's head and the read. */
  turnsBefore: number;
  asStream: boolean;
}

/** Bytes whose values show their position. */
function numbered(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at + 4 <= size; at += 4) bytes.writeUInt32BE(at, at);
  return bytes;
}

const maxBytes = 1_000_000;

describe("a request's body", () => {
  let server: Server<typeof Incoming>;
  let port = 0;
  let handle: (request: Incoming, response: ServerResponse) => Promise<void> = async () => undefined;
  const sockets: Socket[] = [];

  before(async () => {
    server = createServer({ IncomingMessage: Incoming }, (request, response) => void handle(request, response));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    port = (server.address() as AddressInfo).port;
  });

  after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
    server.closeAllConnections();
  });

  const open = (): Socket => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    socket.on("error", () => undefined);
    sockets.push(socket);
    return socket;
  };

  async function send(socket: Socket, { chunked, pieces }: Pick<Case, "chunked" | "pieces">): Promise<void> {
    const all = numbered(pieces.reduce((sum, size) => sum + size, 0));
    socket.write(
      `POST / HTTP/1.1\r\nHost: here\r\n${chunked ? "Transfer-Encoding: chunked" : `Content-Length: ${all.length}`}\r\n\r\n`,
    );
    let from = 0;
    for (const size of pieces) {
      const piece = all.subarray(from, (from += size));
      if (chunked && size > 0) socket.write(`${size.toString(16)}\r\n`);
      socket.write(piece);
      if (chunked && size > 0) socket.write("\r\n");
      await nextTurn();
    }
    if (chunked) socket.write("0\r\n\r\n");
  }

  it("is what was sent, on one connection after another", async () => {
    const socket = open();
    let answered: () => void = () => undefined;
    socket.on("data", () => answered());
    const piece = fc.oneof(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 0, max: 150_000 }));
    const cases = fc.record<Case>({
      chunked: fc.boolean(),
      pieces: fc.array(piece, { maxLength: 6 }),
      turnsBefore: fc.integer({ min: 0, max: 12 }),
      asStream: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(cases, async (one) => {
        const read = new Promise<Buffer | string>((resolve, reject) => {
          handle = async (request, response) => {
            for (let turn = 0; turn < one.turnsBefore; turn++) await nextTurn();
            const body = one.asStream ? await buffer(request.asStream()).catch(reject) : await request.whole(maxBytes);
            response.end("ok");
            resolve(body ?? "");
          };
        });
        const done = new Promise<void>((resolve) => {
          answered = resolve;
        });
        await send(socket, one);
        const size = one.pieces.reduce((sum, more) => sum + more, 0);
        assert.deepEqual(await read, numbered(size));
        await done;
      }),
      { numRuns: runs(200) },
    );
  });

  it("is released with its request while the connection is idle", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const socket = open();
    let request: WeakRef<Incoming> | null = null;
    handle = async (incoming, response) => {
      request = new WeakRef(incoming);
      await incoming.whole(maxBytes);
      response.end("ok");
    };
    const answered = new Promise((resolve) => socket.once("data", resolve));
    await send(socket, { chunked: false, pieces: [100] });
    await answered;
    await until("the request is collected", async () => {
      collect();
      assert.equal(request?.deref() === undefined, true);
    });
    assert.equal(socket.destroyed, false);
  });

  it("is not read beyond the limit, nor buffered without bound before it is read", async () => {
    const socket = open();
    let unasked = 0;
    const result = new Promise<unknown>((resolve) => {
      handle = async (request) => {
        while (!request.socket.isPaused()) await nextTurn();
        unasked = request.socket.bytesRead;
        resolve(await request.whole(2_000_000));
        request.socket.destroy();
      };
    });
    socket.write("POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n");
    const block = Buffer.concat([Buffer.from("10000\r\n"), numbered(65_536), Buffer.from("\r\n")]);
    while (!socket.destroyed) if (!socket.write(block)) await drained(socket);
    assert.equal(await result, "too_large");
    assert.ok(unasked < 500_000, `${unasked} bytes were read unasked`);
  });

  const ways: Record<string, (request: Incoming) => Promise<unknown>> = {
    "while it is waited for": async (request) => request.whole(maxBytes),
    "before it is asked for": async (request) => {
      await new Promise((closed) => request.socket.once("close", closed));
      return request.whole(maxBytes);
    },
    "as a stream": async (request) => buffer(request.asStream()).catch(() => "gone"),
  };
  for (const [name, way] of Object.entries(ways))
    it(`ends with the client's connection, ${name}`, async () => {
      const socket = open();
      const result = new Promise<unknown>((resolve) => {
        handle = async (request) => {
          const body = way(request);
          socket.destroy();
          resolve(await body);
        };
      });
      socket.write("POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\nhalf");
      assert.equal(await result, "gone");
    });
});

const drained = (socket: Socket): Promise<unknown> =>
  new Promise((resolve) => {
    socket.once("drain", resolve);
    socket.once("close", resolve);
  });

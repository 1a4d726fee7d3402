/** What an upstream sends arrives complete and in order, however it is split, framed and delayed. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createServer, type RequestListener } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo, Server } from "node:net";
import { after, before, describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { type UpstreamCall, Upstreams } from "../../proxy/wire/upstream.ts";
import type { UpstreamAddress } from "../../proxy/wire/upstream-address.ts";
import { certificateAuthority } from "../harness/certificates.ts";
import fc, { runs } from "../harness/property.ts";

type Framing = "length" | "chunked" | "close";

interface Answer {
  framing: Framing;
  /** Sizes of the writes, each in its own turn of the event loop. */
  pieces: number[];
}

/** Bytes whose values show their position. */
function numbered(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at + 4 <= size; at += 4) bytes.writeUInt32BE(at, at);
  return bytes;
}

let next: Answer = { framing: "length", pieces: [] };

const answer: RequestListener = async (request, response) => {
  request.resume();
  const { framing, pieces } = next;
  const all = numbered(pieces.reduce((sum, size) => sum + size, 0));
  if (framing === "length") response.setHeader("content-length", all.length);
  if (framing === "close") {
    // As in HTTP/1.0, the answer ends with the connection.
    response.useChunkedEncodingByDefault = false;
    response.setHeader("connection", "close");
  }
  let from = 0;
  for (const size of pieces) {
    if (!response.write(all.subarray(from, (from += size))))
      await new Promise((resolve) => response.once("drain", resolve));
    else await nextTurn();
  }
  response.end();
};

interface Read {
  bytes: Buffer;
  ended: boolean;
}

/** `pauseAfter`: how many parts of the answer are read before each pause. */
function read(upstreams: Upstreams, address: UpstreamAddress, pauseAfter: number): Promise<Read> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let call: UpstreamCall | null = null;
    call = upstreams.send(
      address,
      { method: "POST", path: "/", headers: {}, body: "{}" },
      {
        head: () => undefined,
        data(chunk) {
          parts.push(Buffer.from(chunk));
          if (parts.length % pauseAfter !== 0) return true;
          setTimeout(() => call?.resume(), 1);
          return false;
        },
        end: () => resolve({ bytes: Buffer.concat(parts), ended: true }),
        error: (_kind, cause) => reject(cause),
      },
    );
  });
}

describe("reading from an upstream", () => {
  const upstreams = new Upstreams();
  const servers: Server[] = [];
  const addresses: Record<"plain" | "tls", UpstreamAddress | null> = { plain: null, tls: null };

  before(async () => {
    const authority = await certificateAuthority("Ours");
    const pair = await authority.issue("llm.internal");
    const listen = async (server: Server): Promise<number> => {
      servers.push(server);
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return (server.address() as AddressInfo).port;
    };
    const common = { allowPrivate: true, connectMs: 5_000, writeMs: 5_000 };
    addresses.plain = { origin: `http://127.0.0.1:${await listen(createServer(answer))}`, ...common };
    const tls = { ca: authority.cert, serverName: "llm.internal", client: null };
    addresses.tls = { origin: `https://127.0.0.1:${await listen(createSecureServer(pair, answer))}`, ...common, tls };
  });
  after(async () => {
    await upstreams.close();
    for (const server of servers) server.close();
  });

  for (const kind of ["plain", "tls"] as const)
    it(`returns all bytes in order: ${kind}`, async () => {
      const pieces = fc.array(fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 200_000 })), {
        maxLength: 12,
      });
      const answers = fc.record({ framing: fc.constantFrom<Framing>("length", "chunked", "close"), pieces });
      await fc.assert(
        fc.asyncProperty(answers, fc.integer({ min: 1, max: 4 }), async (given, pauseAfter) => {
          next = given;
          const result = await read(upstreams, addresses[kind] as UpstreamAddress, pauseAfter);
          assert.ok(result.ended);
          assert.ok(result.bytes.equals(numbered(given.pieces.reduce((sum, size) => sum + size, 0))));
        }),
        { numRuns: runs(60) },
      );
    });

  it("applies back pressure to the upstream while the reader pauses", async () => {
    const size = 64 * 1024 * 1024;
    let written = 0;
    const server = createServer((request, response) => {
      request.resume();
      const piece = Buffer.alloc(65_536);
      const more = (): void => {
        while (written < size) {
          written += piece.length;
          if (!response.write(piece)) return void response.once("drain", more);
        }
        response.end();
      };
      more();
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = {
      ...(addresses.plain as UpstreamAddress),
      origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    };
    let read = 0;
    let call: UpstreamCall | null = null;
    let paused = true;
    const over = new Promise<void>((resolve, reject) => {
      call = upstreams.send(
        address,
        { method: "POST", path: "/", headers: {}, body: "{}" },
        {
          head: () => undefined,
          data(chunk) {
            read += chunk.length;
            return !paused;
          },
          end: resolve,
          error: (_kind, cause) => reject(cause),
        },
      );
    });
    // Waits until the server has filled all buffers and stalls.
    for (let before = -1, still = 0; still < 50; still = written > 0 && written === before ? still + 1 : 0) {
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    assert.ok(written < size, `${written} bytes were taken while nobody read`);
    paused = false;
    (call as UpstreamCall | null)?.resume();
    await over;
    assert.equal(read, size);
  });
});

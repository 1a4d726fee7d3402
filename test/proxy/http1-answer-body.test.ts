/** The reader of answers' bodies against Node's parser as the oracle: both refuse alike, and read alike. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { AnswerBody, framingOf, goesOn, malformed } from "../../proxy/wire/http1/answer-body.ts";
import { MessageParser } from "../../proxy/wire/http1/parser.ts";
import fc from "../harness/property.ts";

interface Read {
  body: string;
  end: "complete" | "malformed" | "open";
}

const head = Buffer.from("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");

function byParser(pieces: readonly Buffer[]): Read {
  const read: Read = { body: "", end: "open" };
  const parser = new MessageParser(
    "response",
    {
      head: () => true,
      body: (piece) => void (read.body += piece.toString("latin1")),
      complete: () => void (read.end = "complete"),
    },
    16_384,
  );
  parser.read(head);
  for (const piece of pieces) {
    const result = parser.read(Buffer.from(piece));
    if (result === "malformed" && read.end === "open") read.end = "malformed";
    if (read.end !== "open") break;
  }
  parser.close();
  return read;
}

function byReader(pieces: readonly Buffer[]): Read {
  const read: Read = { body: "", end: "open" };
  const reader = new AnswerBody();
  reader.begin("chunked", 0);
  for (const piece of pieces) {
    // As in the buffer that all sockets share: what is read doesn't begin at its start, and is overwritten afterwards.
    const bytes = Buffer.concat([Buffer.from("head"), piece]);
    const end = reader.read(bytes, 4);
    const got = reader.take();
    bytes.fill("X");
    read.body += got?.toString("latin1") ?? "";
    if (end === goesOn) continue;
    read.end = end === malformed ? "malformed" : "complete";
    break;
  }
  return read;
}

function cut(text: string, offsets: readonly number[]): Buffer[] {
  const bytes = Buffer.from(text, "latin1");
  const cuts = [...new Set(offsets.map((offset) => offset % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...cuts]
    .map((start, index) => bytes.subarray(start, cuts[index] ?? bytes.length))
    .filter((piece) => piece.length > 0);
}

const usually = (usual: string, ...others: string[]): fc.Arbitrary<string> =>
  fc.oneof({ weight: 30, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...others) });

const lineEnd = usually("\r\n", "\n", "\r", "\r\r\n", "", " \r\n", "\n\r");

const chunk = fc
  .record({
    data: fc.string({ minLength: 1, maxLength: 40 }).map((text) => Buffer.from(text).toString("latin1")),
    zeros: usually("", "0", "0000000000000000000000"),
    upper: fc.boolean(),
    extension: usually("", ";a", ";a=b", ';a="b;\\"c"', ";", ";a=", "; a=b", ";a=b;c", ";a\x00", ";é", ' ;a="'),
    off: fc.oneof({ weight: 30, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constantFrom(-1, 1, 255) }),
    behindSize: lineEnd,
    behindData: lineEnd,
  })
  .map(({ data, zeros, upper, extension, off, behindSize, behindData }) => {
    const size = Math.max(0, data.length + off).toString(16);
    return `${zeros}${upper ? size.toUpperCase() : size}${extension}${behindSize}${data}${behindData}`;
  });

const trailers = usually("", "X-A: b\r\n", "X-A: b\r\nX-B:\r\n", "X-A : b\r\n", "X-A: b\n", ": b\r\n", "X-A\r\n");

const body = fc
  .record({
    chunks: fc.array(chunk, { maxLength: 5 }),
    last: usually("0", "00", "0;a=b", "", "g", "-1", "+0", "0x0", "1ffffffffffffffff"),
    behindLast: lineEnd,
    trailers,
    end: lineEnd,
  })
  .map(({ chunks, last, behindLast, trailers: fields, end }) => [...chunks, last, behindLast, fields, end].join(""));

describe("a chunked answer", () => {
  it("is read as Node's parser reads it, in any pieces", () => {
    fc.assert(
      fc.property(body, fc.array(fc.nat(), { maxLength: 8 }), (text, cuts) => {
        const pieces = cut(text, cuts);
        const [own, native] = [byReader(pieces), byParser(pieces)];
        // The reader judges a line when all of it is there.
        assert.deepEqual(own.end === "open" ? { ...own, end: native.end } : own, native);
        assert.ok(own.end !== "open" || native.end !== "complete", "it is over");
      }),
      { numRuns: Number(process.env["HTTP1_RUNS"] ?? 3_000) },
    );
  });

  it("is read byte by byte", () => {
    const text = "5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nX-A: b\r\n\r\n";
    const pieces = cut(text, [...text].keys().toArray());
    assert.deepEqual(byReader(pieces), { body: "hello world", end: "complete" });
  });

  it("has no endless lines", () => {
    for (const text of [`5;${"a".repeat(20_000)}`, `0\r\n${`X-A: ${"a".repeat(1_000)}\r\n`.repeat(20)}`])
      assert.equal(byReader(cut(text, [100, 9_000])).end, "malformed");
  });

  it("whose pieces were kept is not overwritten by later reads", () => {
    const reader = new AnswerBody();
    reader.begin("chunked", 0);
    const kept = Array.from({ length: 500 }, (_, index) => {
      reader.read(Buffer.from(`3\r\n${String(index).padStart(3, "0")}\r\n`), 0);
      return reader.take();
    });
    assert.deepEqual(
      kept.map((piece) => Number(piece?.toString())),
      [...kept.keys()],
    );
  });
});

describe("the framing of an answer", () => {
  for (const [status, fields, framing] of [
    [200, { "content-length": "5" }, "length"],
    [200, { "content-length": "0" }, "length"],
    [200, { "transfer-encoding": "chunked" }, "chunked"],
    [200, {}, "close"],
    [204, { "content-length": "5" }, "none"],
    [304, {}, "none"],
    [200, { "transfer-encoding": "gzip, chunked" }, null],
    [200, { "transfer-encoding": ["gzip", "chunked"] }, null],
    [200, { "content-length": "99999999999999999999" }, null],
  ] as const)
    it(`is ${framing ?? "left to the parser"} for ${status} ${JSON.stringify(fields)}`, () => {
      assert.equal(framingOf(status, fields as Record<string, string | string[]>), framing);
    });
});

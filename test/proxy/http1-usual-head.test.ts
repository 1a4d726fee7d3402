/** Heads that are read without Node's parser, against that parser. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { type MessageHead, MessageParser } from "../../proxy/wire/http1/parser.ts";
import { RequestReader } from "../../proxy/wire/http1/request-reader.ts";
import { headText, maxUsualBytes, usualRequest, usualResponse } from "../../proxy/wire/http1/usual-head.ts";
import fc, { runs } from "../harness/property.ts";

const maxHeaderBytes = 2_048;

type Event = ["head", MessageHead] | ["body", string] | ["end"] | ["refused", string] | ["unread", number];

/** What a reader makes of pieces. Pieces of a body are joined, since readers may cut them differently. */
function eventsOf(kind: "own" | "native", pieces: readonly string[]): Event[] {
  const events: Event[] = [];
  const sink = {
    head: (head: MessageHead) => events.push(["head", { ...head, byName: null }]) > 0,
    body: (piece: Buffer) => {
      const last = events.at(-1);
      if (last?.[0] === "body") last[1] += piece.toString("latin1");
      else events.push(["body", piece.toString("latin1")]);
    },
    complete: () => void events.push(["end"]),
  };
  const reader =
    kind === "own" ? new RequestReader(sink, maxHeaderBytes) : new MessageParser("request", sink, maxHeaderBytes);
  for (const piece of pieces) {
    const shared = Buffer.from(piece, "latin1");
    const result = reader.read(shared);
    shared.fill(0);
    if (typeof result === "string") events.push(["refused", result]);
    else if (result !== null) events.push(["unread", result.unreadFrom]);
    if (result !== null) break;
  }
  reader.close();
  return events;
}

const from = <T>(...values: T[]): fc.Arbitrary<T> => fc.constantFrom(...values);
const seldom = <T>(usual: fc.Arbitrary<T>, unusual: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight: 12, arbitrary: usual }, { weight: 1, arbitrary: unusual });

const usualField = from(
  "Host: a",
  "Authorization: Bearer slc_1",
  "authorization: Bearer slc_2",
  "Content-Type: application/json",
  "User-Agent: OpenAI/JS 6.1.0",
  "X-A: b: c",
  "Connection: keep-alive",
  "Cookie: a=1; b=2",
);
const unusualField = from(
  ...["Connection: close", "connection: Keep-Alive, X-A", "Connection: upgrade", "Upgrade: websocket", "Expect: x"],
  ...["Proxy-Connection: close", "Proxy-Connection: keep-alive", "Transfer-Encoding: chunked", "TE: trailers"],
  ...["Content-Length: 3", "Content-Length: +3", "content-length: 3 ", "Content-Length : 3", "Content-Length:"],
  ...["Transfer-Encoding: gzip, chunked", "Transfer-Encoding:chunked", "Transfer-Encoding: CHUNKED", "X-A:b"],
  ...["X-A: ", "X-A:  b", "X-A: b ", "X-A: b\t", "X-A: \xe9", "X-A: b\r\n c", "X-A: b\rX-B: c", "X-A: b\nX-B: c"],
  ...["X-A: \x00", "X-A: \x7f", "X A: b", ": b", "X-A", `X-A: ${"a".repeat(1_100)}`, `X-A: ${"a".repeat(2_100)}`],
);
const field = seldom(usualField, unusualField);
const target = seldom(
  from("/v1/chat/completions", "/v1/models?after=a%20b&limit=2", "/", "//a"),
  from("*", "a", "http://a/b", "/a#b", "/a b", '/a"b', "/a<b", "/\xe9", "/a\x7f", "/a\tb", ""),
);
const method = seldom(from("POST", "GET"), from("PUT", "HEAD", "CONNECT", "post", "PO ST", "OPTIONS", "PRI"));
const version = seldom(from("HTTP/1.1"), from("HTTP/1.0", "HTTP/1.2", "HTTP/1.1 ", "http/1.1", "HTTP/11", ""));
const lineEnd = seldom(from("\r\n"), from("\n", "\r", "\r\n\r\n", " \r\n"));
const length = seldom(from("0", "3", "12"), from("", "-1", "3, 3", "0x3", "03", "9".repeat(25), "1e1"));

const request = fc
  .record({ method, target, version, lineEnd, length, fields: fc.array(field, { maxLength: 4 }), at: fc.nat(4) })
  .map(({ method, target, version, lineEnd, length, fields, at }) => {
    const all = fields.toSpliced(at, 0, `Content-Length: ${length}`);
    const body = "0123456789ab".slice(0, /^\d{1,2}$/.test(length) ? Number(length) : 5);
    return `${method} ${target} ${version}${lineEnd}${all.join("\r\n")}\r\n\r\n${body}`;
  });
/** Requests of one connection: often the same one again, or with another length. */
const requests = fc
  .array(fc.tuple(request, fc.nat(3), fc.nat(12)), { minLength: 1, maxLength: 4 })
  .map((list) =>
    list.flatMap(([text, times, bytes]) => [
      text,
      ...Array.from({ length: times }, (_, index) =>
        index === 1
          ? text.replace(/(Content-Length: )\d+([\s\S]*?\r\n\r\n)[\s\S]*$/, `$1${bytes}$2${"x".repeat(bytes)}`)
          : text,
      ),
    ]),
  );
const cut = (text: string, places: readonly number[]): string[] => {
  const sorted = [...places.map((place) => place % text.length), 0, text.length].sort((a, b) => a - b);
  return sorted.slice(1).map((end, index) => text.slice(sorted[index], end));
};

describe("heads of the usual form", () => {
  it("of requests are read as Node's parser reads them, and what it refuses is refused", () => {
    fc.assert(
      fc.property(requests, fc.array(fc.nat(), { maxLength: 3 }), fc.boolean(), (list, places, apart) => {
        const pieces = (apart ? list : cut(list.join(""), places)).filter((piece) => piece !== "");
        const [own, native] = [eventsOf("own", pieces), eventsOf("native", pieces)];
        assert.deepEqual(own, native);
      }),
      { numRuns: runs(3_000) },
    );
  });

  const response = fc
    .record({
      version,
      status: seldom(from("200", "429", "500"), from("100", "101", "204", "304", "600", "20", "2000", "abc")),
      reason: seldom(from("OK", "Too Many Requests"), from("", "\xe9", "O\x00K", " OK")),
      fields: fc.array(field, { maxLength: 4 }),
      framing: seldom(
        from("Content-Length: 5", "Transfer-Encoding: chunked", "transfer-encoding: chunked"),
        from("X-A: b", "Content-Length: -5", "Transfer-Encoding: gzip", "Content-Length: 5\r\nContent-Length: 5"),
      ),
    })
    .map(({ version, status, reason, fields, framing }) =>
      [`${version} ${status} ${reason}`, ...fields, framing, "", ""].join("\r\n"),
    );

  it("of responses are read as Node's parser reads them", () => {
    fc.assert(
      fc.property(response, (text) => {
        const bytes = Buffer.from(text, "latin1");
        const head = headText(bytes, 0, maxUsualBytes);
        const own = head === null ? null : usualResponse(head);
        if (own === null) return;
        let native: MessageHead | null = null;
        const sink = { body: () => undefined, complete: () => undefined };
        const parser = new MessageParser(
          "response",
          {
            ...sink,
            head: (read) => {
              native = read;
              return "other";
            },
          },
          16_384,
        );
        const result = parser.read(bytes);
        parser.close();
        assert.notEqual(typeof result, "string");
        assert.deepEqual(own, native);
      }),
      { numRuns: runs(3_000) },
    );
  });

  const usual = "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nX-B: c\r\n\r\n";

  it("are not left to the parser", () => {
    assert.notEqual(usualRequest(usual), null);
    assert.notEqual(usualResponse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), null);
  });

  it("are read once if a connection repeats them, and the body has its own length each time", () => {
    const heads: MessageHead[] = [];
    const bodies: string[] = [];
    const reader = new RequestReader(
      {
        head: (head) => heads.push(head) > 0,
        body: (piece) => void bodies.push(piece.toString()),
        complete: () => undefined,
      },
      maxHeaderBytes,
    );
    const longer = usual.replace("Length: 3", "Length: 10");
    for (const text of [`${usual}abc`, `${usual}def`, `${longer}0123456789`, `${usual}ghi`])
      assert.equal(reader.read(Buffer.from(text)), null);
    reader.close();
    assert.equal(heads[0], heads[1]);
    assert.deepEqual(bodies, ["abc", "def", "0123456789", "ghi"]);
    assert.deepEqual(
      heads.map(({ rawHeaders }) => rawHeaders[3]),
      ["3", "3", "10", "3"],
    );
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { addressAllowed } from "../../proxy/config/destination.ts";
import { applyEdits } from "../../proxy/wire/json-edit.ts";
import { type Outline, outline } from "../../proxy/wire/json-outline.ts";
import { maxEventBytes, SseDecoder, type SseFrame, SseOverflowError } from "../../proxy/wire/sse.ts";
import fc from "../harness/property.ts";

const depth = 64;

function edited(text: string, edits: Record<string, unknown>): string {
  const bytes = Buffer.from(text);
  const found = outline(bytes, depth);
  assert.notEqual(typeof found, "string", String(found));
  return applyEdits(bytes, found as Outline, edits).toString("utf8");
}

describe("edits at the top of a JSON body", () => {
  const rows: { name: string; text: string; edits: Record<string, unknown>; expected: string }[] = [
    {
      name: "replace a value and leave every other byte",
      text: '{ "model" : "a", "x":1.0 ,"y":[ "}" ] }',
      edits: { model: "b" },
      expected: '{ "model" : "b", "x":1.0 ,"y":[ "}" ] }',
    },
    {
      name: "add what is not there in front",
      text: '{"x":1e3}',
      edits: { stream: true },
      expected: '{"stream":true,"x":1e3}',
    },
    { name: "add to an empty object", text: "{}", edits: { a: null }, expected: '{"a":null}' },
    {
      name: "remove a member",
      text: '{"a":1.50,"b":2,"c":"\\""}',
      edits: { b: undefined },
      expected: '{"a":1.50,"c":"\\""}',
    },
    {
      name: "know a name by its meaning, not its spelling",
      text: '{"mod\\u0065l":"a"}',
      edits: { model: "b" },
      expected: '{"mod\\u0065l":"b"}',
    },
    { name: "are none", text: '{"a":1}', edits: {}, expected: '{"a":1}' },
  ];
  for (const { name, text, edits, expected } of rows) {
    it(name, () => assert.equal(edited(text, edits), expected));
  }

  const refused: { name: string; text: string; problem: string }[] = [
    { name: "a member given twice", text: '{"a":1,"\\u0061":2}', problem: "duplicate" },
    { name: "nesting beyond the limit", text: `{"a":${"[".repeat(depth)}${"]".repeat(depth)}}`, problem: "depth" },
    { name: "a list", text: "[1]", problem: "not_object" },
  ];
  for (const { name, text, problem } of refused) {
    it(`refuse ${name}`, () => assert.equal(outline(Buffer.from(text), depth), problem));
  }

  it("equal assigning and deleting members, for any JSON and whitespace", () => {
    const names = fc.constantFrom("model", "stream", "n", 'quo"te', "päth");
    const object = fc.dictionary(fc.oneof(names, fc.string()), fc.jsonValue({ maxDepth: 4 }), { maxKeys: 6 });
    const edits = fc.dictionary(names, fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constant(undefined)), { maxKeys: 3 });
    fc.assert(
      fc.property(object, edits, fc.constantFrom(0, 1, "\t"), (body, changes, space) => {
        const plain = JSON.parse(JSON.stringify(body)) as Record<string, unknown>;
        // Refused at any depth.
        fc.pre(!JSON.stringify(body).includes('"__proto__"'));
        const expected = { ...plain };
        for (const [name, value] of Object.entries(changes)) {
          if (value === undefined) delete expected[name];
          else expected[name] = JSON.parse(JSON.stringify(value));
        }
        assert.deepEqual(JSON.parse(edited(JSON.stringify(plain, null, space), changes)), expected);
      }),
    );
  });
});

function frames(text: string | Uint8Array, cuts: readonly number[]): SseFrame[] {
  const bytes = Buffer.from(text as string);
  const decoder = new SseDecoder();
  const points = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return points.slice(1).flatMap((end, index) => decoder.push(bytes.subarray(points[index], end)));
}

describe("server-sent events", () => {
  const rows: { name: string; text: string; expected: SseFrame[] }[] = [
    { name: "join data lines", text: "data: a\ndata:b\n\n", expected: [{ event: "", data: "a\nb" }] },
    {
      name: "have names",
      text: "event: x\ndata: 1\n\ndata: 2\n\n",
      expected: [
        { event: "x", data: "1" },
        { event: "", data: "2" },
      ],
    },
    {
      name: "may end lines with CRLF or CR",
      text: "data: 1\r\n\r\ndata: 2\r\rdata: 3\n\n",
      expected: ["1", "2", "3"].map((data) => ({ event: "", data })),
    },
    {
      name: "have comments and ids, which say nothing",
      text: ": hi\nid: 7\ndata: 1\n\n: bye\n\n",
      expected: [{ event: "", data: "1" }],
    },
    { name: "may begin with a byte order mark", text: "\ufeffdata: 1\n\n", expected: [{ event: "", data: "1" }] },
    { name: "are dropped when they are cut off", text: "data: 1\n\ndata: 2\n", expected: [{ event: "", data: "1" }] },
  ];
  for (const { name, text, expected } of rows) {
    it(name, () => assert.deepEqual(frames(text, []), expected));
  }

  it("are parsed the same however their bytes are split", () => {
    const line = fc.oneof(
      fc.constantFrom("data: ", "data:é🎉", "event: e", ": c", "", "", "data", 'data: {"a":1}'),
      fc.string().map((text) => `data: ${text.replace(/[\r\n]/g, "")}`),
    );
    const end = fc.constantFrom("\n", "\r\n", "\r");
    fc.assert(
      fc.property(fc.array(line), end, fc.array(fc.nat()), (lines, ending, cuts) => {
        const text = lines.map((line) => line + ending).join("");
        assert.deepEqual(frames(text, cuts), frames(text, []));
      }),
    );
  });

  it("are refused when an event exceeds its limit, as one line or many", () => {
    assert.throws(() => frames(`data: ${"x".repeat(maxEventBytes + 1)}`, []), SseOverflowError);
    assert.throws(() => frames("data: xxxxxxxxxxxxxxx\n".repeat(maxEventBytes / 15 + 1), []), SseOverflowError);
  });
});

describe("addresses that an endpoint may resolve to", () => {
  const rows: { address: string; open: boolean; withPrivate: boolean }[] = [
    { address: "93.184.216.34", open: true, withPrivate: true },
    { address: "2606:2800:220:1::1", open: true, withPrivate: true },
    { address: "127.0.0.1", open: false, withPrivate: true },
    { address: "::1", open: false, withPrivate: true },
    { address: "::ffff:127.0.0.1", open: false, withPrivate: true },
    { address: "10.1.2.3", open: false, withPrivate: true },
    { address: "172.31.0.1", open: false, withPrivate: true },
    { address: "192.168.1.1", open: false, withPrivate: true },
    { address: "100.64.0.1", open: false, withPrivate: true },
    { address: "fd12::1", open: false, withPrivate: true },
    { address: "169.254.169.254", open: false, withPrivate: false },
    { address: "::ffff:169.254.169.254", open: false, withPrivate: false },
    { address: "fe80::1", open: false, withPrivate: false },
    { address: "fd00:ec2::254", open: false, withPrivate: false },
    { address: "0.0.0.0", open: false, withPrivate: false },
    { address: "::", open: false, withPrivate: false },
    { address: "224.0.0.1", open: false, withPrivate: false },
    { address: "255.255.255.255", open: false, withPrivate: false },
  ];
  for (const { address, open, withPrivate } of rows) {
    it(`${address}: ${open ? "always" : withPrivate ? "with allowPrivateEndpoint" : "never"}`, () => {
      assert.deepEqual([addressAllowed(address, false), addressAllowed(address, true)], [open, withPrivate]);
    });
  }
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TextBytes } from "../../proxy/wire/text-bytes.ts";
import fc from "../harness/property.ts";

type Piece =
  | { kind: "utf8" | "latin1"; text: string }
  | { kind: "number"; number: number }
  | { kind: "raw"; bytes: Uint8Array };

const texts = fc.oneof(fc.string({ maxLength: 40 }), fc.string({ minLength: 3_000, maxLength: 9_000 }));
const pieces: fc.Arbitrary<Piece> = fc.oneof(
  texts.map((text): Piece => ({ kind: "utf8", text })),
  fc.string({ unit: "grapheme", maxLength: 30 }).map((text): Piece => ({ kind: "utf8", text })),
  fc
    .array(fc.integer({ min: 0, max: 255 }), { maxLength: 60 })
    .map((codes): Piece => ({ kind: "latin1", text: String.fromCharCode(...codes) })),
  fc
    .oneof(fc.maxSafeInteger(), fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }))
    .map((number): Piece => ({ kind: "number", number })),
  fc.uint8Array({ maxLength: 30 }).map((bytes): Piece => ({ kind: "raw", bytes })),
);

function bytesOf(piece: Piece): Uint8Array {
  if (piece.kind === "raw") return piece.bytes;
  if (piece.kind === "number") return Buffer.from(String(piece.number));
  return Buffer.from(piece.text, piece.kind);
}

function add(text: TextBytes, piece: Piece): void {
  if (piece.kind === "raw") text.raw(piece.bytes);
  else if (piece.kind === "number") text.number(piece.number);
  else text[piece.kind](piece.text);
}

describe("a text that is assembled as bytes", () => {
  it("has the bytes of its pieces, one after another, whatever it held before", () => {
    const text = new TextBytes();
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (all) => {
        text.clear();
        for (const piece of all) add(text, piece);
        const expected = Buffer.concat(all.map(bytesOf));
        const copied = Buffer.alloc(text.length + 3);
        text.copyTo(copied, 3);
        assert.deepEqual(copied.subarray(3), expected);
        assert.equal(text.toString("latin1"), expected.toString("latin1"));
      }),
    );
  });
});

/** Detectors, masks and placeholders as functions. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MaskAnswer, Restore } from "../../../proxy/masking/changes.ts";
import { detectorNames } from "../../../proxy/masking/detectors.ts";
import { Masker } from "../../../proxy/masking/masker.ts";
import { Tally } from "../../../proxy/masking/tally.ts";
import fc, { runs } from "../../harness/property.ts";
import { corpus, score } from "./corpus.ts";

const masker = (more: Partial<Masker["config"]> = {}): Masker =>
  new Masker({ detect: [...detectorNames], custom: [], mode: "Replace", answers: true, ...more });
const employee = { name: "EmployeeId", pattern: "EMP-\\d{6}", replacement: null };
const mask = (text: string): string => new Tally(masker({ custom: [employee] })).mask(text);

describe("finding personal data", () => {
  const all = corpus();
  for (const type of detectorNames)
    it(`finds every planted ${type}, and no look-alike`, (context) => {
      const { recall, precision, misses, mistakes } = score(type, all);
      context.diagnostic(`recall ${recall.toFixed(4)}, precision ${precision.toFixed(4)}`);
      assert.ok(recall >= 0.99, JSON.stringify(misses.slice(0, 5)));
      assert.ok(precision >= 0.98, JSON.stringify(mistakes.slice(0, 5)));
    });

  for (const [text, expected] of [
    ["mail a@b.co, call +14155552671", "mail [EMAIL], call [PHONE]"],
    ["alice@example.com|bob@example.com", "[EMAIL]|[EMAIL]"],
    ["<alice@example.com>.", "<[EMAIL]>."],
    ["no address: a@b, @alice, icon@2x.png, git@1.2.3", "no address: a@b, @alice, icon@2x.png, git@1.2.3"],
    ["paid with 12 4111 1111 1111 1111 34", "paid with 12 [CREDIT_CARD] 34"],
    ["4111-1111-1111-1111 and 123-45-6789", "[CREDIT_CARD] and [SSN]"],
    ["EMP-123456 is alice@example.com", "[EMPLOYEE_ID] is [EMAIL]"],
    ["", ""],
  ] as const)
    it(`masks ${JSON.stringify(text)}`, () => assert.equal(mask(text), expected));

  for (const [text, expected] of [
    ["tel. 612 34 56 78", "tel. [PHONE]"],
    ["Tel: 32 12 34 56.", "Tel: [PHONE]."],
    ["call me at 8123 4567, or write", "call me at [PHONE], or write"],
    ["My number is 8123-4567", "My number is [PHONE]"],
    ["mobile number: 512 345 678", "mobile number: [PHONE]"],
    ["Móvil (612) 34 56 78", "Móvil [PHONE]"],
    ["mijn nummer is 612345678", "mijn nummer is [PHONE]"],
    ["电话8123 4567", "电话[PHONE]"],
    ["WhatsApp 512-345-678\n12 34", "WhatsApp [PHONE]\n12 34"],
    ...[
      "the order number is 8123 4567",
      "call 10 000 000 people",
      "call me on 2027-02-18 or 18.02.2027 or 18/02/27",
      "dial 10.20.30.40",
      "text 12345",
      "ticket 8123 4567",
      "phone 8123 4567 9012 3456 7",
      "a mobile home with 512 345 678 nails",
      "recall 81234567",
      "tel 81234567b",
    ].map((same) => [same, same] as const),
  ] as const)
    it(`reads announced numbers: ${JSON.stringify(text)}`, () => {
      assert.equal(mask(text), expected);
      const change = new MaskAnswer(masker(), new Tally(masker()));
      const pieces = [...`so ${text}`].map((character) => change.piece("0", character));
      assert.equal(pieces.join("") + change.end("0"), `so ${expected}`);
    });
});

/** Texts with data of every kind and strings that look like placeholders. */
const piece = fc.oneof(
  fc.string({ maxLength: 20 }),
  fc.string({ unit: "binary", maxLength: 8 }),
  fc.constantFrom(
    "alice@example.com",
    "+14155552671",
    "123-45-6789",
    "4111 1111 1111 1111",
    "[EMAIL_1]",
    "[EMAIL_",
    "[",
    "EMP-123456",
    " ",
    "\\",
    '"',
    "@",
    "415-555-2671",
  ),
);
const text = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(""));
const inChunks = (texts: fc.Arbitrary<string>) =>
  fc.tuple(texts, fc.array(fc.nat(40), { maxLength: 30 })).map(([all, lengths]) => {
    const chunks: string[] = [];
    let at = 0;
    for (const length of lengths) {
      chunks.push(all.slice(at, at + length));
      at += length;
    }
    return { all, chunks: [...chunks, all.slice(at)] };
  });
const chunked = inChunks(text);
/** Numbers, parts of numbers, and what joins and separates them. */
const numbers = fc.array(
  fc.constantFrom(
    ...[
      "0171 2345678",
      "171 ",
      "+1 415 555 2671",
      "+1 ",
      "(415) 555-2671",
      "415) 555-2671",
      "555-",
      "2671 ",
      "4111 1111 1111 1111",
      "4111 ",
      "1111 1111 ",
    ],
    ...[
      "123-45-6789",
      "0",
      "1",
      "12",
      ":",
      ".",
      "-",
      "/",
      " ",
      "+",
      "(",
      ")",
      ",",
      "\n",
      "_",
      "'",
      "=",
      "a",
      "x",
      "2x",
      "é",
      "@",
      "b.co",
      "a.b@c.de",
    ],
  ),
  { maxLength: 12 },
);
const numbered = inChunks(numbers.map((parts) => parts.join("")));

describe("placeholders", () => {
  it("are restored for any text, even one that already contains placeholders", () => {
    fc.assert(
      fc.property(text, text, (one, other) => {
        const tally = new Tally(masker({ mode: "Placeholder", custom: [employee] }));
        tally.avoid([one, other]);
        const hidden = [tally.mask(one), tally.mask(other)];
        assert.deepEqual(
          hidden.map((each) => tally.restore(each)),
          [one, other],
        );
      }),
      { numRuns: runs(500) },
    );
  });

  it("are restored in any pieces, and the held text is bounded", () => {
    fc.assert(
      fc.property(chunked, ({ all, chunks }) => {
        const tally = new Tally(masker({ mode: "Placeholder", custom: [employee] }));
        tally.avoid([all]);
        const hidden = tally.mask(all);
        const cut = chunks.map((chunk) => chunk.length);
        const restore = new Restore(tally);
        let out = "";
        let at = 0;
        for (const length of cut) {
          out += restore.piece("c", hidden.slice(at, at + length), "text");
          at += length;
        }
        out += restore.piece("c", hidden.slice(at), "text") + restore.end("c");
        assert.equal(out, all);
      }),
      { numRuns: runs(500) },
    );
  });

  it("are equal for equal values, and differ between types", () => {
    const tally = new Tally(masker({ mode: "Placeholder" }));
    assert.equal(
      tally.mask("a@example.com b@example.com a@example.com 123-45-6789"),
      "[EMAIL_1] [EMAIL_2] [EMAIL_1] [SSN_1]",
    );
    assert.deepEqual({ ...tally.counts }, { Email: 3, SSN: 1 });
  });

  it("are escaped in JSON", () => {
    const tally = new Tally(
      masker({ mode: "Placeholder", custom: [{ name: "Quoted", pattern: '".+"', replacement: null }] }),
    );
    const hidden = tally.mask('"a\nb"'.replace("\n", " "));
    const restore = new Restore(tally);
    const json = `{"x":"${restore.piece("c", hidden, "json")}${restore.end("c")}"}`;
    assert.deepEqual(JSON.parse(json), { x: '"a b"' });
  });
});

describe("an answer's text", () => {
  for (const [name, texts] of [
    ["text", chunked],
    ["numbers", numbered],
  ] as const)
    it(`is masked in any pieces as it is when whole: ${name}`, () => {
      fc.assert(
        fc.property(texts, ({ all, chunks }) => {
          const change = new MaskAnswer(masker(), new Tally(masker()));
          const out = chunks.map((chunk) => change.piece("c", chunk)).join("") + change.end("c");
          assert.equal(out, new Tally(masker()).mask(all, false));
        }),
        { numRuns: runs(5_000) },
      );
    });

  it("waits for text that may still decide what a number is", () => {
    for (const pieces of [
      ["call 0171 2345678", ":", "5"],
      ["0171 23456780171 2345678", "-415-555-2671123-45-67892x"],
      ["0171 2345678+1 ", "0171 2345678@", "0171 2345678"],
      ["call (", "415) 555-2671"],
    ]) {
      const change = new MaskAnswer(masker(), new Tally(masker()));
      const out = pieces.map((piece) => change.piece("c", piece)).join("") + change.end("c");
      assert.equal(out, new Tally(masker()).mask(pieces.join(""), false));
    }
  });

  it("holds back at most a few hundred characters", () => {
    const change = new MaskAnswer(masker({ custom: [employee] }), new Tally(masker()));
    let given = 0;
    let out = 0;
    for (let at = 0; at < 5_000; at++) {
      given += 3;
      out += change.piece("c", "a1.").length;
      assert.ok(given - out <= 400, `${given - out} characters wait`);
    }
  });
});

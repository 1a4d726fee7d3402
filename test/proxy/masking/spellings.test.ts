/**
 * Data as people and programs write them: what a person reads as a number or an address is found, and always in full.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fold } from "../../../proxy/guard/fold.ts";
import { MaskAnswer } from "../../../proxy/masking/changes.ts";
import { detectorNames } from "../../../proxy/masking/detectors.ts";
import { Masker } from "../../../proxy/masking/masker.ts";
import { Tally } from "../../../proxy/masking/tally.ts";

const masker = new Masker({ detect: [...detectorNames], custom: [], mode: "Replace", answers: true });
const mask = (text: string): string => new Tally(masker).mask(text);
const inPieces = (text: string, length: number): string => {
  const change = new MaskAnswer(masker, new Tally(masker));
  let out = "";
  for (let at = 0; at < text.length; at += length) out += change.piece("c", text.slice(at, at + length));
  return out + change.end("c");
};

const other = (zero: number) => (text: string) =>
  text.replace(/\d/g, (digit) => String.fromCodePoint(zero + Number(digit)));
const asIn = (digits: string) => (text: string) => text.replace(/\d/g, (digit) => [...digits][Number(digit)] as string);
/** Pairs of digits as one character, where there is one; `digits` for all others. */
const inPairs = (digits: string, last: number, of: (number: number) => number) => (text: string) =>
  text.replace(/[1-9]\d|\d/g, (pair) =>
    pair.length === 2 && Number(pair) <= last ? String.fromCodePoint(of(Number(pair))) : asIn(digits)(pair),
  );
/** Over two lines. */
const broken = (mark: string) => (text: string) => text.replace(/[ -](?=[^ -]*$)/, mark);
const joinedBy = (mark: string) => (text: string) => text.replace(/[ -]/g, mark);
/** Name → another way to write the value. */
const spellings: Record<string, (text: string) => string> = {
  "as it is": (text) => text,
  "no-break spaces": joinedBy("\u00a0"),
  "narrow no-break spaces": joinedBy("\u202f"),
  "thin spaces": joinedBy("\u2009"),
  "ideographic spaces": joinedBy("\u3000"),
  "double blanks": joinedBy("  "),
  tabs: joinedBy("\t"),
  "a line break": broken("\n"),
  "a line break of Windows": broken("\r\n"),
  "an indented line break": broken("\n    "),
  "hyphens that don't break": joinedBy("\u2011"),
  "en dashes": joinedBy("\u2013"),
  "minus signs": joinedBy("\u2212"),
  "figure dashes": joinedBy("\u2012"),
  "middle dots": joinedBy("\u00b7"),
  dots: joinedBy("."),
  "spaced hyphens": joinedBy(" - "),
  "full-width digits": other(0xff10),
  "Arabic digits": other(0x660),
  "Persian digits": other(0x6f0),
  "Devanagari digits": other(0x966),
  "mathematical digits": other(0x1d7ce),
  "zero-width spaces": (text) => [...text].join("\u200b"),
  "word joiners": (text) => [...text].join("\u2060"),
  "soft hyphens": (text) => text.replace(/.{3}(?=.)/gu, "$&\u00ad"),
  "a byte-order mark within": (text) => `${text.slice(0, 5)}\ufeff${text.slice(5)}`,
  "JSON escapes": (text) => text.replace(/[ -]/g, "\\u0020"),
  "JSON escapes in JSON": (text) => text.replace(/[ -]/g, "\\\\u00a0"),
  "an escaped line break": broken("\\n"),
  "HTML's names of blanks": joinedBy("&nbsp;"),
  "HTML's numbers": joinedBy("&#160;"),
  "HTML's numbers in hexadecimal": joinedBy("&#x2009;"),
  "HTML in HTML": joinedBy("&amp;nbsp;"),
  "every character in HTML": (text) => text.replace(/./g, (one) => `&#${one.charCodeAt(0)};`),
  "URL escapes": joinedBy("%20"),
  "URL escapes of UTF-8": joinedBy("%C2%A0"),
  "URL escapes in a URL": joinedBy("%2520"),
  "every character in a URL": (text) => text.replace(/./g, (one) => `%${one.charCodeAt(0).toString(16)}`),
  keycaps: (text) => text.replace(/\d/g, "$&\ufe0f\u20e3"),
  "digits struck through": (text) => text.replace(/\d/g, "$&\u0336"),
  "raised digits": asIn("⁰¹²³⁴⁵⁶⁷⁸⁹"),
  "lowered digits": asIn("₀₁₂₃₄₅₆₇₈₉"),
  "digits in circles": asIn("⓪①②③④⑤⑥⑦⑧⑨"),
  "digits in double circles": asIn("⓪⓵⓶⓷⓸⓹⓺⓻⓼⓽"),
  "digits in black circles": asIn("⓿❶❷❸❹❺❻❼❽❾"),
  "digits in circles without serifs": asIn("🄋➀➁➂➃➄➅➆➇➈"),
  "digits in black circles without serifs": asIn("🄌➊➋➌➍➎➏➐➑➒"),
  "digits in brackets": asIn("⓪⑴⑵⑶⑷⑸⑹⑺⑻⑼"),
  "digits with full stops": asIn("🄀⒈⒉⒊⒋⒌⒍⒎⒏⒐"),
  "digits with commas": asIn("🄁🄂🄃🄄🄅🄆🄇🄈🄉🄊"),
  "numbers in circles": inPairs("⓪①②③④⑤⑥⑦⑧⑨", 50, (number) =>
    number <= 20 ? 0x2460 + number - 1 : number <= 35 ? 0x3251 + number - 21 : 0x32b1 + number - 36,
  ),
  "numbers in black circles": inPairs("⓿❶❷❸❹❺❻❼❽❾", 20, (number) => (number === 10 ? 0x277f : 0x24eb + number - 11)),
  "numbers in double circles": inPairs("⓪⓵⓶⓷⓸⓹⓺⓻⓼⓽", 10, () => 0x24fe),
  "numbers in brackets": inPairs("⓪⑴⑵⑶⑷⑸⑹⑺⑻⑼", 20, (number) => 0x2474 + number - 1),
  "numbers with full stops": inPairs("🄀⒈⒉⒊⒋⒌⒍⒎⒏⒐", 20, (number) => 0x2488 + number - 1),
  "raised digits between others": (text) => text.replace(/(?<=\d)\d(?=\d)/g, asIn("⁰¹²³⁴⁵⁶⁷⁸⁹")),
  "escapes of raised digits": (text) =>
    asIn("⁰¹²³⁴⁵⁶⁷⁸⁹")(text).replace(/[^\0-\x7f]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`),
  "tag characters": (text) => text.replace(/./g, (one) => String.fromCodePoint(0xe0000 + one.charCodeAt(0))),
};

const numbers: [string, string][] = [
  ["415-555-2671", "[PHONE]"],
  ["555-123-4567", "[PHONE]"],
  ["(555) 123-4567", "[PHONE]"],
  ["1-800-555-0199", "[PHONE]"],
  ["+1 (415) 555-2671", "[PHONE]"],
  ["+49 30 901820", "[PHONE]"],
  ["0049 30 901820", "[PHONE]"],
  ["011 44 20 7946 0958", "[PHONE]"],
  ["+44 (0)20 7946 0958", "[PHONE]"],
  ["(+49) 30 901820", "[PHONE]"],
  ["020 7946 0958", "[PHONE]"],
  ["536-22-1234", "[SSN]"],
  ["4111-1111-1111-1111", "[CREDIT_CARD]"],
  ["3782 822463 10005", "[CREDIT_CARD]"],
];

describe("a number is found", () => {
  for (const [spelling, write] of Object.entries(spellings))
    it(`with ${spelling}`, () => {
      for (const [number, expected] of numbers) {
        const text = `Take ${write(number)}, please.`;
        assert.equal(mask(text), `Take ${expected}, please.`, JSON.stringify(text));
        for (const length of [1, 3, 7])
          assert.equal(inPieces(text, length), mask(text), `${JSON.stringify(text)} in pieces of ${length}`);
      }
    });
});

describe("an address is found", () => {
  for (const address of [
    "alice.doe@example.com",
    "alice.doe\uff20example.com",
    "ａｌｉｃｅ＠ｅｘａｍｐｌｅ．ｃｏｍ",
    "alice.doe\ufe6bexample.com",
    "ⓐⓛⓘⓒⓔ@ⓔⓧⓐⓜⓟⓛⓔ.ⓒⓞⓜ",
    "🅐🅛🅘🅒🅔@🅔🅧🅐🅜🅟🅛🅔.🅒🅞🅜",
    "🅰🅻🅸🅲🅴@example.com",
    "⒜⒧⒤⒞⒠@example.com",
    "𝒶𝓁𝒾𝒸ℯ@ℯ𝓍𝒶𝓂𝓅𝓁ℯ.𝒸ℴ𝓂",
    "𝐚𝐥𝐢𝐜𝐞𝟏@example.com",
    "ᵃˡⁱᶜᵉ@example.com",
    "alice①@example.com",
    "alice㊿@example.com",
    "alice.doe\\u0040example.com",
    "alice.doe\\\\\\\\u0040example.com",
    "alice.doe%40example.com",
    "alice.doe&#64;example.com",
    "alice.doe&#00064;example.com",
    "alice.doe&#x40;example.com",
    "alice.doe&commat;example&period;com",
    "alice.doe&amp;#64;example.com",
    "alice%2Edoe%40example%2Ecom",
    "alice.doe%2540example.com",
    "alice.doe%EF%BC%A0example.com",
    [..."alice@example.com"].map((one) => String.fromCodePoint(0xe0000 + one.charCodeAt(0))).join(""),
    "al\u200bice.doe@exam\u2060ple.com",
    "al\u00adice@example.com",
  ])
    it(JSON.stringify(address), () => {
      for (const text of [`Write to ${address} now`, `"${address}"`, `<${address}>`]) {
        assert.equal(mask(text), text.replace(address, "[EMAIL]"));
        for (const length of [1, 3, 7]) assert.equal(inPieces(text, length), mask(text));
      }
    });
});

describe("a footnote hides no number", () => {
  const number = "415-555-2671";
  for (const [text, expected] of [
    [`Call ${number}¹ now`, "Call [PHONE]¹ now"],
    [`Call ${number}².`, "Call [PHONE]²."],
    [`Call ${number}.³ Then go.`, "Call [PHONE].³ Then go."],
    [`Call (${number})¹², please`, "Call ([PHONE])¹², please"],
    [`Call ${number}⑴ now`, "Call [PHONE]⑴ now"],
    [`Miller¹ ${number}`, "Miller¹ [PHONE]"],
    [`Müller² ${number}`, "Müller² [PHONE]"],
    [`It ends.⁴ ${number}`, "It ends.⁴ [PHONE]"],
    [`② ${number}`, "② [PHONE]"],
    [`⒉ ${number}`, "⒉ [PHONE]"],
    [`x³ ${number}`, "x³ [PHONE]"],
    [`CO₂, ${number}`, "CO₂, [PHONE]"],
    [`10⁻³ m² ${number}`, "10⁻³ m² [PHONE]"],
    [`🇺🇸${number}`, "🇺🇸[PHONE]"],
  ] as const)
    it(JSON.stringify(text), () => {
      assert.equal(mask(text), expected);
      for (const length of [1, 3, 7]) assert.equal(inPieces(text, length), expected);
    });
});

describe("look-alikes are left alone", () => {
  for (const text of [
    "2024-01-02 10:11:12",
    "pages 123\u2013456",
    "192.168.100.200 and 10.0.0.1",
    "ISBN 978-3-16-148410-0",
    "550e8400-e29b-41d4-a716-446655440000",
    "from 1990 to 2024, 100 200 300",
    "resolution 1920 1080",
    "a row of columns: 415      555      2671",
    "Smith et al. (2019) 1234567",
    "4 8 15 16 23 42 4 8 15 16 23 42 4 8 15 16 23 42",
    "7 1 4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 3 9",
    "USD 1,234,567.89",
    "3.14159 26535 89793",
    "version 10.15.7.1234",
    "50%de 100%, 5%20 and 10%25",
    "AT&T, R&D; a=1&b=2&copy;3 &#; &#x; &#99999999;",
    "%%4%4g%C2 %E2%82 &amp;amp;lt;",
    "\u00b2\u00b3 are footnotes, \u00bd a half",
    "① first ② second ③ third",
    "x² + y² = 10¹⁰⁰, H₂O",
  ])
    it(JSON.stringify(text), () => assert.equal(mask(text), text));
});

it("matches never overlap, also where one ends within a character of two digits", () => {
  for (let length = 230; length < 260; length++) {
    const text = `a@b.${"c".repeat(length)}⑩⑩@d.ef`;
    const findings = masker.find(text);
    assert.ok(findings.length > 0);
    for (const [index, { start, end }] of findings.entries()) {
      assert.ok(start >= (findings[index - 1]?.end ?? 0), `${length}: ${JSON.stringify(findings)}`);
      assert.ok(end > start);
    }
  }
});

it("every character that Unicode reads as a number is read so", () => {
  const missed: string[] = [];
  for (let code = 0x80; code < 0x20000; code++) {
    const character = String.fromCodePoint(code);
    const number = /^\(?(\d{1,2})[).,]?$/.exec(character.normalize("NFKC"))?.[1];
    if (number === undefined) continue;
    const text = `a ${character}@example.com b`;
    if (mask(text) !== "a [EMAIL] b" || fold(` ${character} `).text !== ` ${number} `) missed.push(code.toString(16));
  }
  assert.deepEqual(missed, []);
});

describe("letters that are joined in one character", () => {
  const custom = [{ name: "Word", pattern: "(?i)confidential|official|waffle|stop", replacement: null }];
  const words = new Masker({ detect: [], custom, mode: "Replace", answers: true });
  for (const text of ["conﬁdential", "oﬃcial", "waﬄe", "ﬆop", "con\\ufb01dential", "con&#xfb01;dential", "WAﬀLE"])
    it(text, () => {
      assert.equal(new Tally(words).mask(`a ${text} b`), "a [WORD] b");
      const change = new MaskAnswer(words, new Tally(words));
      const pieces = [...`a ${text} b`].map((one) => change.piece("c", one)).join("");
      assert.equal(pieces + change.end("c"), "a [WORD] b");
    });
});

/** Bodies that are written down: no personal data is in them, however it is written, and no key. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { everyMask } from "../../../proxy/masking/masker.ts";
import { excerpt } from "../../../proxy/pipeline/redacted-excerpt.ts";
import fc from "../../harness/property.ts";

const data = ["alice.doe@example.com", "+14155552671", "536-22-1234", "4111 1111 1111 1111"];
const secrets = ["sk-provider-secret-1", "slc_whose_key_00001"];
const written = (body: unknown): string =>
  excerpt(typeof body === "string" ? body : JSON.stringify(body), everyMask, secrets);

describe("a body that is written down", () => {
  const all = data.join("\n");
  const rows: [string, unknown, string][] = [
    ["text", all, "[EMAIL]\n[PHONE]\n[SSN]\n[CREDIT_CARD]"],
    ["behind a line break in JSON", { a: `x\n${all}` }, '{"a":"x\\n[EMAIL]\\n[PHONE]\\n[SSN]\\n[CREDIT_CARD]"}'],
    ["escaped in JSON", '{"a":"alice.doe\\u0040example.com"}', '{"a":"[EMAIL]"}'],
    [
      "JSON in JSON",
      { arguments: JSON.stringify({ to: `\n${data[2]}` }) },
      '{"arguments":"{\\"to\\":\\"\\\\n[SSN]\\"}"}',
    ],
    ["a name in JSON", { [data[0] ?? ""]: 1 }, '{"[EMAIL]":1}'],
    ["a number", { card: 4111111111111111 }, '{"card":"[CREDIT_CARD]"}'],
    ["keys", `${secrets[0]} and slc_another_key_2`, "[KEY] and [KEY]"],
    ["keys in JSON", { a: [`Bearer ${secrets[0]}`, secrets[1]] }, '{"a":["Bearer [KEY]","[KEY]"]}'],
    ["what is none of it", { n: 1.5, b: true, z: null, t: "slc_ sk-" }, '{"n":1.5,"b":true,"z":null,"t":"slc_ sk-"}'],
  ];
  for (const [name, body, expected] of rows)
    it(`has none of it as ${name}`, () => assert.equal(written(body), expected));

  it("ends after 16 Ki characters, and not within a datum or a key", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...data, ...secrets),
        fc.nat({ max: 40 }),
        fc.boolean(),
        fc.boolean(),
        (datum, back, json, words) => {
          const filler = (words ? "word ".repeat(4_000) : "x".repeat(20_000)).slice(0, 16_384 - back);
          const text = `${filler} ${datum} and so on${" more".repeat(5_000)}`;
          const cut = written(json ? { text } : text);
          assert.ok(cut.length <= 16_384);
          for (let length = 6; length <= datum.length; length++)
            assert.ok(!cut.includes(` ${datum.slice(0, length)}`), cut.slice(-60));
        },
      ),
    );
  });

  it("leaves personal data where the policy masks none, and no key", () => {
    assert.equal(excerpt(`{"a": "${data[0]} ${secrets[0]}"}`, null, secrets), `{"a": "${data[0]} [KEY]"}`);
  });

  it("takes no harm from what is deep, large or no JSON", () => {
    assert.equal(typeof written(`${"[".repeat(5_000)}"${data[0]}"${"]".repeat(5_000)}`), "string");
    assert.ok(!written(`${"[".repeat(5_000)}"${data[0]}"${"]".repeat(5_000)}`).includes(data[0] ?? ""));
    assert.ok(written({ a: "y".repeat(2_000_000) }).length <= 16_384);
    assert.ok(!written(`{"a":"${data[0]}`).includes("alice"));
    assert.equal(written(`{"a":"x\\n${data[2]}\\u0020alice\\u0040example.com"`), '{"a":"x [SSN] [EMAIL]"');
    assert.equal(excerpt(Buffer.from([0xff, 0x41]), everyMask, []), "\ufffdA");
    assert.equal(written(""), "");
  });
});

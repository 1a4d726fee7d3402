/** Forms with uploads: what is read of them, what is refused, and that the provider reads the same. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { lengthOf } from "../../proxy/media/audio-length.ts";
import { editedForm, encodeForm, type FormPart, fieldsOf, parseForm } from "../../proxy/media/form.ts";
import { cpuMsOf } from "../harness/cpu-time.ts";
import fc, { runs } from "../harness/property.ts";

const type = "multipart/form-data; boundary=b";
const part = (head: string, content: string): string => `--b\r\n${head}\r\n\r\n${content}\r\n`;
const field = (name: string, content: string): string =>
  part(`Content-Disposition: form-data; name="${name}"`, content);
const form = (...parts: string[]): string => `${parts.join("")}--b--\r\n`;

describe("a form", () => {
  it("is read in time linear in its heads, whatever is in them", () => {
    const timeOf = (fill: string): number => {
      const head = `Content-Disposition: form-data${fill.repeat(Math.floor(8_000 / fill.length))}x`;
      const bytes = Buffer.from(`${part(head, "1")}--b--`);
      const read = (): void => {
        for (let count = 0; count < 20; count++) parseForm(bytes, type);
      };
      read();
      return Math.min(cpuMsOf(read), cpuMsOf(read), cpuMsOf(read));
    };
    const usual = Math.max(20, timeOf("word "));
    for (const fill of [" ", "\t", " ;", "; ", ";a=b", ';a="\\"', "\\", '"', ";a="])
      assert.ok(timeOf(fill) < 5 * usual, JSON.stringify(fill));
  });

  const read: [string, string, string, object][] = [
    [
      "fields",
      type,
      form(field("model", "m"), field("n", "2"), field("stream", "true")),
      { model: "m", n: 2, stream: true },
    ],
    ["lists", type, form(field("include[]", "a"), field("include[]", "b")), { include: ["a", "b"] }],
    ["a quoted boundary", 'multipart/form-data; charset=utf-8; boundary="b"', form(field("a", "1")), { a: "1" }],
    ["names without quotes", type, form(part("content-disposition: form-data; name=a", "1")), { a: "1" }],
    ["a blank line before and after", type, `\r\n${form(field("a", "1"))}\r\n`, { a: "1" }],
    ["text that looks like a boundary", type, form(field("a", "--b\r\n--c")), { a: "--b\r\n--c" }],
    ["no parts", type, "--b--\r\n", {}],
  ];
  for (const [name, contentType, body, expected] of read)
    it(`is read with ${name}`, () => {
      const parts = parseForm(Buffer.from(body), contentType);
      assert.ok(typeof parts !== "string", String(parts));
      assert.deepEqual(fieldsOf(parts), expected);
    });

  const refused: [string, string, string, RegExp][] = [
    ["no boundary", "multipart/form-data", form(field("a", "1")), /no boundary/],
    ["another boundary", "multipart/form-data; boundary=c", form(field("a", "1")), /begin with/],
    ["no end", type, field("a", "1"), /end is missing|not end its line/],
    ["something behind its end", type, `${form(field("a", "1"))}x`, /follows its end/],
    ["a part without a name", type, form(part("Content-Disposition: form-data", "1")), /no name/],
    ["two names", type, form(part('Content-Disposition: form-data; name="a"; name="b"', "1")), /no name/],
    [
      "two dispositions",
      type,
      form(part('Content-Disposition: form-data; name="a"\r\nContent-Disposition: form-data; name="b"', "1")),
      /headers/,
    ],
    ["a folded header", type, form(part('Content-Disposition: form-data;\r\n name="a"', "1")), /headers/],
    [
      "an encoding",
      type,
      form(part('Content-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64', "MQ==")),
      /Content-Transfer-Encoding/,
    ],
    ["a name with a quote", type, form(part('Content-Disposition: form-data; name="mo\\"del"', "1")), /no name/],
    ["too many parts", type, form(...Array.from({ length: 257 }, (_, at) => field(`f${at}`, "1"))), /256/],
  ];
  for (const [name, contentType, body, why] of refused)
    it(`is refused with ${name}`, () => {
      const parts = parseForm(Buffer.from(body), contentType);
      assert.match(typeof parts === "string" ? parts : "read", why);
    });

  it("is refused with a field twice, in either spelling", () => {
    for (const second of ["model", "model[]"]) {
      const parts = parseForm(Buffer.from(form(field("model", "a"), field(second, "b"))), type);
      assert.equal(fieldsOf(parts as FormPart[]), null);
    }
  });

  it("arrives as it was sent, byte for byte, whatever is in it", async () => {
    const name = fc.stringMatching(/^[a-z_]{1,8}$/);
    const upload = fc.record({
      name,
      filename: fc.string({ minLength: 1, maxLength: 20 }).map((text) => text.replace(/["\\\r\n]/g, "x")),
      contentType: fc.constantFrom("image/png", "application/octet-stream"),
      content: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(upload, { maxLength: 4 }),
        fc.dictionary(name, fc.string()),
        async (uploads, fields) => {
          const { body, contentType } = encodeForm(editedForm(uploads, fields));
          const again = parseForm(body, contentType);
          assert.ok(typeof again !== "string", String(again));
          assert.deepEqual(
            again.filter(({ filename }) => filename !== null).map(({ content }) => content.toString("hex")),
            uploads.map(({ content }) => content.toString("hex")),
          );
          // Another parser reads the same.
          const other = await new Response(new Uint8Array(body), {
            headers: { "content-type": contentType },
          }).formData();
          for (const [field, value] of Object.entries(fields))
            assert.deepEqual(
              other.getAll(field).filter((one) => typeof one === "string"),
              [value.replace(/\r\n|\r|\n/g, (ends) => ends)],
            );
        },
      ),
      { numRuns: runs(100) },
    );
  });
});

describe("the length of a recording", () => {
  const wave = (rate: number, seconds: number): Buffer => {
    const file = Buffer.alloc(rate * seconds);
    file.write("RIFF....WAVEfmt ", "latin1");
    file.writeUInt32LE(16, 16);
    file.writeUInt16LE(1, 20);
    file.writeUInt16LE(1, 22);
    file.writeUInt32LE(rate, 24);
    file.writeUInt16LE(8, 34);
    return file;
  };
  const rows: [string, Buffer, number][] = [
    ["PCM", wave(16_000, 90), 90],
    ["MP3 of 128 kbit/s", Buffer.concat([Buffer.from([0xff, 0xfb, 0x90, 0]), Buffer.alloc(159_996)]), 10],
    ["an unknown format", Buffer.alloc(60_000), 10],
    ["nothing", Buffer.alloc(0), 0],
  ];
  for (const [name, file, seconds] of rows)
    it(`of ${name} is ${seconds} seconds, and never more than its bound`, () => {
      const length = lengthOf(file);
      assert.equal(length.seconds, seconds);
      assert.ok(length.atMost >= length.seconds);
    });

  it("of a broken file is read in bounded time", () => {
    for (const bytes of [12, 40, 44]) assert.ok(lengthOf(wave(16_000, 1).subarray(0, bytes)).atMost >= 0);
    const looping = wave(16_000, 1);
    looping.write("LIST", 12, "latin1");
    looping.writeUInt32LE(0xff_ff_ff_ff, 16);
    assert.ok(lengthOf(looping).seconds > 0);
  });
});

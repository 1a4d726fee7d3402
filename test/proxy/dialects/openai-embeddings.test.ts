import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isRefusal } from "../../../proxy/dialects/canonical.ts";
import { embeddings } from "../../../proxy/dialects/openai-embeddings.ts";
import type { JsonObject } from "../../../proxy/wire/json.ts";
import fc from "../../harness/property.ts";
import { openai, usage } from "./sdk.ts";

const taken: Record<string, [unknown, number]> = {
  "a text": ["Hi", 1],
  "a list of texts": [["a", "b", "c"], 3],
  "a list of tokens": [[1, 2, 3], 1],
  "lists of tokens": [[[1, 2], [3]], 2],
};
const refused: Record<string, [JsonObject, string]> = {
  "no input": [{ model: "m" }, "input"],
  "an empty text": [{ model: "m", input: "" }, "input"],
  "an empty list": [{ model: "m", input: [] }, "input"],
  "texts and tokens mixed": [{ model: "m", input: ["a", [1]] }, "input"],
  "fractions as tokens": [{ model: "m", input: [1.5] }, "input"],
  "more than 2048 inputs": [{ model: "m", input: Array.from({ length: 2049 }, () => "a") }, "input"],
  "an unknown encoding": [{ model: "m", input: "a", encoding_format: "hex" }, "encoding_format"],
  "no dimensions": [{ model: "m", input: "a", dimensions: 0 }, "dimensions"],
};

describe("embeddings", () => {
  for (const [name, [input, size]] of Object.entries(taken)) {
    test(`takes ${name}`, () => {
      const body = { model: "m", input, extra: 1 };
      assert.equal(embeddings.decode(body), body);
      assert.equal(embeddings.batchSize(body), size);
    });
  }
  for (const [name, [body, param]] of Object.entries(refused)) {
    test(`refuses ${name}`, () => {
      const found = embeddings.decode(body);
      assert.ok(isRefusal(found));
      assert.equal(found.param, param);
    });
  }

  for (const encoding_format of ["base64", "float", undefined] as const) {
    test(`the official SDK reads the vectors when it asks for ${encoding_format ?? "nothing"}`, async () => {
      // Without encoding_format, the SDK itself asks for base64, decodes it and returns numbers.
      const request = { model: "alias", input: ["a", "b"], encoding_format: encoding_format ?? ("base64" as const) };
      const reply = embeddings.encodeReply(
        {
          model: "up",
          vectors: [
            [0.5, -1],
            [0.25, 2],
          ],
          usage,
        },
        { model: "alias", request },
      );
      const read = await openai(reply).embeddings.create({
        model: "alias",
        input: ["a", "b"],
        ...(encoding_format ? { encoding_format } : {}),
      });
      assert.deepEqual(
        read.data.map((one) => one.index),
        [0, 1],
      );
      if (encoding_format === "base64") assert.equal(read.data[0]?.embedding as unknown, "AAAAPwAAgL8=");
      else assert.deepEqual(Array.from(read.data[1]?.embedding ?? []), [0.25, 2]);
      assert.deepEqual(read.usage, { prompt_tokens: 20, total_tokens: 20 });
      assert.equal(embeddings.usageOf(reply)?.prompt, 20);
    });
  }

  test("never throws, whatever the JSON", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (input) => {
        const body = { model: "m", input };
        assert.equal(typeof embeddings.decode(body), "object");
        assert.ok(embeddings.batchSize(body) >= 1);
      }),
    );
  });
});

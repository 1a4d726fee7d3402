/** Messages for failed calls to the API server. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ApiException } from "@kubernetes/client-node";
import { inWords } from "../../operator/cluster/api.ts";

describe("a failed call to the API server", () => {
  const refused = (body: string): unknown => new ApiException(422, "Unknown API Status Code!", body, {});
  const rows: readonly [string, unknown, string][] = [
    [
      "is given in the server's words, as they were before its encoder escaped them",
      refused(
        String.raw`{"kind":"Status","message":"Budget \"b\" is invalid: spec.amount must be \u003c= 10\nand more","code":422}`,
      ),
      'Budget "b" is invalid: spec.amount must be <= 10\nand more',
    ],
    ["is its first line if it gave none", refused("<html>"), "HTTP-Code: 422"],
    [
      "is given in the connection's words where there was no answer",
      new Error("connect ECONNREFUSED"),
      "connect ECONNREFUSED",
    ],
  ];
  for (const [name, cause, words] of rows) it(name, () => assert.equal(inWords(cause), words));
});

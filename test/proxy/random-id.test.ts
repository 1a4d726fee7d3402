import assert from "node:assert/strict";
import { it } from "node:test";
import { randomId } from "../../proxy/random-id.ts";

it("an id has the form of a random UUID, and no two are alike", () => {
  const ids = Array.from({ length: 2_000 }, randomId);
  for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(new Set(ids).size, ids.length);
});

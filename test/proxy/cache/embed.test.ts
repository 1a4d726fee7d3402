/** The vector of a text, where something goes wrong that nobody foresaw. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { type EmbedRequest, type EmbedWith, embed } from "../../../proxy/pipeline/embed.ts";

it("A fault of the gateway's own makes no vector, and is logged under the call's id", async () => {
  const told: unknown[][] = [];
  const embedder = {
    entry: { account: { config: { id: "default/up", region: null } } },
    model: { name: "m", config: { upstream: "m" } },
  };
  // Of a caller of whom nothing is known no budget can be asked.
  const request = {
    text: "Hi",
    embedder,
    timeoutMs: 1_000,
    limited: false,
    record: { requestId: "r-1" },
    caller: {},
  } as unknown as EmbedRequest;
  const own = {
    nowMs: () => 0,
    deadlines: { nowMs: () => 0 },
    unexpected: (...words: unknown[]) => told.push(words),
  } as unknown as EmbedWith;
  assert.equal((await embed(request, own)).vector, "failed");
  assert.deepEqual(
    told.map(([cause, id]) => [cause instanceof TypeError, id]),
    [[true, "r-1"]],
  );
});

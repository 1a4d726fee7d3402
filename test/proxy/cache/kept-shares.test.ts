/** What is kept for callers besides answers: no namespace pushes out another's. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { batchOwner, noteBatchOwner, ownersPlace } from "../../../proxy/cache/batch-owners.ts";
import { itemsPlace, keepItems, resolveItems } from "../../../proxy/cache/kept-items.ts";
import { memoryStore } from "../../../proxy/cache/memory.ts";
import type { Shaped } from "../../../proxy/call/shaped.ts";

const names = (namespace: string) => ({ namespace, keyOf: (id: string) => `${namespace} ${id}` });
const item = (id: string, bytes = 0) => ({ id, type: "message", text: "x".repeat(bytes) });
const store = () => memoryStore(1_000_000, () => 0);

async function isKept(kept: ReturnType<typeof store>, namespace: string, id: string): Promise<boolean> {
  const json: Record<string, unknown> = { input: [{ type: "item_reference", id }] };
  await resolveItems({ received: { json }, edits: {}, opened: [] } as unknown as Shaped, kept, names(namespace));
  return (json["input"] as { type: string }[])[0]?.type === "message";
}

describe("what is kept for a namespace", () => {
  // As long as the gateway's own ids are.
  const id = `msg_${"0".repeat(32)}`;

  it("stays, however much another one keeps", async () => {
    const kept = store();
    keepItems(kept, [item(id)], names("modest"), 0);
    noteBatchOwner(kept, { namespace: "modest", key: "b" }, "mark", 0);
    for (let count = 0; count < 60; count++) keepItems(kept, [item(`${id}${count}`, 50_000)], names("greedy"), 0);
    for (let count = 0; count < 60_000; count++)
      noteBatchOwner(kept, { namespace: "greedy", key: `${count}` }, "mark", 0);
    assert.equal((await kept.get(`${itemsPlace} modest`, names("modest").keyOf(id)))?.body.includes("message"), true);
    assert.equal(await batchOwner(kept, { namespace: "modest", key: "b" }), "mark");
  });

  it("is not another's, and stays when policies change", async () => {
    const kept = store();
    keepItems(kept, [item(id)], names("a"), 0);
    kept.keep(new Set([itemsPlace, ownersPlace]));
    assert.ok(await kept.get(`${itemsPlace} a`, names("a").keyOf(id)));
    assert.equal(await isKept(kept, "b", id), false);
    kept.keep(new Set());
    assert.equal(await kept.get(`${itemsPlace} a`, names("a").keyOf(id)), null);
  });
});

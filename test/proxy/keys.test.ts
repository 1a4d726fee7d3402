/** Tens of thousands of keys, and rotation during calls. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { encode, keyedDigest, sha256Hex } from "../../proxy/config/encode.ts";
import { mintKey } from "../../proxy/config/key-form.ts";
import { type RenderedConfig, settings } from "../../proxy/config/schema.ts";
import { build } from "../../proxy/snapshot/build.ts";
import type { Snapshot } from "../../proxy/snapshot/snapshot.ts";
import { eventually, key, policy, provider, secret, startGateway } from "../harness/gateway.ts";
import { keyRecord } from "../harness/key-record.ts";
import { sluice } from "../harness/sluice.ts";
import { openai, startUpstream } from "../harness/upstream.ts";

const pepper = new Uint8Array(32).fill(5);
const clearOf = (at: number): string => `slc_many_${at}`;

function snapshotOf(count: number) {
  const keys = Array.from({ length: count }, (_, at) =>
    keyRecord(keyedDigest(pepper, clearOf(at)), `n/k${at}`, { user: `u${at}` }),
  );
  const config: RenderedConfig = {
    settings: settings.parse({ maxBodyBytes: 1024 }),
    providers: [],
    routes: [],
    budgets: [],
    keys,
  };
  return build(config, encode(config, sha256Hex(pepper)).manifest, { pepper, credentials: new Map() }, {});
}

/** Nanoseconds per look-up, in the fastest of several rounds. */
function lookUpNs(snapshot: Snapshot, clears: readonly string[]): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round++) {
    const began = process.hrtime.bigint();
    for (const clear of clears) snapshot.findKey(clear);
    best = Math.min(best, Number(process.hrtime.bigint() - began) / clears.length);
  }
  return best;
}

describe("50,000 keys", () => {
  it("are all found, and no other key is", (context) => {
    const [few, many] = [snapshotOf(10), snapshotOf(50_000)];
    for (const at of [0, 1, 25_000, 49_999]) assert.equal(many.findKey(clearOf(at))?.record.id, `n/k${at}`);
    assert.equal(many.findKey(clearOf(50_000)), null);
    const clears = Array.from({ length: 20_000 }, (_, at) => clearOf(at % 10));
    const spread = Array.from({ length: 20_000 }, (_, at) => clearOf((at * 7919) % 50_000));
    const wrong = Array.from({ length: 20_000 }, (_, at) => `slc_wrong_${at}`);
    const figures = {
      tenKeys: lookUpNs(few, clears),
      manyKeys: lookUpNs(many, spread),
      unknown: lookUpNs(many, wrong),
    };
    context.diagnostic(
      `ns a look-up: ${Object.entries(figures)
        .map(([name, ns]) => `${name} ${ns.toFixed(0)}`)
        .join(", ")}`,
    );
  });
});

describe("rotation during calls", () => {
  it("never refuses the new key or the previous key", async () => {
    const upstream = await startUpstream(async (request, response) => {
      await new Promise((resolve) => setImmediate(resolve));
      await openai(request, response);
    });
    const gateway = await startGateway([
      provider("up", upstream.url),
      secret("up-credentials", { apiKey: "sk" }),
      policy("all", { match: { models: ["gpt-4o"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
      ...key("alice", mintKey(new Uint8Array(32).fill(9))),
    ]);
    const current = async (): Promise<string> =>
      /apiKey: (slc_\S+)/.exec(await readFile(join(gateway.folder, "manifests.yaml"), "utf8"))?.[1] ?? "";
    const call = async (clear: string): Promise<number> => {
      const response = await fetch(`${gateway.url}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
        body: JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: "Hi" }] }),
      });
      await response.arrayBuffer();
      return response.status;
    };
    try {
      let [before, now] = ["", await current()];
      let done = false;
      const statuses = new Map<number, number>();
      const caller = async (pick: () => string): Promise<void> => {
        while (!done) {
          const status = await call(pick());
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
        }
      };
      const callers = Array.from({ length: 8 }, (_, at) =>
        caller(() => (at % 2 === 0 || before === "" ? now : before)),
      );
      const first = now;
      for (let turn = 0; turn < 10; turn++) {
        // Only the previous key is kept: nobody uses an older key any more.
        before = now;
        const done = await sluice("keys", "rotate", "--user", "alice@example.com", "--folder", gateway.folder);
        assert.equal(done.code, 0, done.stderr);
        const next = await current();
        assert.notEqual(next, now);
        await eventually(async () => (await call(next)) === 200);
        [before, now] = [now, next];
      }
      done = true;
      await Promise.all(callers);
      assert.deepEqual([...statuses.keys()], [200], JSON.stringify([...statuses]));
      assert.equal(await call(first), 401, "a key from before the grace is refused");
    } finally {
      await gateway.close();
      await upstream.close();
    }
  });
});

/** Secrets for many new keys are made in slices, in which namespaces take turns, so that publishing need not wait. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ApiException } from "@kubernetes/client-node";
import type { Cluster } from "../../operator/cluster/api.ts";
import { KeyTender } from "../../operator/cluster/key-tender.ts";
import type { SecretReader } from "../../operator/cluster/secrets.ts";
import { inTurns } from "../../operator/cluster/turns.ts";
import type { WorldObject } from "../../operator/compile/world.ts";
import fc from "../harness/property.ts";

const keyIn = (namespace: string, name: string): WorldObject =>
  ({
    kind: "ApiKey",
    meta: { namespace, name, uid: `${namespace}-${name}`, generation: 1, labels: {}, annotations: {}, createdMs: 1 },
    spec: { user: "u@example.com", writeTo: { name } },
    status: {},
  }) as unknown as WorldObject;

describe("turns", () => {
  it("serve every item once, and no namespace twice before another that waits", () => {
    const items = fc.array(fc.record({ namespace: fc.constantFrom("a", "b", "c", "d"), id: fc.nat() }));
    fc.assert(
      fc.property(items, fc.nat(1_000), (given, start) => {
        const order = inTurns(given, ({ namespace }) => namespace, start);
        assert.deepEqual(new Set(order), new Set(given));
        assert.equal(order.length, given.length);
        const left = new Map<string, number>();
        for (const { namespace } of given) left.set(namespace, (left.get(namespace) ?? 0) + 1);
        const served = new Map([...left.keys()].map((name) => [name, 0]));
        for (const { namespace } of order) {
          const now = served.get(namespace) ?? 0;
          for (const [other, count] of served) if ((left.get(other) ?? 0) > 0) assert.ok(now <= count);
          served.set(namespace, now + 1);
          left.set(namespace, (left.get(namespace) ?? 0) - 1);
        }
      }),
    );
  });
});

describe("Secrets of many new keys", () => {
  function tender(refuses: string) {
    const made: string[] = [];
    const core = {
      readNamespacedSecret: async () => {
        throw new ApiException(404, "not found", "", {});
      },
      createNamespacedSecret: async ({
        namespace,
        body,
      }: {
        namespace: string;
        body: { metadata: { name: string } };
      }) => {
        if (namespace === refuses) throw new ApiException(403, "quota", "", {});
        made.push(`${namespace}/${body.metadata.name}`);
        return body;
      },
    };
    const secrets = { rights: {}, invalidate: () => undefined } as unknown as SecretReader;
    const cluster = {
      core,
      apply: async (object: { metadata: { namespace: string; name: string } }) => {
        await core.createNamespacedSecret({ namespace: object.metadata.namespace, body: object });
      },
    } as unknown as Cluster;
    // No time at all: each slice is as small as it can be.
    return { made, tender: new KeyTender(cluster, secrets, "", () => undefined, 0) };
  }

  it("are made in slices, and those that fail hold up nobody", async () => {
    const bulk = Array.from({ length: 300 }, (_, at) => keyIn("bulk", `key-${at}`));
    const refused = Array.from({ length: 100 }, (_, at) => keyIn("refuses", `key-${at}`));
    const objects = [...refused, ...bulk, keyIn("single", "key")];
    const { made, tender: keys } = tender("refuses");
    const values = new Map<string, Record<string, string>>();
    const first = await keys.tend(objects, values, 1);
    assert.equal(first.changed, true);
    assert.ok(first.waiting.size > 380, String(first.waiting.size));
    assert.ok(made.includes("single/key"), made.join());
    for (let slice = 0; slice < 200 && made.length < 301; slice++) {
      for (const ref of made) values.set(ref, { apiKey: "slc_made" });
      await keys.tend(objects, new Map(values), 1);
    }
    assert.equal(new Set(made).size, 301);
  });
});

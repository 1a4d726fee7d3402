/** What somebody changes in the published ConfigMaps is put right, at few requests while nobody does. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ApiException } from "@kubernetes/client-node";
import type { Cluster } from "../../operator/cluster/api.ts";
import { Publisher } from "../../operator/cluster/publish.ts";
import { compile } from "../../operator/compile/compile.ts";
import type { SecretFact, WorldObject } from "../../operator/compile/world.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";
import { encode, keyedDigest, sha256Hex } from "../../proxy/config/encode.ts";
import { benchObject } from "../bench/servers.ts";

const pepper = Buffer.alloc(32, 9);

interface Stored {
  kind: string;
  metadata: { name: string };
  data?: Record<string, string>;
}

/** An API server of a few verbs. `reads`: names of ConfigMaps that were read. */
function fakeCluster() {
  const stored = new Map<string, Stored>();
  const reads: string[] = [];
  const read = (kind: string, name: string): Stored => {
    const found = stored.get(`${kind}/${name}`);
    if (found === undefined) throw new ApiException(404, "not found", "", {});
    return structuredClone(found);
  };
  const core = {
    readNamespacedConfigMap: async ({ name }: { name: string }) => {
      reads.push(name);
      return read("ConfigMap", name);
    },
    readNamespacedSecret: async ({ name }: { name: string }) => read("Secret", name),
  };
  const cluster = {
    core,
    apply: async (object: Stored) => void stored.set(`${object.kind}/${object.metadata.name}`, structuredClone(object)),
  } as unknown as Cluster;
  return { cluster, stored, reads };
}

function rendered() {
  const facts: Record<string, Record<string, SecretFact>> = {};
  const objects = Array.from({ length: 60 }, (_, at): WorldObject => {
    facts[`bench/key-${at}`] = {
      apiKey: { digest: keyedDigest(pepper, `clear-key-of-some-length-${at}`), displayPrefix: "" },
    };
    return benchObject("ApiKey", `key-${at}`, { user: `user-${at}@example.com`, writeTo: { name: `key-${at}` } });
  });
  const settings = { proxy: { maxBodyBytes: 10_485_760 }, sharingNamespaces: [] };
  const { config } = compile(
    { world: { objects, namespaces: { bench: {} }, secrets: facts }, settings, previous: null, nowMs: 1 },
    capabilitiesByType,
  );
  return { config, published: encode(config, sha256Hex(pepper)) };
}

describe("what is published", () => {
  it("is read in turn, and put right whichever ConfigMap was changed or deleted", async () => {
    const { cluster, stored, reads } = fakeCluster();
    const publisher = new Publisher(cluster, "system", "sluice", () => true);
    const { config, published } = rendered();
    await publisher.read(true);
    const first = await publisher.publish(config, published, new Map());
    assert.equal(first.failure, null);
    const names = [...stored.keys()].filter((name) => name.startsWith("ConfigMap/"));
    assert.ok(names.length > 12, String(names.length));

    reads.length = 0;
    for (let resync = 0; resync < 4; resync++) await publisher.read(false);
    assert.deepEqual(reads.toSorted(), names.map((name) => name.replace("ConfigMap/", "")).toSorted());

    const right = structuredClone(stored);
    for (const [at, name] of names.entries()) {
      if (at % 2 === 0) stored.delete(name);
      else stored.set(name, { ...(stored.get(name) as Stored), data: { edited: "by hand" } });
      for (let resync = 0; resync < 4; resync++) {
        await publisher.read(false);
        await publisher.publish(config, published, new Map());
      }
      assert.deepEqual(stored.get(name)?.data, right.get(name)?.data, name);
    }
  });

  it("is read whole by a process that becomes leader again", async () => {
    const { cluster, stored, reads } = fakeCluster();
    const publisher = new Publisher(cluster, "system", "sluice", () => true);
    const { config, published } = rendered();
    await publisher.read(true);
    await publisher.publish(config, published, new Map());
    reads.length = 0;
    await publisher.read(true);
    assert.equal(reads.length, [...stored.keys()].filter((name) => name.startsWith("ConfigMap/")).length);
  });
});

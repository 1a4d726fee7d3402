/** Fleet state in memory and in every form of Redis that a URL can name and in Valkey, each a real server. */

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { MemoryStore } from "../../../proxy/fleet/memory.ts";
import { RedisStore } from "../../../proxy/fleet/redis.ts";
import type { FleetStore } from "../../../proxy/fleet/store.ts";
import { certificateAuthority } from "../../harness/certificates.ts";
import { removeFolder, temporaryFolder } from "../../harness/child.ts";
import { eventually } from "../../harness/gateway.ts";
import { startRedis, startRedisCluster, startSentinel } from "../../harness/redis.ts";
import { ensureValkey } from "../../harness/valkey.ts";
import { storeSuite } from "./store-suite.ts";

const dir = await temporaryFolder("store");
after(() => removeFolder(dir));

async function opened(url: string, password: string | null = null, ca: string | null = null): Promise<RedisStore> {
  const store = RedisStore.open(url, password, ca);
  await eventually(() => store.heartbeat("probe").catch(() => null), 60_000);
  return store;
}

storeSuite("memory", () => Promise.resolve(new MemoryStore(Date.now)));

storeSuite("one Redis with a password", async () => {
  const redis = await startRedis({ password: "s3cret" });
  after(() => redis.stop());
  return opened(redis.url);
});

storeSuite("one Valkey with a password", async () => {
  const valkey = await startRedis({ password: "s3cret", server: await ensureValkey() });
  after(() => valkey.stop());
  return opened(valkey.url);
});

storeSuite("one Redis with TLS, a private authority and a password", async () => {
  const authority = await certificateAuthority();
  const { cert, key } = await authority.issue("127.0.0.1", "localhost");
  const ca = join(dir, "ca.crt");
  await writeFile(ca, authority.cert);
  const redis = await startRedis({ password: "s3cret", tls: { cert, key, ca: authority.cert } });
  after(() => redis.stop());
  return opened(redis.url.replace(/default:[^@]*@/, ""), "s3cret", ca);
});

storeSuite("a Redis cluster of three", async () => {
  const cluster = await startRedisCluster();
  after(() => cluster.stop());
  return opened(cluster.url);
});

describe("a Redis that Sentinel looks after", async () => {
  const group = await startSentinel();
  after(() => group.stop());
  storeSuite("the master that Sentinel names", () => opened(group.url));

  it("goes on at the replica when the master is gone, and a ledger batch counts once", async () => {
    const store: FleetStore = await opened(group.url);
    after(() => store.close());
    await group.killMaster();
    await eventually(() => Promise.resolve(store.heartbeat("probe")).catch(() => null), 90_000);
    const lease = {
      kind: "period",
      key: "b|ns/failover|0|",
      limit: 1_000,
      seed: 0,
      expiresAtMs: null,
      life: 0,
      epoch: "",
      seq: 1,
    } as const;
    const sums = {
      granted: 0,
      returned: 0,
      spent: 0,
      confirmed: 0,
      seenShares: "",
      seenVersion: 0,
      seenUsed: 0,
      seenSpent: 0,
      need: 400,
      least: 400,
      want: 0,
      debt: 0,
    };
    const [reply] = await store.sync("a", [{ ...lease, ...sums }]);
    assert.equal(reply?.kind === "lease" ? reply.granted : 0, 400);
  });
});

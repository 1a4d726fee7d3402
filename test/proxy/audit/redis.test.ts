/** Audit records in a real Redis: deleted for their age, written again after a lost answer, and followed by the next process. */
import assert from "node:assert/strict";
import { type AddressInfo, createServer, connect as dial, type Server, type Socket } from "node:net";
import { after, describe, it } from "node:test";
import { AuditLog } from "../../../proxy/audit/audit.ts";
import { Chain } from "../../../proxy/audit/chain.ts";
import { auditStream, openRedisSink } from "../../../proxy/audit/redis.ts";
import { type Client, connectRedis } from "../../../proxy/fleet/redis-client.ts";
import { eventually } from "../../harness/gateway.ts";
import { startRedis } from "../../harness/redis.ts";
import { sluice } from "../../harness/sluice.ts";
import { aCall, timers } from "./kit.ts";

const redis = await startRedis();
after(() => redis.stop());
const client: Client = connectRedis(redis.url, null, null);
after(() => client.disconnect());
await eventually(() => Promise.resolve(client.status === "ready"));

const dayMs = 86_400_000;
const verify = () => sluice("audit", "verify", "--redis", redis.url);
const clock = { ms: Date.parse("2027-03-01T00:00:00Z") };
const nowMs = () => clock.ms;
const parts = () => ({ ...timers(), nowMs });
let chains = 0;
const open = (url = redis.url, retentionDays = 30) => {
  const id = `chain-${++chains}`;
  return AuditLog.open(new Chain(id, null), [openRedisSink(url, null, null, id, retentionDays, nowMs)], parts());
};
const inStream = async () =>
  (await client.xrange(auditStream, "-", "+")).map(
    ([, fields]) => JSON.parse(fields[1] ?? "") as Record<string, unknown>,
  );
async function fill(log: AuditLog, days: number): Promise<void> {
  for (let day = 0; day < days; day++) {
    for (let at = 0; at < 3; at++) log.write("call", aCall());
    assert.equal(await log.durable(20_000), true);
    clock.ms += dayMs;
  }
}

/** Lets all through to Redis; `lose` cuts the connection once a command was carried out, before its answer. */
async function lossy(): Promise<{ url: string; lose(): void; lost: number; server: Server }> {
  const made = { url: "", armed: false, lost: 0, lose: () => void (made.armed = true) };
  const server = createServer((near: Socket) => {
    const far = dial(redis.port, "127.0.0.1");
    let cut = false;
    near.on("data", (data: Buffer) => {
      if (made.armed && data.includes("XADD")) {
        cut = true;
        made.armed = false;
      }
      far.write(data);
    });
    far.on("data", (data: Buffer) => {
      if (!cut) return void near.write(data);
      made.lost++;
      near.destroy();
    });
    near.on("error", () => undefined).on("close", () => far.destroy());
    far.on("error", () => undefined).on("close", () => near.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => server.close());
  made.url = `redis://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return Object.assign(made, { server });
}

describe("an audit stream in Redis", () => {
  it("loses what is too old, which the chain tells; what somebody else removed, it does not", async () => {
    await client.flushall();
    const first = await open();
    await fill(first, 20);
    await first.close();
    const second = await open();
    await fill(second, 20);
    const third = await open();
    await third.close();
    const left = await inStream();
    assert.deepEqual([left[0]?.["chain"], left[0]?.["type"]], [`chain-${chains - 2}`, "call"]);
    assert.ok(left.length > 70 && left.length < 110, String(left.length));
    const retired = left.filter(({ type }) => type === "retired");
    assert.deepEqual(
      retired.map((one) => [one["chain"], one["in"]]),
      [[`chain-${chains}`, "redis"]],
    );
    const verified = await verify();
    assert.equal(verified.code, 0, verified.stdout);
    assert.match(verified.stdout, /kept as long as retention requires/);

    // The first chain goes as a whole; the second one, which follows it, vouches for its end.
    clock.ms += 15 * dayMs;
    const fourth = await open();
    await fourth.close();
    assert.ok(!(await inStream()).some(({ chain }) => chain === `chain-${chains - 3}`));
    const whole = await verify();
    assert.equal(whole.code, 0, whole.stdout);

    const [oldest = ["", []]] = await client.xrange(auditStream, "-", "+", "COUNT", 1);
    await client.xdel(auditStream, oldest[0]);
    const removed = await verify();
    assert.equal(removed.code, 1);
    assert.match(removed.stdout, /begins with record \d+, and no record says/);
    await second.close();
  });

  it("knows in the next process how the last one ended, also where it was killed", async () => {
    await client.flushall();
    const killed = await open();
    await fill(killed, 1);
    const before = (await inStream()).at(-1);
    const next = await open();
    await next.close();
    const opened = (await inStream()).filter(({ type }) => type === "opened").at(-1);
    assert.deepEqual(opened?.["follows"], [
      { in: "redis", chain: before?.["chain"], seq: before?.["seq"], hash: before?.["hash"] },
    ]);
    assert.equal((await verify()).code, 0);
    const cut = (await client.xrange(auditStream, "-", "+")).find(
      ([, fields]) =>
        fields[1]?.includes(String(before?.["hash"]).slice(0, 64)) && fields[1].includes(`"seq":${before?.["seq"]},`),
    );
    await client.xdel(auditStream, cut?.[0] ?? "");
    const verified = await verify();
    assert.equal(verified.code, 1);
    assert.match(verified.stdout, /its end is missing/);
    await killed.close();
  });

  it("has a batch once whose answer was lost", async () => {
    await client.flushall();
    const way = await lossy();
    const log = await open(way.url);
    await fill(log, 1);
    for (let round = 1; round <= 3; round++) {
      way.lose();
      log.write("call", aCall());
      log.write("call", aCall());
      await eventually(() => Promise.resolve(way.lost >= round));
      await eventually(async () => await log.durable(100));
    }
    await log.close();
    const numbers = (await inStream()).map(({ seq }) => seq);
    assert.deepEqual(
      numbers,
      Array.from({ length: 11 }, (_, at) => at),
    );
    const verified = await verify();
    assert.equal(verified.code, 0);
    assert.match(verified.stdout, /^11 records in 1 chain: nothing was changed\n$/);
  });

  it("says of a record that somebody copied that it is there once more, and of a changed one that it is wrong", async () => {
    await client.flushall();
    const log = await open();
    await fill(log, 2);
    await log.close();
    const lines = (await client.xrange(auditStream, "-", "+")).map(([, fields]) => fields[1] ?? "");
    await client.xadd(auditStream, "*", "r", lines[2] ?? "");
    const copied = await verify();
    assert.equal(copied.code, 0, copied.stdout);
    assert.match(
      copied.stdout,
      /note {3}sluice:\{audit\} 9: of chain \S+, 1 record is here once more, unchanged, from this one on/,
    );
    await client.xadd(auditStream, "*", "r", (lines[2] ?? "").replace('"status":200', '"status":403'));
    assert.equal((await verify()).code, 1);
  });

  it("takes a batch larger than one command, and starts where the store is away", async () => {
    await client.flushall();
    const log = await open();
    for (let at = 0; at < 3_000; at++) log.write("call", { ...aCall(), user: "x".repeat(1_000) });
    assert.equal(await log.durable(10_000), true);
    await log.close();
    const verified = await verify();
    assert.match(verified.stdout, /^3002 records in 1 chain: nothing was changed\n$/);
    const nowhere = await open("redis://127.0.0.1:1");
    assert.equal(await nowhere.durable(50), false);
    await nowhere.close(50);
  });
});

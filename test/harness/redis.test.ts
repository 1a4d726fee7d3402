import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { it } from "node:test";
import { run } from "./command.ts";
import { ensureRedis, startRedis } from "./redis.ts";
import { skipReason } from "./tools.ts";

const skip = await skipReason(ensureRedis);

const asks = async (url: string, ...words: string[]) => {
  const cli = (await ensureRedis()).replace(/-server$/, "-cli");
  const { stdout, stderr } = await run(cli, ["--no-auth-warning", "-u", url, ...words]);
  return (stdout + stderr).trim();
};

it("Redis answers, forgets everything in a crash, and comes back on its port", { skip }, async () => {
  const redis = await startRedis();
  assert.equal(await asks(redis.url, "SET", "spent", "1"), "OK");
  await redis.kill();
  assert.match(await asks(redis.url, "PING"), /Connection refused/);
  await redis.startAgain();
  assert.equal(await asks(redis.url, "EXISTS", "spent"), "0");
  await redis.stop();
});

it("Redis with a password refuses who doesn't have it", { skip }, async () => {
  const redis = await startRedis({ password: 'p"ss/w@rd' });
  assert.equal(await asks(redis.url, "PING"), "PONG");
  assert.match(await asks(`redis://127.0.0.1:${redis.port}`, "PING"), /NOAUTH/);
  await redis.stop();
});

it("a Redis that can't start says why, and leaves nothing", { skip }, async () => {
  const taken = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
  await once(taken, "listening");
  const { port } = taken.address() as AddressInfo;
  await assert.rejects(startRedis({ port }), (error: Error) => {
    assert.match(error.message, /redis ended while it was starting.*Address already in use/s);
    assert.equal(existsSync(/last lines of (.*)\/redis\.log/.exec(error.message)?.[1] ?? "/"), false);
    return true;
  });
  taken.close();
});

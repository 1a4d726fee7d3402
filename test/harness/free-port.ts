/** Loopback ports for servers that are stopped and started again on the same one. */
import { once } from "node:events";
import { createServer } from "node:net";

const lowest = 15_000;
const highest = 32_000;
/** Each process looks among this many ports first, which hardly another one that runs at the same time looks among. */
const perProcess = 100;
const ownFrom = lowest + (process.pid % Math.floor((highest - lowest) / perProcess)) * perProcess;

const given = new Set<number>();

const between = (from: number, to: number): number => from + Math.floor(Math.random() * (to - from));

/**
 * One that this process was not given before. Not `listen(0)`: that gives a port of the range which the kernel also
 * hands to outgoing connections, so that any client may be sitting on it by the time a stopped server wants it back.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = attempt < 50 ? between(ownFrom, ownFrom + perProcess) : between(lowest, highest);
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port between ${lowest} and ${highest}`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch {
    return false;
  }
  server.close();
  await once(server, "close");
  return true;
}

/** Loopback ports for servers that are stopped and started again on the same one. */
import { once } from "node:events";
import { createServer } from "node:net";

const lowest = 15_000;
const highest = 32_000;

/**
 * Not `listen(0)`: that gives a port of the range which the kernel also hands to outgoing connections, so that any
 * client may be sitting on it by the time a stopped server wants it back.
 */
export async function freePort(random: () => number = Math.random): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = lowest + Math.floor(random() * (highest - lowest));
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

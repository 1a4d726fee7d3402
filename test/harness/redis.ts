/** A real Redis, or Valkey where that is what the machine has, on a port of its own. Data are in memory only. */
import { writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { type Child, removeFolder, startChild, temporaryFolder } from "./child.ts";
import { findBinary } from "./command.ts";
import { freePort } from "./free-port.ts";
import { ensureDebian } from "./tools.ts";
import { untilReady } from "./until-ready.ts";

export interface RedisOptions {
  password?: string;
  port?: number;
}

export interface Redis {
  readonly url: string;
  readonly port: number;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
  /** A crash: connections break, and all it held is lost. */
  kill(): Promise<void>;
  /** After `kill`: empty, on the same port. */
  startAgain(): Promise<void>;
}

const readyWithinMs = 15_000;

/** Throws MissingTool where there is none and none can be installed. */
export async function ensureRedis(): Promise<string> {
  return (await findBinary("redis-server")) ?? (await findBinary("valkey-server")) ?? (await ensureDebian("redis-server", "redis-server"));
}

export async function startRedis(options: RedisOptions = {}): Promise<Redis> {
  const binary = await ensureRedis();
  const dir = await temporaryFolder("redis");
  const port = options.port ?? (await freePort());
  const settings = join(dir, "redis.conf");
  await writeFile(settings, configuration(dir, port, options.password), { mode: 0o600 });
  const launch = async (): Promise<Child> => {
    const child = await startChild(binary, [settings], { name: "redis", logFile: join(dir, "redis.log") });
    await untilReady(child, () => answersPing(port, options.password), readyWithinMs);
    return child;
  };
  let child = await launch().catch((error: unknown) => {
    removeFolder(dir);
    throw error;
  });
  return {
    // With the user named: redis-cli takes an empty one at its word, and is refused.
    url: `redis://${options.password ? `default:${encodeURIComponent(options.password)}@` : ""}127.0.0.1:${port}`,
    port,
    stop: async () => {
      await child.end("SIGTERM");
      removeFolder(dir);
    },
    kill: () => child.end("SIGKILL"),
    startAgain: async () => {
      if (!child.running()) child = await launch();
    },
  };
}

function configuration(dir: string, port: number, password: string | undefined): string {
  const lines = ["bind 127.0.0.1", `port ${port}`, `dir ${dir}`, 'save ""', "appendonly no"];
  if (password) lines.push(`requirepass "${password.replaceAll(/["\\]/g, "\\$&")}"`);
  return `${lines.join("\n")}\n`;
}

function answersPing(port: number, password: string | undefined): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const socket = connect(port, "127.0.0.1");
  let answer = "";
  socket.setEncoding("utf8").setTimeout(2_000, () => socket.destroy(new Error("no answer to PING")));
  socket.on("error", reject);
  socket.on("close", () => resolve(answer.includes("+PONG")));
  socket.on("data", (text: string) => {
    answer += text;
    if (/\+PONG|-/.test(answer)) socket.destroy();
  });
  socket.write(`${password ? command("AUTH", password) : ""}${command("PING")}`);
  return promise;
}

function command(...words: string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`;
}

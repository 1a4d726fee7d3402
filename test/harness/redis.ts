/** A real Redis, or Valkey where that is what the machine has, on a port of its own. Data are in memory only. */
import { writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { type Child, removeFolder, startChild, temporaryFolder } from "./child.ts";
import { findBinary, run } from "./command.ts";
import { freePort } from "./free-port.ts";
import { ensureDebian } from "./tools.ts";
import { untilReady } from "./until-ready.ts";

export interface RedisOptions {
  password?: string;
  port?: number;
  /** Path of the server, Redis or Valkey. Default: Redis. */
  server?: string;
  /** PEM; then it speaks nothing else. */
  tls?: { cert: string; key: string; ca: string };
  /** Further lines of its configuration. */
  lines?: readonly string[];
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

const readyWithinMs = 60_000;

/** Throws MissingTool where there is none and none can be installed. */
export async function ensureRedis(): Promise<string> {
  return (
    (await findBinary("redis-server")) ??
    (await findBinary("valkey-server")) ??
    (await ensureDebian("redis-server", "redis-server"))
  );
}

export async function startRedis(options: RedisOptions = {}): Promise<Redis> {
  const binary = options.server ?? (await ensureRedis());
  const dir = await temporaryFolder("redis");
  const port = options.port ?? (await freePort());
  const settings = join(dir, "redis.conf");
  for (const [name, text] of Object.entries(options.tls ?? {}))
    await writeFile(join(dir, `${name}.pem`), text, { mode: 0o600 });
  await writeFile(settings, configuration(dir, port, options), { mode: 0o600 });
  const launch = async (): Promise<Child> => {
    const child = await startChild(binary, [settings], { name: "redis", logFile: join(dir, "redis.log") });
    await untilReady(child, () => answersPing(port, options.password, options.tls?.ca), readyWithinMs);
    return child;
  };
  // In its first two seconds it grants no money: somebody might know of more than it does.
  const grown = async (child: Child): Promise<Child> => {
    await new Promise((resolve) => setTimeout(resolve, 2_100));
    return child;
  };
  let child = await launch()
    .then(grown)
    .catch((error: unknown) => {
      removeFolder(dir);
      throw error;
    });
  return {
    // With the user named: redis-cli takes an empty one at its word, and is refused.
    url: `${options.tls ? "rediss" : "redis"}://${options.password ? `default:${encodeURIComponent(options.password)}@` : ""}127.0.0.1:${port}`,
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

function configuration(dir: string, port: number, { password, tls, lines: more = [] }: RedisOptions): string {
  const ports = tls
    ? [
        `tls-port ${port}`,
        "port 0",
        `tls-cert-file ${dir}/cert.pem`,
        `tls-key-file ${dir}/key.pem`,
        `tls-ca-cert-file ${dir}/ca.pem`,
        "tls-auth-clients no",
      ]
    : [`port ${port}`];
  const lines = ["bind 127.0.0.1", ...ports, `dir ${dir}`, 'save ""', "appendonly no", ...more];
  if (password) lines.push(`requirepass "${password.replaceAll(/["\\]/g, "\\$&")}"`);
  return `${lines.join("\n")}\n`;
}

export interface RedisGroup {
  readonly url: string;
  stop(): Promise<void>;
}

/** Three masters that share the slots. `more`: further lines of their configuration. */
export async function startRedisCluster(more: readonly string[] = []): Promise<RedisGroup> {
  // The port for the cluster's own talk is 10,000 higher by default.
  const ports = await Promise.all([0, 1, 2].map(() => freePort()));
  const nodes = await Promise.all(
    ports.map(async (port) =>
      startRedis({
        port,
        lines: ["cluster-enabled yes", `cluster-port ${await freePort()}`, "cluster-node-timeout 2000", ...more],
      }),
    ),
  );
  const cli = (await findBinary("redis-cli")) ?? (await findBinary("valkey-cli")) ?? "redis-cli";
  const hosts = ports.map((port) => `127.0.0.1:${port}`);
  const made = await run(cli, ["--cluster", "create", ...hosts, "--cluster-yes"]);
  if (made.code !== 0) throw new Error(`no cluster: ${made.stdout}${made.stderr}`);
  return {
    url: `redis+cluster://${hosts.join(",")}`,
    stop: async () => void (await Promise.all(nodes.map((node) => node.stop()))),
  };
}

/** A master, its replica, and a Sentinel that puts the one in the other's place. */
export async function startSentinel(): Promise<RedisGroup & { killMaster(): Promise<void> }> {
  const master = await startRedis();
  const replica = await startRedis({ lines: [`replicaof 127.0.0.1 ${master.port}`] });
  const dir = await temporaryFolder("sentinel");
  const port = await freePort();
  const settings = join(dir, "sentinel.conf");
  const lines = [`port ${port}`, `dir ${dir}`, "bind 127.0.0.1", `sentinel monitor main 127.0.0.1 ${master.port} 1`];
  const times = ["sentinel down-after-milliseconds main 1000", "sentinel failover-timeout main 5000"];
  await writeFile(settings, `${[...lines, ...times].join("\n")}\n`);
  const sentinel = await startChild(await ensureRedis(), [settings, "--sentinel"], {
    name: "sentinel",
    logFile: join(dir, "sentinel.log"),
  });
  await untilReady(sentinel, () => answersPing(port, undefined), readyWithinMs);
  await untilReady(sentinel, async () => sentinel.tail().includes("+slave slave"), readyWithinMs);
  return {
    url: `redis+sentinel://127.0.0.1:${port}/main`,
    killMaster: () => master.kill(),
    stop: async () => {
      await Promise.all([sentinel.end(), master.stop(), replica.stop()]);
      removeFolder(dir);
    },
  };
}

function answersPing(port: number, password: string | undefined, ca?: string): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const socket = ca === undefined ? connect(port, "127.0.0.1") : connectTls({ port, host: "127.0.0.1", ca });
  let answer = "";
  socket.setEncoding("utf8").setTimeout(10_000, () => socket.destroy(new Error("no answer to PING")));
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

/**
 * Connects to Redis or Valkey from one URL:
 *
 *   redis://[user@]host[:6379][/db]          one server; rediss:// with TLS
 *   redis+sentinel://host:26379,host:26379/name[/db]     the master that Sentinels name; rediss+sentinel://
 *   redis+cluster://host:6379,host:6379      a cluster; rediss+cluster://
 *
 * The password is passed separately, so that the URL can be an argument or in a ConfigMap.
 */
import { readFileSync } from "node:fs";
import { Cluster, Redis, type RedisOptions } from "ioredis";
import { readAuthorities } from "../wire/authorities.ts";

export type Client = Redis | Cluster;
/** Options without those that change reply types. */
type Options = Omit<RedisOptions, "replyMapping" | "himportFieldsets" | "host" | "port">;

export interface StoreAddress {
  form: "single" | "sentinel" | "cluster";
  tls: boolean;
  hosts: { host: string; port: number }[];
  username: string | null;
  password: string | null;
  /** The master's name for Sentinel; otherwise "". */
  master: string;
  db: number;
}

const shape = /^(redis|rediss)(\+sentinel|\+cluster)?:\/\/(?:([^@/]*)@)?([^/@?#]+)(?:\/([^?#]*))?$/;

const bad = (why: string): Error =>
  new Error(
    `store URL: ${why}; write redis://host:6379, rediss://host:6379, redis+sentinel://host:26379,host:26379/name or redis+cluster://host:6379,host:6379`,
  );

function hostOf(text: string, usual: number): { host: string; port: number } {
  const parts = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?$/.exec(text);
  const port = Number(parts?.[2] ?? usual);
  if (!parts?.[1] || port < 1 || port > 65_535) throw bad(`${text.slice(0, 64)} is not a host with a port`);
  return { host: parts[1].replace(/^\[|\]$/g, ""), port };
}

/** Throws an Error whose message is written for the person who set the URL. */
export function parseStateUrl(url: string): StoreAddress {
  const parts = shape.exec(url);
  if (parts === null) throw bad("not understood");
  const [, scheme, kind, user = "", hosts = "", path = ""] = parts;
  const form = kind === "+sentinel" ? "sentinel" : kind === "+cluster" ? "cluster" : "single";
  const listed = hosts.split(",").map((host) => hostOf(host, form === "sentinel" ? 26_379 : 6_379));
  if (form === "single" && listed.length > 1) throw bad("several hosts need redis+sentinel:// or redis+cluster://");
  const { master, db } = placeOf(path, form);
  const [name, ...secret] = user.split(":");
  return {
    form,
    tls: scheme === "rediss",
    hosts: listed,
    username: name ? decodeURIComponent(name) : null,
    password: secret.length > 0 ? decodeURIComponent(secret.join(":")) : null,
    master,
    db,
  };
}

/** Parses the path after the hosts: the master's name for Sentinel, and a database number. */
function placeOf(path: string, form: StoreAddress["form"]): Pick<StoreAddress, "master" | "db"> {
  const words = path.split("/").filter((word) => word !== "");
  const master = form === "sentinel" ? (words.shift() ?? "") : "";
  if (form === "sentinel" && master === "") throw bad("Sentinel needs the master's name after the hosts");
  const db = words.shift() ?? "0";
  if (!/^\d{1,4}$/.test(db) || words.length > 0 || (form === "cluster" && db !== "0"))
    throw bad(`${path.slice(0, 64)} is not a database number`);
  return { master, db: Number(db) };
}

/** PEM files for TLS connections to a store. */
export interface StoreTls {
  /** CA certificates to trust; "" for the system's. */
  ca: string;
  /** The proxy's client certificate and its key; "" for none. */
  cert: string;
  key: string;
}

const readPair = (file: string): string => {
  const text = readFileSync(file, "utf8");
  if (text.includes("-----BEGIN ")) return text;
  throw new Error(`${file} contains no PEM data`);
};

/**
 * Reads the TLS files again for each connection, so that renewed certificates take effect without a restart. If a file
 * can't be read, the problem is reported and its last good content stays in use. The constructor throws instead.
 */
class StoreTlsFiles {
  readonly #files: StoreTls;
  readonly #failed: (cause: unknown) => void;
  readonly #last = new Map<keyof StoreTls, string>();

  constructor(files: StoreTls, failed: (cause: unknown) => void) {
    this.#files = files;
    this.#failed = failed;
    for (const name of ["ca", "cert", "key"] as const) if (files[name] !== "") this.#last.set(name, this.#read(name));
  }

  #read(name: keyof StoreTls): string {
    return name === "ca" ? readAuthorities(this.#files.ca) : readPair(this.#files[name]);
  }

  latest(name: keyof StoreTls): string {
    try {
      this.#last.set(name, this.#read(name));
    } catch (cause) {
      this.#failed(cause);
    }
    return this.#last.get(name) ?? "";
  }

  /** Returns options for node:tls whose members are read again by each connection. */
  options(): NonNullable<Options["tls"]> {
    const options: NonNullable<Options["tls"]> = {};
    for (const name of ["ca", "cert", "key"] as const)
      if (this.#files[name] !== "")
        Object.defineProperty(options, name, { enumerable: true, get: () => this.latest(name) });
    return options;
  }
}

/** Sends each operation at most once: the sender decides what a missing answer means. */
function optionsOf(address: StoreAddress, password: string | null, tls: StoreTlsFiles): Options {
  const options: Options = {
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    enableAutoPipelining: true,
    commandTimeout: 1_000,
    connectTimeout: 2_000,
    retryStrategy: (times) => Math.min(1_000, 50 * 2 ** Math.min(times, 5)),
  };
  if (address.username !== null) options.username = address.username;
  const secret = password ?? address.password;
  if (secret !== null) options.password = secret;
  if (address.tls) options.tls = tls.options();
  return options;
}

/**
 * Connects in the background and reconnects automatically. `tls`: files for TLS; a string names the CA file. `trouble`
 * receives the reason when a connection is refused or lost, since the errors of operations lack it, and null once
 * connected.
 */
export function connectRedis(
  url: string,
  password: string | null,
  tls: StoreTls | string | null,
  trouble: (cause: Error | null) => void = () => undefined,
): Client {
  const address = parseStateUrl(url);
  const files = typeof tls === "string" ? { ca: tls, cert: "", key: "" } : (tls ?? { ca: "", cert: "", key: "" });
  const failed = (cause: unknown): void => trouble(cause instanceof Error ? cause : new Error(String(cause)));
  const client = clientOf(address, optionsOf(address, password, new StoreTlsFiles(files, failed)));
  // Each operation reports its own failure; without a listener, the process would exit.
  client.on("error", failed);
  client.on("ready", () => trouble(null));
  return client;
}

function clientOf(address: StoreAddress, options: Options): Client {
  const [first] = address.hosts;
  if (address.form === "cluster") {
    const { retryStrategy: _, enableOfflineQueue: __, enableAutoPipelining, ...each } = options;
    return new Cluster(address.hosts, {
      enableOfflineQueue: false,
      enableAutoPipelining: enableAutoPipelining ?? true,
      redisOptions: each,
      clusterRetryStrategy: (times: number) => Math.min(1_000, 50 * 2 ** Math.min(times, 5)),
    });
  }
  if (address.form === "sentinel") {
    const tls = options.tls ? { enableTLSForSentinelMode: true, sentinelTLS: options.tls } : {};
    return new Redis({ ...options, ...tls, sentinels: address.hosts, name: address.master, db: address.db });
  }
  return new Redis({ ...options, host: first?.host ?? "", port: first?.port ?? 6_379, db: address.db });
}

export type ScriptCommand = (...args: (string | number)[]) => Promise<unknown>;

/** A Lua script with one key, as a function. */
export function scriptCommand(client: Client, name: string, lua: string): ScriptCommand {
  client.defineCommand(name, { numberOfKeys: 1, lua });
  const command = (client as unknown as Record<string, ScriptCommand>)[name] as ScriptCommand;
  return command.bind(client);
}

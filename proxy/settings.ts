/** Settings of the proxy process: flags, then environment, then defaults, all parsed here once. */
import { parseArgs } from "node:util";
import { z } from "zod";

import { signalFlags, signalMisfit, signalSettings } from "./signal-settings.ts";
import { logLevels } from "./telemetry/log.ts";
import { settingError, UsageError } from "./usage-error.ts";
import { otlpProtocols } from "./wire/otlp-collector.ts";

const proxySettings = z.strictObject({
  /** Folder with the rendered config. */
  configDir: z.string().default("/etc/sluice/config"),
  /** "::" listens on all addresses, IPv4 and IPv6; if the kernel has no IPv6, on all IPv4 addresses. */
  host: z.string().default("::"),
  port: z.coerce.number().int().min(0).max(65_535).default(8080),
  /** Own: the gateway's HTTP/1.1 for clients and providers. Node: node:http and undici, which cost more. */
  http1: z.enum(["Own", "Node"]).default("Own"),
  statusHost: z.string().default("::"),
  statusPort: z.coerce.number().int().min(0).max(65_535).default(9090),
  logLevel: z.enum(logLevels).default("info"),
  /** How long calls under way may take after SIGTERM, in milliseconds. */
  drainMs: z.coerce.number().int().min(0).max(3_600_000).default(25_000),
  /** The part of that time in which calls are still accepted while kept-alive connections are asked to close. */
  drainDelayMs: z.coerce.number().int().min(0).max(3_600_000).default(5_000),
  /** How often the config folder is read even without a change event, in milliseconds. */
  pollMs: z.coerce.number().int().min(50).max(600_000).default(2_000),
  /** Country database in MaxMind's format; "" for none. */
  countryDatabase: z.string().default(""),
  /** Whether the node's metadata server may be asked for the Pod's identity in the cloud. */
  cloudMetadata: z.stringbool().default(false),
  /** Memory for cached answers, in bytes. */
  cacheBytes: z.coerce.number().int().min(0).default(67_108_864),
  /** Memory: each proxy keeps its own answers. Shared: sealed, at cacheUrl. */
  cacheStore: z.enum(["Memory", "Shared"]).default("Memory"),
  /**
   * Store for shared answers, such as redis://valkey-cache:6379; "" for the one at stateUrl, with its password and
   * certificates.
   */
  cacheUrl: z.string().default(""),
  /** Password of that store; from the environment only. */
  cachePassword: z.string().default(""),
  /** File with the CA certificates to trust for TLS to it; "" for the system's. */
  cacheCa: z.string().default(""),
  cacheCert: z.string().default(""),
  cacheKey: z.string().default(""),
  /** Keys that seal what is kept outside the process; from the environment only. */
  sealingKeys: z.string().default(""),
  /** Bytes of request bodies held at once, for all callers and for one. */
  maxHeldBodyBytes: z.coerce.number().int().min(1024).default(268_435_456),
  maxCallerBodyBytes: z.coerce.number().int().min(1024).default(67_108_864),
  /** Request bodies that arrive more slowly are cut off; 0 for no limit. */
  minUploadBytesPerSecond: z.coerce.number().int().min(0).max(1_048_576).default(256),
  /** Threads that read large texts for guard and masking; 0 reads all of them on the event loop. */
  textThreads: z.coerce.number().int().min(0).max(16).default(2),
  maxReplyBytes: z.coerce.number().int().min(1024).default(67_108_864),
  maxStreamBytes: z.coerce.number().int().min(1024).default(268_435_456),
  /**
   * Store for limits, budgets and usage shared by all proxies, such as redis://valkey:6379; "" to keep them in this
   * process.
   */
  stateUrl: z.string().default(""),
  /** Password of that store; from the environment only. */
  statePassword: z.string().default(""),
  /** File with the CA certificates to trust for TLS to it; "" for the system's. */
  stateCa: z.string().default(""),
  /** Files with the proxy's client certificate and key for TLS to it; "" for none. */
  stateCert: z.string().default(""),
  stateKey: z.string().default(""),
  /** After how long an answer of that store is late, in milliseconds. */
  stateTimeoutMs: z.coerce.number().int().min(5).max(10_000).default(50),
  /** Without a stateUrl: file that keeps spending across restarts; "" for none. */
  stateFile: z.string().default(""),
  /** How many days the usage ledger keeps. */
  ledgerDays: z.coerce.number().int().min(1).max(3_660).default(62),
  /** Files with the traffic listener's certificate chain and key, as PEM; "" for plain HTTP. */
  tlsCert: z.string().default(""),
  tlsKey: z.string().default(""),
  /** File with the CA certificates that sign client certificates; "" to request none. */
  tlsClientCa: z.string().default(""),
  /** File with revocation lists of these CAs; "" for none. */
  tlsClientCrl: z.string().default(""),
  tlsClientAuth: z.enum(["Required", "Optional"]).default("Required"),
  /** Folder for audit files; "" for none. */
  auditDir: z.string().default(""),
  /** Size at which a new audit file is started. */
  auditMaxBytes: z.coerce.number().int().min(1024).default(67_108_864),
  /** Audit records older than this are deleted, in files and in the store; 0 keeps them forever. */
  auditRetentionDays: z.coerce.number().int().min(0).max(36_500).default(0),
  auditStdout: z.stringbool().default(false),
  /** Whether audit records go to a stream at stateUrl. */
  auditRedis: z.stringbool().default(false),
  /** URL of an OpenTelemetry collector's /v1/logs; "" for none. */
  auditOtlpUrl: z.union([z.literal(""), z.url({ protocol: /^https?$/ })]).default(""),
  auditOtlpProtocol: z.enum(otlpProtocols, { error: `must be ${otlpProtocols.join(", ")}` }).default("http/json"),
  /** File with the CA certificates to trust for TLS to it; "" for the system's. */
  auditOtlpCa: z.string().default(""),
  /** `name=value,name=value`; from the environment only. */
  auditOtlpHeaders: z.string().default(""),
  /** HMAC key of the audit chain; from the environment only. "" for a plain digest. */
  auditKey: z.string().default(""),
  /** A client that reads nothing of its stream for this long is disconnected, in milliseconds. */
  stalledClientMs: z.coerce.number().int().min(100).default(60_000),
  /** How often a stream gets a comment until its first content, in milliseconds; 0 for never. */
  streamKeepAliveMs: z.coerce.number().int().min(0).max(3_600_000).default(15_000),
  /** Chunks of a stream that follow the last one within this time are handled together, in milliseconds. 0: none. */
  streamPauseMs: z.coerce.number().int().min(0).max(1_000).default(10),
  /** Whether /v1/responses may be opened as a WebSocket. */
  webSockets: z.stringbool().default(true),
  /** A WebSocket without a response for this long is closed, in milliseconds. */
  webSocketIdleMs: z.coerce.number().int().min(1_000).max(3_600_000).default(300_000),
  /** Longest life of a WebSocket, in milliseconds. */
  webSocketMaxMs: z.coerce.number().int().min(1_000).max(86_400_000).default(3_600_000),
  maxWebSockets: z.coerce.number().int().min(1).max(100_000).default(1_000),
  /** Bytes of earlier turns that all WebSockets together may remember. */
  webSocketMemoryBytes: z.coerce.number().int().min(0).default(67_108_864),
  ...signalSettings,
});
export type ProxySettings = z.output<typeof proxySettings>;

const flags = {
  "config-dir": "configDir",
  host: "host",
  port: "port",
  http1: "http1",
  "status-host": "statusHost",
  "status-port": "statusPort",
  "log-level": "logLevel",
  "drain-ms": "drainMs",
  "drain-delay-ms": "drainDelayMs",
  "stream-keep-alive-ms": "streamKeepAliveMs",
  "stream-pause-ms": "streamPauseMs",
  "stalled-client-ms": "stalledClientMs",
  "web-sockets": "webSockets",
  "web-socket-idle-ms": "webSocketIdleMs",
  "web-socket-max-ms": "webSocketMaxMs",
  "max-web-sockets": "maxWebSockets",
  "web-socket-memory-bytes": "webSocketMemoryBytes",
  "max-held-body-bytes": "maxHeldBodyBytes",
  "max-caller-body-bytes": "maxCallerBodyBytes",
  "min-upload-bytes-per-second": "minUploadBytesPerSecond",
  "text-threads": "textThreads",
  "max-reply-bytes": "maxReplyBytes",
  "max-stream-bytes": "maxStreamBytes",
  "poll-ms": "pollMs",
  "cache-bytes": "cacheBytes",
  "cache-store": "cacheStore",
  "cache-url": "cacheUrl",
  "cache-ca": "cacheCa",
  "cache-cert": "cacheCert",
  "cache-key": "cacheKey",
  "country-database": "countryDatabase",
  "cloud-metadata": "cloudMetadata",
  "state-url": "stateUrl",
  "state-timeout-ms": "stateTimeoutMs",
  "state-file": "stateFile",
  "ledger-days": "ledgerDays",
  "state-ca": "stateCa",
  "state-cert": "stateCert",
  "state-key": "stateKey",
  "tls-cert": "tlsCert",
  "tls-key": "tlsKey",
  "tls-client-ca": "tlsClientCa",
  "tls-client-crl": "tlsClientCrl",
  "tls-client-auth": "tlsClientAuth",
  "audit-dir": "auditDir",
  "audit-max-bytes": "auditMaxBytes",
  "audit-retention-days": "auditRetentionDays",
  "audit-stdout": "auditStdout",
  "audit-redis": "auditRedis",
  "audit-otlp-url": "auditOtlpUrl",
  "audit-otlp-protocol": "auditOtlpProtocol",
  "audit-otlp-ca": "auditOtlpCa",
  ...signalFlags,
} as const;

/** From the environment only, since command-line arguments are visible to everyone on the machine. */
const secrets = {
  SLUICE_AUDIT_KEY: "auditKey",
  SLUICE_AUDIT_OTLP_HEADERS: "auditOtlpHeaders",
  SLUICE_OTLP_HEADERS: "otlpHeaders",
  SLUICE_SEALING_KEYS: "sealingKeys",
  SLUICE_CACHE_PASSWORD: "cachePassword",
  SLUICE_STATE_PASSWORD: "statePassword",
} as const;

function cacheMisfit({
  cacheStore,
  cacheUrl,
  cachePassword,
  cacheCa,
  stateUrl,
  sealingKeys,
}: ProxySettings): string | null {
  if (cacheStore !== "Shared")
    return cacheUrl === "" ? null : "--cache-url needs --cache-store=Shared; without it, answers stay in this process";
  if (cacheUrl === "" && stateUrl === "")
    return "--cache-store=Shared needs --cache-url or --state-url, where the answers are kept";
  if (cacheUrl === "" && (cachePassword !== "" || cacheCa !== ""))
    return "--cache-ca and SLUICE_CACHE_PASSWORD need --cache-url: the store at --state-url has its own";
  return sealingKeys.trim() === ""
    ? "--cache-store=Shared needs keys in SLUICE_SEALING_KEYS; answers leave the process only when sealed"
    : null;
}

/** Checks that involve several settings. Returns null if they are consistent. */
function misfit(settings: ProxySettings): string | null {
  const { tlsCert, tlsKey, tlsClientCa, auditRedis, auditOtlpUrl, auditOtlpCa, stateUrl } = settings;
  const cache = cacheMisfit(settings);
  if (cache !== null) return cache;
  if ((tlsCert === "") !== (tlsKey === "")) return "--tls-cert and --tls-key belong together: give both";
  if ((settings.stateCert === "") !== (settings.stateKey === ""))
    return "--state-cert and --state-key belong together: give both";
  if ((settings.cacheCert === "") !== (settings.cacheKey === ""))
    return "--cache-cert and --cache-key belong together: give both";
  if (tlsClientCa !== "" && tlsCert === "") return "--tls-client-ca needs --tls-cert and --tls-key";
  const signals = signalMisfit(settings);
  if (signals !== null) return signals;
  if (auditOtlpCa !== "" && !auditOtlpUrl.startsWith("https:"))
    return "--audit-otlp-ca needs an --audit-otlp-url that begins with https://";
  if (settings.auditOtlpProtocol === "grpc" && auditOtlpUrl !== "" && new URL(auditOtlpUrl).pathname !== "/")
    return "--audit-otlp-url must have no path with --audit-otlp-protocol grpc, such as http://collector:4317";
  return auditRedis && stateUrl === "" ? "--audit-redis needs --state-url, where the records are kept" : null;
}

/** Throws an Error whose message is written for the person who set the flags. */
export function parseProxySettings(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): ProxySettings {
  const options = Object.fromEntries(Object.keys(flags).map((flag) => [flag, { type: "string" as const }]));
  const { values } = parseArgs({ args: [...args], options, allowPositionals: false });
  const flagValues: Record<string, unknown> = {};
  for (const [flag, name] of Object.entries(flags)) {
    const value = values[flag] ?? env[`SLUICE_${flag.toUpperCase().replaceAll("-", "_")}`];
    if (value !== undefined) flagValues[name] = value;
  }
  for (const [variable, name] of Object.entries(secrets))
    if (env[variable] !== undefined) flagValues[name] = env[variable];
  const parsed = proxySettings.safeParse(flagValues);
  const wrong = parsed.success ? misfit(parsed.data) : null;
  if (wrong !== null) throw new UsageError(wrong);
  if (parsed.success) return parsed.data;
  throw settingError(parsed.error.issues[0], flags);
}

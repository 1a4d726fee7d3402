/** Settings of a sidecar: flags, then environment, then defaults. */
import { parseArgs } from "node:util";
import { z } from "zod";
import { logLevels } from "../telemetry/log.ts";
import { settingError } from "../usage-error.ts";

const fleetUrl = z.string().refine((text) => {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) return false;
  return url.username === "" && url.password === "" && url.search === "" && url.hash === "" && url.pathname === "/";
}, "must be scheme, host and port only, such as https://sluice.example.com");

const sidecarSettings = z.strictObject({
  /** Where the gateway is. All addresses of a name are used. */
  fleet: z.array(fleetUrl).min(1, "say where the gateway is: --fleet http://sluice.sluice-system"),
  /** Projected ServiceAccount token; re-read as kubelet rotates it. */
  tokenFile: z.string().min(1).default("/var/run/secrets/sluice/token"),
  /** File with the certificates that sign the gateway's, in PEM, re-read as it changes; null: those of the system. */
  caFile: z.string().nullable().default(null),
  host: z
    .enum(
      ["127.0.0.1", "::1"],
      "must be a loopback address: anyone who reaches the sidecar calls in the workload's name",
    )
    .default("127.0.0.1"),
  port: z.coerce.number().int().min(0).max(65_535).default(8787),
  statusHost: z.string().default("::"),
  statusPort: z.coerce.number().int().min(0).max(65_535).default(9091),
  /** Connections to try for one call. */
  attempts: z.coerce.number().int().min(1).max(10).default(3),
  connectMs: z.coerce.number().int().min(10).max(60_000).default(2_000),
  /** How long running calls may take after SIGTERM. */
  drainMs: z.coerce.number().int().min(0).max(3_600_000).default(25_000),
  logLevel: z.enum(logLevels).default("info"),
});
export type SidecarSettings = z.output<typeof sidecarSettings>;

const flags = {
  "token-file": "tokenFile",
  "ca-file": "caFile",
  host: "host",
  port: "port",
  "status-host": "statusHost",
  "status-port": "statusPort",
  attempts: "attempts",
  "connect-ms": "connectMs",
  "drain-ms": "drainMs",
  "log-level": "logLevel",
} as const;

export const sidecarUsage = `sluice sidecar: let one Pod call the gateway as its ServiceAccount, without any key

Listens on loopback, puts the Pod's projected token on every call, and relays it to the fleet.

  --fleet URL          the gateway's address; repeat it for several, or name a headless Service
  --token-file FILE    projected token (default /var/run/secrets/sluice/token)
  --ca-file FILE       certificates that sign the gateway's, in PEM
  --host ADDRESS       loopback address to listen on (default 127.0.0.1)
  --port N             (default 8787; 0 picks one)
  --status-host ADDR   status listens on (default ::)
  --status-port N      probes (default 9091; 0 picks one)
  --attempts N         connections that are tried for one call (default 3)
  --connect-ms N       time for each (default 2000)
  --drain-ms N         time for calls under way after SIGTERM (default 25000)
  --log-level LEVEL    ${logLevels.join(", ")} (default info)

Each flag can be given in the environment, as SLUICE_SIDECAR_FLEET (with commas between several) and so on.`;

/** Throws an Error with a message for the person at the terminal. */
export function parseSidecarSettings(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): SidecarSettings {
  const options = Object.fromEntries(Object.keys(flags).map((flag) => [flag, { type: "string" as const }]));
  const { values } = parseArgs({
    args: [...args],
    options: { ...options, fleet: { type: "string", multiple: true } },
    allowPositionals: false,
  });
  const fromEnv = env["SLUICE_SIDECAR_FLEET"]?.split(",").map((text) => text.trim());
  const flagValues: Record<string, unknown> = { fleet: values["fleet"] ?? fromEnv ?? [] };
  for (const [flag, name] of Object.entries(flags)) {
    const value =
      (values as Record<string, unknown>)[flag] ?? env[`SLUICE_SIDECAR_${flag.toUpperCase().replaceAll("-", "_")}`];
    if (value !== undefined) flagValues[name] = value;
  }
  const parsed = sidecarSettings.safeParse(flagValues);
  if (parsed.success) return parsed.data;
  throw settingError(parsed.error.issues[0], { ...flags, fleet: "fleet" });
}

/** The gateway as `sluice dev` runs it, on manifests that a test writes. */
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { pino } from "pino";
import { stringify } from "yaml";
import { startDev } from "../../cli/dev.ts";
import type { FleetState } from "../../proxy/fleet/start.ts";

export type Manifest = { kind: string; metadata: { name: string; namespace?: string }; [part: string]: unknown };

export interface TestGateway {
  url: string;
  statusUrl: string;
  folder: string;
  /** Every log line so far, parsed. */
  logs: Record<string, unknown>[];
  /** Every log line so far, as written. */
  logText(): string;
  /** What `dev` printed. */
  printed: string[];
  /** Writes the manifests again and waits until they are live, or until dev has printed why not. */
  apply(manifests: readonly Manifest[]): Promise<void>;
  /** Limits, budgets and the usage ledger of its proxy. */
  state: FleetState;
  metrics(): Promise<string>;
  status(): Promise<Record<string, unknown>>;
  close(): Promise<void>;
}

export const provider = (name: string, url: string, spec: Record<string, unknown> = {}): Manifest => ({
  kind: "LLMProvider",
  metadata: { name },
  spec: {
    type: "OpenAICompatible",
    endpoint: `${url}/v1`,
    allowPrivateEndpoint: true,
    credentials: { secretRef: { name: `${name}-credentials` } },
    models: [{ name: "gpt-4o" }],
    retry: { attempts: 1 },
    ...spec,
  },
});

export const secret = (name: string, stringData: Record<string, string>): Manifest => ({
  kind: "Secret",
  metadata: { name },
  stringData,
});

export const policy = (name: string, spec: Record<string, unknown>): Manifest => ({
  kind: "RoutingPolicy",
  metadata: { name },
  spec,
});

/** An ApiKey and the Secret that holds its clear key. */
export const key = (name: string, clear: string, spec: Record<string, unknown> = {}): Manifest[] => [
  {
    kind: "ApiKey",
    metadata: { name },
    spec: { user: `${name}@example.com`, writeTo: { name: `${name}-key` }, ...spec },
  },
  secret(`${name}-key`, { apiKey: clear }),
];

const plain: ReadonlySet<string> = new Set(["Secret", "Namespace"]);

export function text(manifests: readonly Manifest[]): string {
  return manifests
    .map((one) => {
      const { kind, metadata, ...rest } = one;
      return stringify({
        apiVersion: plain.has(kind) ? "v1" : "sluice.dev/v1alpha1",
        kind,
        metadata: { namespace: "default", ...metadata },
        ...rest,
      });
    })
    .join("---\n");
}

/** This many checks follow one another at once; a server that isn't there by then may need the processor to get there. */
const eagerChecks = 20;

/**
 * Polls until the check holds; the last failure is the message where it never does. The limit is for machines that
 * are busy with other things: what holds in the end holds within milliseconds on an idle one.
 */
export async function eventually<T>(check: () => T | Promise<T>, withinMs = 30_000): Promise<NonNullable<T>> {
  const deadline = performance.now() + withinMs;
  let last: unknown = new Error("it never held");
  for (let checks = 1; ; checks++) {
    try {
      const value = await check();
      if (value !== undefined && value !== null && value !== false) return value as NonNullable<T>;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) throw last;
    await new Promise((resolve) => (checks < eagerChecks ? setImmediate(resolve) : setTimeout(resolve, 2)));
  }
}

export async function startGateway(
  manifests: readonly Manifest[],
  flags: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<TestGateway> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-test-"));
  const file = join(folder, "manifests.yaml");
  await writeFile(file, text(manifests));
  const lines: string[] = [];
  const logs: Record<string, unknown>[] = [];
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      const line = chunk.toString("utf8");
      lines.push(line);
      logs.push(JSON.parse(line) as Record<string, unknown>);
      done();
    },
  });
  const printed: string[] = [];
  const log = pino(
    { level: "debug", base: { name: "sluice-proxy" }, formatters: { level: (label) => ({ level: label }) } },
    sink,
  );
  const dev = await startDev(
    [folder, "--port", "0", "--status-port", "0", ...flags],
    env,
    (line) => printed.push(line),
    log,
  );
  const status = async (): Promise<Record<string, unknown>> =>
    (await (await fetch(`${dev.proxy.statusUrl}/status`)).json()) as Record<string, unknown>;
  return {
    url: dev.proxy.trafficUrl,
    statusUrl: dev.proxy.statusUrl,
    folder,
    get logs() {
      dev.proxy.settleRecords();
      return logs;
    },
    logText() {
      dev.proxy.settleRecords();
      return lines.join("");
    },
    printed,
    async apply(next) {
      const before = printed.length;
      // Renamed into place: a half-written file would be read, and reported, as a save of its own.
      await writeFile(`${folder}.next`, text(next));
      await rename(`${folder}.next`, file);
      await eventually(() =>
        printed
          .slice(before)
          .some((line) => line.startsWith("reloaded:") || line.includes("keep their last good version")),
      );
      await dev.proxy.refresh();
    },
    get state() {
      dev.proxy.settleRecords();
      return dev.proxy.state;
    },
    metrics: async () => (await fetch(`${dev.proxy.statusUrl}/metrics`)).text(),
    status,
    async close() {
      await dev.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

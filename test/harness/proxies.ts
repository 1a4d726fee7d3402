/** Several whole proxies on one config, as the operator publishes it to the pods of a Deployment. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { compileFolder } from "../../operator/folder/compile-folder.ts";
import { encode, sha256Hex } from "../../proxy/config/encode.ts";
import { credentialName } from "../../proxy/config/names.ts";
import type { ConfigFiles } from "../../proxy/config/parse.ts";
import type { RenderedConfig } from "../../proxy/config/schema.ts";
import { type RunningProxy, startProxy } from "../../proxy/main.ts";
import { parseProxySettings } from "../../proxy/settings.ts";
import type { ConfigSource } from "../../proxy/snapshot/source.ts";
import { type Manifest, text } from "./gateway.ts";

const pepper = Buffer.alloc(32, 7);

/** Changes what is published, as facts of a cluster would that a folder doesn't have. */
type Alter = (config: RenderedConfig) => RenderedConfig;

async function published(manifests: readonly Manifest[], alter: Alter): Promise<ConfigFiles> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-test-"));
  try {
    await writeFile(join(folder, "manifests.yaml"), text(manifests));
    const { compiled, folder: read, findings } = await compileFolder([folder], {}, pepper, { nowMs: Date.now() });
    const wrong = findings.filter((finding) => finding.severity === "error");
    if (wrong.length > 0) throw new Error(wrong.map((one) => one.message).join("\n"));
    const { documents, manifest } = encode(alter(compiled.config), sha256Hex(pepper));
    const values = new Map([...read.secretValues].map(([digest, value]) => [credentialName(digest), value]));
    return {
      ...documents,
      pepper,
      ...Object.fromEntries(manifest.credentials.map((name) => [name, values.get(name) ?? ""])),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export interface Proxies {
  all: RunningProxy[];
  /** One more, with the same config and settings. */
  start(): Promise<RunningProxy>;
  close(): Promise<void>;
}

export async function startProxies(
  count: number,
  manifests: readonly Manifest[],
  flags: readonly string[],
  env: Readonly<Record<string, string>>,
  alter: Alter = (config) => config,
): Promise<Proxies> {
  const files = await published(manifests, alter);
  const source: ConfigSource = { current: () => Promise.resolve(files), watch: () => () => undefined };
  const local = ["--host=127.0.0.1", "--status-host=127.0.0.1", "--port=0", "--status-port=0", "--drain-ms=0"];
  const settings = parseProxySettings([...local, ...flags], env);
  const all: RunningProxy[] = [];
  const start = async (): Promise<RunningProxy> => {
    const proxy = await startProxy({ settings, source, log: pino({ level: "silent" }) });
    all.push(proxy);
    return proxy;
  };
  for (let at = 0; at < count; at++) await start();
  return { all, start, close: async () => void (await Promise.all(all.map((one) => one.close()))) };
}

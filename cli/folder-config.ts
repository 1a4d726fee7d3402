/** The configuration of `sluice dev`: compiles a folder again whenever it changes, and judges its canaries. */
import { randomBytes } from "node:crypto";
import type { ProxyStatus } from "../operator/cluster/proxy-status.ts";
import type { CanaryReport } from "../operator/compile/canary.ts";
import type { Compiled } from "../operator/compile/compile.ts";
import { healthPatches, type ProxyReport } from "../operator/compile/health.ts";
import { type Programmed, statusOf } from "../operator/compile/status.ts";
import { type StatusPatch, type Verdict, withPatches } from "../operator/compile/verdict.ts";
import type { WorldObject } from "../operator/compile/world.ts";
import type { PublishedState } from "../operator/console/source.ts";
import { compileFolder, formatFinding, unpricedModels } from "../operator/folder/compile-folder.ts";
import { watchFolders } from "../operator/folder/watch.ts";
import { CanaryBook } from "../operator/loops/canaries/book.ts";
import { DiscoveryBook } from "../operator/loops/discovery/book.ts";
import type { Installation } from "../operator/settings/installation.ts";
import { encode, sha256Hex } from "../proxy/config/encode.ts";
import { credentialName } from "../proxy/config/names.ts";
import type { ConfigFiles } from "../proxy/config/parse.ts";
import type { RenderedConfig } from "../proxy/config/schema.ts";
import type { ConfigSource } from "../proxy/snapshot/source.ts";

/**
 * Credentials that a config names, from the folder's values. Keeps earlier values for objects that run in their last
 * good version.
 */
function filesOf(
  config: RenderedConfig,
  pepper: Uint8Array,
  values: ReadonlyMap<string, string>,
): { files: ConfigFiles; revision: string } {
  const published = encode(config, sha256Hex(pepper));
  const files: Record<string, string | Uint8Array> = { ...published.documents, pepper };
  const byName = new Map([...values].map(([digest, value]) => [credentialName(digest), value]));
  for (const name of published.manifest.credentials) files[name] = byName.get(name) ?? "";
  return { files, revision: published.manifest.revision };
}

export class FolderConfig implements ConfigSource {
  readonly #paths: readonly string[];
  readonly #env: Readonly<Record<string, string | undefined>>;
  readonly #print: (line: string) => void;
  readonly #installed: Installation;
  readonly #pepper = randomBytes(32);
  readonly #values = new Map<string, string>();
  #previous: RenderedConfig | null = null;
  #files: ConfigFiles = {};
  readonly #canaries = new CanaryBook();
  readonly #discovery = new DiscoveryBook();
  readonly #phases = new Map<string, string>();
  #compiled: Compiled | null = null;
  #canaryPatches: readonly StatusPatch[] = [];
  #changed: () => void = () => undefined;
  readonly #statuses = new Map<string, unknown>();
  #revision = "";
  #unpriced = "";
  #reported = "";
  #reloading: Promise<void> = Promise.resolve();

  constructor(
    paths: readonly string[],
    env: Readonly<Record<string, string | undefined>>,
    print: (line: string) => void,
    installed: Installation,
  ) {
    this.#paths = paths;
    this.#env = env;
    this.#print = print;
    this.#installed = installed;
  }

  /** Reads the folder again and prints its problems if they changed. */
  async reload(): Promise<void> {
    const { compiled, folder, findings } = await compileFolder(this.#paths, this.#env, this.#pepper, {
      previous: this.#previous,
      nowMs: Date.now(),
      installed: this.#installed,
      canaries: this.#canaries,
      discovered: this.#discovery.facts(),
    });
    // An unreadable file hides objects, so the rest must not be taken for the whole folder.
    const unreadable = folder.problems.length > 0 && this.#previous !== null;
    for (const [digest, value] of folder.secretValues) this.#values.set(digest, value);
    const report = findings.map(formatFinding).join("\n");
    if (report !== this.#reported && report !== "") this.#print(report);
    if (findings.some((finding) => finding.severity === "error") && report !== this.#reported)
      this.#print(
        this.#previous === null
          ? "invalid objects are not served"
          : "invalid objects keep their last good version, if there was one",
      );
    if (this.#previous === null && compiled.verdicts.length === 0)
      this.#print("no object of Sluice is there yet; *.yaml, *.yml and *.json are read");
    this.#reported = report;
    if (unreadable) return;
    this.#previous = compiled.config;
    this.#compiled = compiled;
    this.#canaryPatches = [];
    const { files, revision } = filesOf(compiled.config, this.#pepper, this.#values);
    this.#files = files;
    this.#printUnpriced(compiled);
    if (revision !== this.#revision)
      this.#print(`${this.#revision === "" ? "loaded" : "reloaded"}: revision ${revision}`);
    this.#revision = revision;
  }

  #printUnpriced(compiled: Compiled): void {
    const unpriced = unpricedModels(compiled).join("\n");
    if (unpriced !== this.#unpriced && unpriced !== "") this.#print(unpriced);
    this.#unpriced = unpriced;
  }

  current(): Promise<ConfigFiles> {
    return Promise.resolve(this.#files);
  }

  watch(onChange: () => void): () => void {
    this.#changed = onChange;
    return watchFolders(this.#paths, () => this.#reload());
  }

  #reload(): void {
    // Reads are sequential: otherwise a slow read of an earlier save could overwrite a later one.
    this.#reloading = this.#reloading
      .then(() => this.reload())
      .catch((cause: unknown) => this.#print(cause instanceof Error ? cause.message : String(cause)))
      .finally(() => this.#changed());
  }

  /** The console's content: objects with the status that they would have in a cluster. */
  published(reports: readonly ProxyReport[], proxies: readonly (string | null)[]): PublishedState {
    const compiled = this.#compiled;
    if (compiled === null) return { config: null, revision: "", objects: [] };
    const revision = this.#revision;
    const programmed = { revision, live: proxies.filter((proxy) => proxy === revision).length, total: proxies.length };
    const patches = [...healthPatches(compiled.others, reports), ...this.#canaryPatches];
    const objects = withPatches(compiled.verdicts, patches).map(
      (verdict): WorldObject => ({
        kind: verdict.kind,
        meta: verdict.meta as WorldObject["meta"],
        spec: {},
        status: this.#statusOf(verdict, programmed),
      }),
    );
    return { config: compiled.config, revision, objects };
  }

  /** Starts from the previous status, so that conditions keep their transition times. */
  #statusOf(verdict: Verdict, programmed: Programmed): unknown {
    const id = `${verdict.kind} ${verdict.meta.namespace}/${verdict.meta.name}`;
    const status = statusOf(verdict, programmed, this.#statuses.get(id) ?? {}, Date.now());
    this.#statuses.set(id, status);
    return status;
  }

  /** Whether the proxy's reports can change the config. */
  learns(): boolean {
    if (this.#compiled === null) return false;
    const { canaries, config } = this.#compiled;
    return canaries.length > 0 || config.providers.some(({ discovery }) => discovery !== undefined);
  }

  learn({ canaries, providers }: Pick<ProxyStatus, "canaries" | "providers">): void {
    if (this.#discovery.learn([providers])) this.#reload();
    this.judge(canaries);
  }

  /** Judges canaries as the operator does, by the proxy's counts. Verdicts last as long as the process. */
  judge(reports: readonly CanaryReport[]): void {
    if (this.#compiled === null) return;
    const { decided, patches } = this.#canaries.judge(this.#compiled, reports, Date.now());
    this.#canaryPatches = patches;
    for (const { verdict, conditions = [] } of patches) {
      const { meta } = verdict;
      const progress = conditions.find((condition) => condition.type === "CanaryProgressing");
      const id = `${meta.namespace}/${meta.name}`;
      if (progress === undefined || this.#phases.get(id) === progress.reason) continue;
      this.#phases.set(id, progress.reason);
      this.#print(`canary of ${id}: ${progress.reason}: ${progress.message}`);
    }
    if (decided) this.#reload();
  }
}

/** Compiles the manifests of a repository, which should hold no Secrets, as their cluster will. */
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";
import type { RenderedConfig } from "../../proxy/config/schema.ts";
import { assumedFacts, withAssumed } from "../assumed-secrets.ts";
import { secretRefs } from "../cluster/world.ts";
import { compile } from "../compile/compile.ts";
import { readableLabel, type SecretAccess, writableLabel } from "../compile/secret-rights.ts";
import { type CompileInput, classOf, type SecretRights, type World, type WorldObject } from "../compile/world.ts";
import { priceSources, priceTable } from "../prices/table.ts";
import { compileSettings } from "../settings/compile-settings.ts";
import { installation, renderedSettings } from "../settings/installation.ts";
import type { OperatorSettings } from "../settings/settings.ts";
import { byPlace, type CompiledFolder, findingsOf, type LintFinding } from "./compile-folder.ts";
import { type FolderWorld, readFolder } from "./read.ts";

/**
 * assumed: Secrets that the paths lack are taken to exist in the cluster. required: the paths must provide them, all but
 * those that the operator makes for ApiKeys.
 */
export type OfflineSecrets = "assumed" | "required";

export interface OfflineFolder extends CompiledFolder {
  /** `namespace/name` of the Secrets that were taken to exist. */
  assumed: string[];
  /** Whether audit records can be kept safe; null if unknown. */
  durableAudit: boolean | null;
}

/** Names of the Secrets that the operator makes, or adds keys to. */
const madeFor = ({ kind, spec }: WorldObject): string | undefined =>
  kind === "ApiKey" ? (spec as { writeTo?: { name?: string } } | null)?.writeTo?.name : undefined;

/** The origin of a Secret that the folder lacks. */
type Origin = "made" | "provided" | "assumed" | "nowhere";

function originOf(object: WorldObject, ref: string, { provided }: FolderWorld, mode: OfflineSecrets): Origin {
  if (provided.has(ref)) return "provided";
  if (`${object.meta.namespace}/${madeFor(object)}` === ref) return "made";
  return mode === "assumed" ? "assumed" : "nowhere";
}

/** The world as it will be in the cluster: Secrets come from elsewhere, and objects are created now. */
function worldInCluster(folder: FolderWorld, mode: OfflineSecrets, nowMs: number): { world: World; assumed: string[] } {
  const { world, provided, secretLabels } = folder;
  const objects = world.objects.map((object) => ({ ...object, meta: { ...object.meta, createdAtMs: nowMs } }));
  const origins = objects.flatMap((object) =>
    secretRefs(object)
      .filter((ref) => !Object.hasOwn(world.secrets, ref))
      .map((ref) => ({ ref, origin: originOf(object, ref, folder, mode), keys: provided.get(ref)?.keys ?? null })),
  );
  const known = origins.flatMap(({ ref, keys }) => (keys === null ? [] : [[ref, assumedFacts(ref, keys)] as const]));
  const unknown = origins.filter(({ origin, keys }) => origin !== "nowhere" && keys === null);
  const secrets = { ...world.secrets, ...Object.fromEntries(known) };
  const whole = withAssumed({ ...world, objects, secrets }, new Set(unknown.map(({ ref }) => ref)));
  for (const object of objects)
    addMadeKey(object, whole, secretLabels.get(`${object.meta.namespace}/${madeFor(object)}`));
  const assumed = new Set(origins.filter(({ origin }) => origin === "assumed").map(({ ref }) => ref));
  return { world: whole, assumed: [...assumed].sort() };
}

/** The operator adds a missing key to a Secret whose owner allows it. */
function addMadeKey(
  { meta, spec }: WorldObject,
  { secrets }: World,
  labels: Readonly<Record<string, string>> | undefined,
): void {
  if (labels?.[writableLabel] !== "true") return;
  const { name, key = "apiKey" } = (spec as { writeTo: { name: string; key?: string } }).writeTo;
  const ref = `${meta.namespace}/${name}`;
  secrets[ref] = { ...assumedFacts(ref, [String(key)]), ...secrets[ref] };
}

/** The rights on the folder's Secrets in a cluster with these settings. */
function rightsIn({ secretLabels, provided }: FolderWorld, access: SecretAccess): World["secretRights"] {
  const labels = new Map([...secretLabels, ...[...provided].map(([ref, secret]) => [ref, secret.labels] as const)]);
  return Object.fromEntries(
    [...labels].map(([ref, own]): [string, SecretRights] => [
      ref,
      {
        readable: access === "Namespace" || own[readableLabel] === "true",
        writable: own[writableLabel] === "true",
        foreign: [],
      },
    ]),
  );
}

/** Removes objects of other installations, if it is known which one this is. */
function ofClass(folder: FolderWorld, settings: OperatorSettings | null): FolderWorld {
  if (settings === null) return folder;
  const objects = folder.world.objects.filter(({ meta }) => classOf(meta) === settings.className);
  return { ...folder, world: { ...folder.world, objects } };
}

/**
 * Compiles manifests of a repository for `lint`, `diff`, `explain` and `render`. `settings`: of the operator that will
 * compile them; null if they are unknown, so that nothing that depends on them is reported.
 */
export async function compileOffline(
  paths: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  options: {
    pepper: Uint8Array;
    previous: RenderedConfig | null;
    nowMs: number;
    secrets: OfflineSecrets;
    settings: OperatorSettings | null;
  },
): Promise<OfflineFolder> {
  const { pepper, previous, nowMs, settings } = options;
  const folder = ofClass(await readFolder(paths, env, pepper), settings);
  const { world, assumed } = worldInCluster(folder, options.secrets, nowMs);
  const input: CompileInput = {
    world: { ...world, secretRights: rightsIn(folder, settings?.secretAccess ?? "Namespace") ?? {} },
    settings:
      settings === null
        ? { proxy: renderedSettings(installation.parse({})), sharingNamespaces: "*", prices: {} }
        : compileSettings(settings),
    previous,
    nowMs,
    prices: priceTable(new Date(nowMs)),
    priceSources,
  };
  const compiled = compile(input, capabilitiesByType);
  const findings = findingsOf(folder, compiled);
  if (settings === null) findings.push(...refusedByDefault(folder, input));
  return {
    compiled,
    folder,
    findings: findings.sort(byPlace),
    assumed,
    durableAudit: settings?.durableAudit ?? null,
  };
}

/** Problems that an installation with the chart's default values would report. */
function refusedByDefault(folder: FolderWorld, input: CompileInput): LintFinding[] {
  const world = { ...input.world, secretRights: rightsIn(folder, "Labelled") ?? {} };
  const compiled = compile(
    { ...input, world, settings: { ...input.settings, refuseWeakKeys: true } },
    capabilitiesByType,
  );
  return findingsOf(folder, compiled)
    .filter(({ reason }) => reason === "SecretNotPermitted" || reason === "WeakKey")
    .map((finding) => ({ ...finding, severity: "warning" }));
}

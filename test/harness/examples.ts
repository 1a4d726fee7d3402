/** The manifests in examples/, folder by folder, as far as an API server with the CRDs knows them. */
import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseAllDocuments } from "yaml";

export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string> };
  spec: Record<string, unknown>;
}

const root = join(import.meta.dirname, "../..");

/** Objects that this API server knows: not those of Flux, Argo CD or the External Secrets Operator. */
export const knownIn = (text: string): Manifest[] =>
  parseAllDocuments(text)
    .map((one) => one.toJS() as Partial<Manifest> | null)
    .filter((one) => one?.apiVersion?.startsWith("sluice.dev/") || one?.kind === "Namespace") as Manifest[];

const manifestsIn = (folder: string): Manifest[] =>
  globSync(`${folder}/*.yaml`, { cwd: root })
    .sort()
    .flatMap((file) => knownIn(readFileSync(join(root, file), "utf8")));

/** Folders with objects of Sluice, in order, and what is in each of them, its subfolders not included. */
export function exampleFolders(): Map<string, Manifest[]> {
  const folders = new Set(globSync("examples/**/*.yaml", { cwd: root }).map(dirname));
  const known = [...folders].sort().map((folder) => [folder, manifestsIn(folder)] as const);
  return new Map(known.filter(([, objects]) => objects.some(({ kind }) => kind !== "Namespace")));
}

/** Manifests as files, or as one stream without secrets. */
import { mkdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import type { Kind } from "../../crds/kinds.ts";
import {
  type ImportedSecret,
  isKnown,
  isShowable,
  type Manifests,
  objectManifest,
  secretManifest,
} from "./manifests.ts";

interface OutputFile {
  /** Below the output directory. */
  name: string;
  text: string;
  /** Whether only the owner may read it. */
  isSecret: boolean;
}

const fileOf: Readonly<Record<Kind, string>> = {
  LLMProvider: "providers.yaml",
  RoutingPolicy: "policies.yaml",
  Budget: "budgets.yaml",
  ApiKey: "keys.yaml",
};

/** Aliases would make YAML that people can't edit. */
const yamlOf = (objects: readonly object[]): string =>
  objects.map((object) => stringify(object, { aliasDuplicateObjects: false, lineWidth: 0 })).join("---\n");

const folder = "manifests";

export function outputFiles(manifests: Manifests, namespace: string): OutputFile[] {
  const files = Object.entries(fileOf).map(([kind, name]) => ({
    name: join(folder, name),
    text: yamlOf(manifests.of(kind as Kind).map((object) => objectManifest(object, namespace))),
    isSecret: false,
  }));
  const secrets = manifests.secrets.filter(isKnown).map((secret) => secretManifest(secret, namespace));
  const values = Object.keys(manifests.helmValues).length === 0 ? "" : stringify(manifests.helmValues);
  return [
    ...files,
    { name: join(folder, "secrets.yaml"), text: yamlOf(secrets), isSecret: true },
    { name: "values.yaml", text: values, isSecret: false },
  ].filter(({ text }) => text !== "");
}

/**
 * For standard output: Helm values as a comment, and only Secrets that refer to variables, so that no secret is
 * printed.
 */
export function outputStream(manifests: Manifests, namespace: string): string {
  const objects = [
    ...manifests.objects.map((object) => objectManifest(object, namespace)),
    ...manifests.secrets.filter(isShowable).map((secret) => secretManifest(secret, namespace)),
  ];
  const values = Object.keys(manifests.helmValues).length === 0 ? "" : stringify(manifests.helmValues);
  const comment = values === "" ? "" : `# Helm values:\n${values.replace(/^(?=.)/gm, "# ")}`;
  return `${yamlOf(objects)}${comment}`;
}

/** Secrets that are left out of standard output. */
export const withheldSecrets = ({ secrets }: Manifests): ImportedSecret[] =>
  secrets.filter((secret) => isKnown(secret) && !isShowable(secret));

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Refuses to replace existing files. Returns the paths written. */
export async function writeFiles(directory: string, files: readonly OutputFile[]): Promise<string[]> {
  for (const { name } of files)
    if (await exists(join(directory, name)))
      throw new Error(`${join(directory, name)} is there already; name another directory, or delete it`);
  await mkdir(join(directory, folder), { recursive: true });
  for (const { name, text, isSecret } of files)
    await writeFile(join(directory, name), text, { flag: "wx", mode: isSecret ? 0o600 : 0o644 });
  return files.map(({ name }) => join(directory, name));
}

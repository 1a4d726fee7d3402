/** `sluice keys` on a folder of manifests: keeps handwritten content, including comments. */
import { randomBytes } from "node:crypto";
import { readdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Document, isMap, parseAllDocuments, stringify } from "yaml";
import { previousOf, rotatedAtOf } from "../../operator/compile/key-secret.ts";
import { compileFolder } from "../../operator/folder/compile-folder.ts";
import { mintKey } from "../../proxy/config/key-form.ts";
import { offlineEnvironment, offlinePepper } from "../offline-options.ts";
import type { KeysValues } from "./arguments.ts";
import { type KeyRow, keyObject, rotationOf, rowOf } from "./object.ts";

interface Manifests {
  file: string;
  documents: Document[];
  changed: boolean;
}

async function read(folder: string): Promise<Manifests[]> {
  if (!(await stat(folder)).isDirectory()) throw new Error(`${folder} is not a folder`);
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile() && /\.ya?ml$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
  return Promise.all(
    files.sort().map(async (file) => {
      const documents = parseAllDocuments(await readFile(file, "utf8"));
      return { file, documents: Array.isArray(documents) ? documents : [], changed: false };
    }),
  );
}

/** Writes by renaming, so that watchers of the folder never read half a file. */
async function write({ file, documents }: Manifests): Promise<void> {
  await writeFile(
    `${file}.next`,
    documents.map(String).join(documents.some((document) => String(document).startsWith("---")) ? "" : "---\n"),
    { mode: 0o600 },
  );
  await rename(`${file}.next`, file);
}

interface Found {
  manifests: Manifests;
  document: Document;
}

const text = (document: Document, ...path: string[]): string => String(document.getIn(path) ?? "");

function find(all: readonly Manifests[], kind: string, matches: (document: Document) => boolean): Found[] {
  return all.flatMap((manifests) =>
    manifests.documents
      .filter((document) => isMap(document.contents) && text(document, "kind") === kind && matches(document))
      .map((document) => ({ manifests, document })),
  );
}

const inNamespace = (document: Document, namespace: string): boolean =>
  (text(document, "metadata", "namespace") || "default") === namespace;

function chosen(all: readonly Manifests[], values: KeysValues, namespace: string): Found[] {
  const matching = find(
    all,
    "ApiKey",
    (document) =>
      inNamespace(document, namespace) &&
      (values.name === undefined
        ? text(document, "spec", "user") === values.user
        : text(document, "metadata", "name") === values.name),
  );
  if (matching.length === 0)
    throw new Error(`the folder has no ApiKey ${values.name ?? `of ${values.user}`} in namespace ${namespace}`);
  return matching;
}

/** Objects of a kind in a namespace, from the folder's files. */
export async function folderObjects(folder: string, kind: string, namespace: string): Promise<unknown[]> {
  const objects = find(await read(folder), kind, (document) => inNamespace(document, namespace));
  return objects.map(({ document }) => document.toJS());
}

export async function createInFolder(folder: string, values: KeysValues, namespace: string): Promise<string[]> {
  const object = keyObject(values, namespace);
  if (values["expires-in"] !== undefined)
    throw new Error(
      "in a folder an object has no time of creation to count from; write spec.expiresAt into the manifest instead of --expires-in",
    );
  const { name } = object.metadata;
  const files = await read(folder);
  if (
    find(files, "ApiKey", (document) => inNamespace(document, namespace) && text(document, "metadata", "name") === name)
      .length > 0
  )
    throw new Error(`ApiKey ${namespace}/${name} is there already; choose another --name, or rotate it`);
  const clear = mintKey(randomBytes(32));
  const secret = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: (object.spec["writeTo"] as { name: string }).name, namespace },
    stringData: { apiKey: clear },
  };
  const file = join(folder, `apikey-${namespace}-${name}.yaml`);
  await writeFile(file, `${stringify(object)}---\n${stringify(secret)}`, { mode: 0o600, flag: "wx" });
  return [`ApiKey ${namespace}/${name} and its Secret written to ${file}`, ...(values.show === true ? [clear] : [])];
}

/** Replaces the key in its Secret, in whichever file. A key that comes from the environment can't be replaced here. */
function rotateSecret(all: readonly Manifests[], namespace: string, name: string, key: string, nowMs: number): void {
  const [match] = find(
    all,
    "Secret",
    (document) => inNamespace(document, namespace) && text(document, "metadata", "name") === name,
  );
  const current = match === undefined ? "" : text(match.document, "stringData", key);
  if (match === undefined || current === "")
    throw new Error(`the folder has no Secret ${namespace}/${name} with ${key} under stringData`);
  if (/\$\{/.test(current))
    throw new Error(`${key} of Secret ${namespace}/${name} comes from the environment; change it there`);
  match.document.setIn(["stringData", key], mintKey(randomBytes(32)));
  match.document.setIn(["stringData", previousOf(key)], current);
  match.document.setIn(["stringData", rotatedAtOf(key)], new Date(nowMs).toISOString());
  match.manifests.changed = true;
}

export async function rotateInFolder(
  folder: string,
  values: KeysValues,
  namespace: string,
  nowMs: number,
): Promise<string[]> {
  const files = await read(folder);
  const lines: string[] = [];
  for (const { manifests, document } of chosen(files, values, namespace)) {
    const secret = text(document, "spec", "writeTo", "name");
    const key = text(document, "spec", "writeTo", "key") || "apiKey";
    const spec = (document.toJS() as { spec: Record<string, unknown> }).spec;
    document.setIn(["spec", "rotation"], document.createNode(rotationOf(spec, values["grace-period"], nowMs)));
    manifests.changed = true;
    rotateSecret(files, namespace, secret, key, nowMs);
    lines.push(
      `ApiKey ${namespace}/${text(document, "metadata", "name")} rotated; the new key is in Secret ${secret}, key ${key}`,
    );
  }
  await Promise.all(files.filter((file) => file.changed).map(write));
  return lines;
}

export async function revokeInFolder(folder: string, values: KeysValues, namespace: string): Promise<string[]> {
  const files = await read(folder);
  const matching = chosen(files, values, namespace);
  for (const { manifests, document } of matching) {
    document.setIn(["spec", "revoked"], true);
    manifests.changed = true;
  }
  await Promise.all(files.filter((file) => file.changed).map(write));
  return matching.map(({ document }) => `ApiKey ${namespace}/${text(document, "metadata", "name")} revoked`);
}

export async function listInFolder(folder: string, values: KeysValues, namespace: string | null): Promise<KeyRow[]> {
  const { compiled, folder: world } = await compileFolder([folder], offlineEnvironment, offlinePepper, {
    nowMs: Date.now(),
  });
  return compiled.verdicts
    .filter((verdict) => verdict.kind === "ApiKey" && (namespace === null || verdict.meta.namespace === namespace))
    .map((verdict) => {
      const { name, namespace: keyNamespace } = verdict.meta;
      const object = world.world.objects.find(
        (object) => object.kind === "ApiKey" && object.meta.name === name && object.meta.namespace === keyNamespace,
      );
      const wrong = [...verdict.accepted, ...verdict.resolvedRefs].find((problem) => problem.severity === "error");
      const programmed = {
        type: "Programmed",
        status: wrong === undefined ? "True" : "False",
        reason: wrong?.reason ?? "Live",
      };
      return rowOf({ name, namespace: keyNamespace }, (object?.spec ?? {}) as Record<string, unknown>, {
        ...verdict.status,
        conditions: [...verdict.conditions, programmed],
      });
    })
    .filter((row) => values.user === undefined || row.user === values.user);
}

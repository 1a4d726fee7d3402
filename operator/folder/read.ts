/**
 * Reads the world from a folder of manifests: the same objects as in a cluster, Secrets included, with their line
 * numbers.
 */
import { Buffer } from "node:buffer";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { type Document, LineCounter, parseAllDocuments } from "yaml";
import { apiVersion, type Kind, kindNames } from "../../crds/kinds.ts";
import { parseObject } from "../../crds/parse.ts";
import type { SecretFact, World, WorldObject } from "../compile/world.ts";
import { secretFact } from "../secrets.ts";
import { type ProvidedSecret, providedSecret } from "./provided-secrets.ts";
import { offsetOf } from "./yaml-place.ts";
import { readOtherwise } from "./yaml11.ts";

export interface Place {
  file: string;
  line: number;
  column: number;
}

/** A problem that kept a file or an object from being read at all. */
export interface FolderProblem extends Place {
  message: string;
}

/** Finds the position of a path within an object. */
export type Locate = (path: readonly (string | number)[]) => Place;

export interface FolderWorld {
  world: World;
  problems: FolderProblem[];
  /** Values that kubectl would provide when it applies the folder. */
  otherwise: FolderProblem[];
  /** `Kind/namespace/name` → position. */
  places: Map<string, Locate>;
  /** Digest → clear value, for publishing. Kept apart from the world so that nothing compiled can hold a value. */
  secretValues: Map<string, string>;
  /** `namespace/name` → labels of the Secret. */
  secretLabels: Map<string, Readonly<Record<string, string>>>;
  /** `namespace/name` → what another controller makes in the cluster. */
  provided: Map<string, ProvidedSecret>;
}

interface Reading extends FolderWorld {
  env: Readonly<Record<string, string | undefined>>;
  pepper: Uint8Array;
}

/** The argument for standard input, among files and folders. */
const standardInput = "-";

async function manifestFiles(path: string): Promise<string[]> {
  if (path === standardInput) return [path];
  if (!(await stat(path)).isDirectory()) return [path];
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries
    .filter(
      (entry) =>
        !entry.isDirectory() && /\.(ya?ml|json)$/.test(entry.name) && !entry.parentPath.includes("node_modules"),
    )
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function placeAt(file: string, lines: LineCounter, offset: number): Place {
  const { line, col } = lines.linePos(offset);
  return { file, line, column: col };
}

const locator =
  (file: string, lines: LineCounter, document: Document): Locate =>
  (path) =>
    placeAt(file, lines, offsetOf(document, path));

interface RawObject extends Readonly<Record<string, unknown>> {
  apiVersion?: unknown;
  kind?: unknown;
  metadata?: { name?: unknown; namespace?: unknown; labels?: Record<string, string> };
  spec?: unknown;
  data?: Record<string, string>;
  stringData?: Record<string, unknown>;
}

/** Replaces `${NAME}` and `${NAME:-fallback}` by values of the environment; also returns the names that are missing. */
function fillIn(text: string, env: Reading["env"]): { text: string; missing: string[] } {
  const missing: string[] = [];
  const filled = text.replace(
    /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g,
    (_, name: string, fallback: string | undefined) => {
      const value = env[name] || fallback;
      if (value === undefined) missing.push(name);
      return value ?? "";
    },
  );
  return { text: filled, missing };
}

/** Records an object's position; returns false if another document already defines it. */
function declare(what: string, id: string, locate: Locate, into: Reading): boolean {
  const key = `${what}/${id}`;
  const earlier = into.places.get(key)?.(["metadata", "name"]);
  if (earlier !== undefined) {
    const message = `${what} ${id} is defined twice, here and at ${earlier.file}:${earlier.line}; keep one, or read only one of the folders`;
    into.problems.push({ ...locate(["metadata", "name"]), message });
    return false;
  }
  into.places.set(key, locate);
  return true;
}

function readSecret(raw: RawObject, id: string, locate: Locate, into: Reading): void {
  if (!declare("Secret", id, locate, into)) return;
  const facts: Record<string, SecretFact> = {};
  const add = (key: string, value: string): void => {
    const fact = secretFact(into.pepper, value);
    facts[key] = fact;
    into.secretValues.set(fact.digest, value);
  };
  for (const [key, value] of Object.entries(raw.data ?? {}))
    add(key, Buffer.from(String(value), "base64").toString("utf8"));
  for (const [key, value] of Object.entries(raw.stringData ?? {})) {
    const { text, missing } = fillIn(String(value), into.env);
    if (missing.length > 0)
      into.problems.push({
        ...locate(["stringData", key]),
        message: `Secret ${id}: set ${missing.join(", ")} in the environment`,
      });
    else add(key, text);
  }
  into.world.secrets[id] = facts;
  into.secretLabels.set(id, raw.metadata?.labels ?? {});
}

function readObject(raw: RawObject, locate: Locate, into: Reading): void {
  const name = raw.metadata?.name;
  if (typeof raw.kind !== "string" || typeof raw.apiVersion !== "string") {
    into.problems.push({ ...locate([]), message: "this document has no apiVersion and kind" });
    return;
  }
  const provided = providedSecret(raw);
  if (provided !== null) into.provided.set(...provided);
  const ours = raw.apiVersion.startsWith("sluice.dev/");
  const core = raw.apiVersion === "v1" && (raw.kind === "Secret" || raw.kind === "Namespace");
  if (provided === null && (ours || core)) readNamed(raw, name, locate, into);
}

function readNamed(raw: RawObject, name: unknown, locate: Locate, into: Reading): void {
  if (typeof name !== "string" || !/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name)) {
    into.problems.push({ ...locate(["metadata", "name"]), message: "metadata.name must be a lower-case DNS name" });
    return;
  }
  const namespace = raw.metadata?.namespace ?? "default";
  if (typeof namespace !== "string" || !/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(namespace)) {
    into.problems.push({
      ...locate(["metadata", "namespace"]),
      message: "metadata.namespace must be a lower-case DNS label, in quotes where it is a number",
    });
    return;
  }
  if (raw.kind === "Namespace") into.world.namespaces[name] = raw.metadata?.labels ?? {};
  else if (raw.kind === "Secret") readSecret(raw, `${namespace}/${name}`, locate, into);
  else addObject(raw, namespace, name, locate, into);
}

function addObject(raw: RawObject, namespace: string, name: string, locate: Locate, into: Reading): void {
  const kind = kindNames.find((known) => known === raw.kind) as Kind | undefined;
  if (raw.apiVersion !== apiVersion || kind === undefined) {
    const known = kindNames.join(", ");
    into.problems.push({
      ...locate(["kind"]),
      message: `${String(raw.apiVersion)} ${String(raw.kind)} is not a known kind; ${apiVersion} has ${known}`,
    });
    return;
  }
  if (!declare(kind, `${namespace}/${name}`, locate, into)) return;
  // compile validates the spec; this checks only the members around it.
  const metadataOnly = parseObject(kind, { ...raw, spec: {} });
  for (const problem of metadataOnly.ok ? [] : metadataOnly.problems) {
    if (problem.path[0] !== "spec")
      into.problems.push({ ...locate(problem.path), message: `${kind} ${namespace}/${name}: ${problem.message}` });
  }
  into.world.namespaces[namespace] ??= {};
  const meta: WorldObject["meta"] = {
    name,
    namespace,
    uid: "",
    generation: 1,
    createdAtMs: 0,
    labels: raw.metadata?.labels ?? {},
  };
  into.world.objects.push({ kind, meta, spec: raw.spec, status: {} });
}

/** An alias without an anchor, or too many aliases, are detected only here. */
function contentOf(file: string, document: Document.Parsed, lines: LineCounter, into: Reading): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 }) as unknown;
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    into.problems.push({ ...placeAt(file, lines, document.contents?.range?.[0] ?? 0), message });
    return null;
  }
}

function readDocument(file: string, document: Document.Parsed, lines: LineCounter, into: Reading): void {
  for (const error of document.errors)
    into.problems.push({ ...placeAt(file, lines, error.pos[0]), message: error.message.split("\n", 1)[0] ?? "" });
  const raw = document.errors.length > 0 ? null : contentOf(file, document, lines, into);
  if (raw === null || raw === undefined) return;
  const locate = locator(file, lines, document as Document);
  const items = listed(raw);
  if (items !== null || String((raw as RawObject).apiVersion).startsWith("sluice.dev/")) {
    for (const { offset, message } of readOtherwise(document as Document))
      into.otherwise.push({ ...placeAt(file, lines, offset), message });
  }
  if (items === null) readEntry(raw, locate, into);
  else for (const [index, item] of items.entries()) readEntry(item, (path) => locate(["items", index, ...path]), into);
}

/** The objects of a List, as printed by `kubectl get -o yaml`; null if the document isn't a List. */
function listed(raw: unknown): unknown[] | null {
  const { kind, items } = raw as { kind?: unknown; items?: unknown };
  return typeof kind === "string" && kind.endsWith("List") && Array.isArray(items) ? items : null;
}

function readEntry(raw: unknown, locate: Locate, into: Reading): void {
  if (typeof raw === "object" && raw !== null && !Array.isArray(raw)) readObject(raw as RawObject, locate, into);
  else into.problems.push({ ...locate([]), message: "this document is not an object" });
}

function readText(file: string, content: string, into: Reading): void {
  const lines = new LineCounter();
  const documents = parseAllDocuments(content, { lineCounter: lines, uniqueKeys: true });
  if (!("empty" in documents)) for (const document of documents) readDocument(file, document, lines, into);
}

/** An editor's temporary file may be gone by now, and its lock file may be a dangling link. */
async function textOf(file: string): Promise<string> {
  if (file === standardInput) return text(process.stdin);
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw cause;
  }
}

/** Reads files and folders in order. Throws only if a path can't be read. */
export async function readFolder(
  paths: readonly string[],
  env: Reading["env"],
  pepper: Uint8Array,
): Promise<FolderWorld> {
  const into: Reading = {
    world: { objects: [], namespaces: {}, secrets: {} },
    problems: [],
    otherwise: [],
    places: new Map(),
    secretValues: new Map(),
    secretLabels: new Map(),
    provided: new Map(),
    env,
    pepper,
  };
  for (const path of paths) {
    for (const file of await manifestFiles(path)) readText(file, await textOf(file), into);
  }
  const { env: _env, pepper: _pepper, ...folder } = into;
  return folder;
}

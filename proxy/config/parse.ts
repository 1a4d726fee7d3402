/** Documents → RenderedConfig, or the reason for rejecting them. Never accepts part of a config. Pure. */
import { Buffer } from "node:buffer";
import { z } from "zod";
import { credentialName, keyedDigest, sha256Hex } from "./encode.ts";
import type { KeyRecord } from "./key-record.ts";
import type { RouteConfig } from "./route.ts";
import {
  acceptedSchemaVersions,
  budgetsDocument,
  configDocument,
  keysDocument,
  type Manifest,
  manifestDocument,
  providersDocument,
  type RenderedConfig,
  routesDocument,
  seedsDocument,
} from "./schema.ts";

/**
 * File name → content: manifest.json, config.json, routes-N.json, keys-NN.json, pepper, cred-…. Other files are
 * ignored.
 */
export type ConfigFiles = Readonly<Record<string, string | Uint8Array>>;

export type ParsedConfig = { ok: true; config: RenderedConfig; manifest: Manifest } | { ok: false; reason: string };

/** Everything except keys. */
export type KeylessConfig = Omit<RenderedConfig, "keys">;

/** How the keys of one document are stored: there are many, and not every reader needs a list of objects. */
export interface Keeper<K> {
  add(record: KeyRecord): void;
  /** Everything that was added. */
  kept(): K;
}

/** `keys`: one entry for each document; for an unchanged document, the same object as before. */
export type ParsedKeeping<K> =
  | { ok: true; config: KeylessConfig; manifest: Manifest; keys: K[] }
  | { ok: false; reason: string };

/** Work in steps of at most a few milliseconds. The caller may do other things wherever it yields. */
export type Steps<T> = Generator<void, T, void>;

/** Runs all steps without a pause. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** Parsed documents by digest, so that an unchanged shard isn't parsed again. The caller keeps it between parses. */
export type ParsedDocuments = Map<string, unknown>;

class Rejected extends Error {}

function contentOf(files: ConfigFiles, name: string): string | Uint8Array {
  const content = files[name];
  if (content === undefined) throw new Rejected(`${name} is missing`);
  return content;
}

const textOf = (content: string | Uint8Array): string =>
  typeof content === "string"
    ? content
    : Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString("utf8");

function misfit(name: string, path: readonly PropertyKey[], { issues }: z.ZodError): Rejected {
  const [issue] = issues;
  const where = [...path, ...(issue?.path ?? [])].join(".");
  return new Rejected(`${name}: ${where}: ${issue?.message ?? "does not fit the schema"}`);
}

/** List entries checked in one step. */
const atATime = 64;

function listKeeper<T>(): { add(entry: T): void; kept(): T[] } {
  const entries: T[] = [];
  return { add: (entry) => void entries.push(entry), kept: () => entries };
}

type Keeping = () => { add(entry: never): void; kept(): unknown };

/**
 * Checks the lists of a document in batches, since some have thousands of entries. `keeping`: how their entries are
 * stored.
 */
function* fitting<S extends z.ZodObject>(name: string, value: object, schema: S, keeping: Keeping): Steps<z.output<S>> {
  const lists = Object.entries(schema.shape).filter(
    ([member, shape]) => shape instanceof z.ZodArray && Array.isArray((value as Record<string, unknown>)[member]),
  );
  const frame = schema.safeParse({ ...value, ...Object.fromEntries(lists.map(([member]) => [member, []])) });
  if (!frame.success) throw misfit(name, [], frame.error);
  const whole = frame.data as Record<string, unknown>;
  for (const [member, list] of lists) {
    const entry = (list as z.ZodArray).element as z.ZodType;
    const entries = keeping();
    for (const [index, item] of ((value as Record<string, unknown>)[member] as unknown[]).entries()) {
      if (index % atATime === 0) yield;
      const parsed = entry.safeParse(item);
      if (!parsed.success) throw misfit(name, [member, index], parsed.error);
      entries.add(parsed.data as never);
    }
    whole[member] = entries.kept();
  }
  return whole as z.output<S>;
}

function* decode<S extends z.ZodObject>(
  name: string,
  bytes: string,
  schema: S,
  keeping: Keeping = listKeeper,
): Steps<z.output<S>> {
  let value: unknown;
  try {
    value = JSON.parse(bytes);
  } catch {
    throw new Rejected(`${name} is not JSON`);
  }
  const version = (value as { schemaVersion?: unknown } | null)?.schemaVersion;
  if (typeof version !== "number" || !acceptedSchemaVersions.includes(version)) {
    throw new Rejected(
      `${name} has schema version ${String(version)}; this proxy reads ${acceptedSchemaVersions.join(", ")}`,
    );
  }
  yield;
  return yield* fitting(name, value as object, schema, keeping);
}

function* document<S extends z.ZodObject>(
  files: ConfigFiles,
  manifest: Manifest,
  name: string,
  schema: S,
  cache: ParsedDocuments,
  keeping?: Keeping,
): Steps<z.output<S>> {
  const wanted = manifest.documents[name];
  if (wanted === undefined) throw new Rejected(`the manifest names no ${name}`);
  const bytes = contentOf(files, name);
  if (sha256Hex(bytes) !== wanted)
    throw new Rejected(`${name} is not the one that revision ${manifest.revision} names`);
  yield;
  const cached = cache.get(wanted) as z.output<S> | undefined;
  if (cached !== undefined) return cached;
  const value = yield* decode(name, textOf(bytes), schema, keeping);
  cache.set(wanted, value);
  return value;
}

type Whole<K> = Omit<Extract<ParsedKeeping<K>, { ok: true }>, "ok">;

function* parseAll<K>(files: ConfigFiles, cache: ParsedDocuments, keeper: () => Keeper<K>): Steps<Whole<K>> {
  const manifest = yield* decode("manifest.json", textOf(contentOf(files, "manifest.json")), manifestDocument);
  try {
    return yield* parseNamed(files, manifest, cache, keeper);
  } finally {
    const named = new Set(Object.values(manifest.documents));
    for (const digest of [...cache.keys()]) if (!named.has(digest)) cache.delete(digest);
  }
}

function* parseNamed<K>(
  files: ConfigFiles,
  manifest: Manifest,
  cache: ParsedDocuments,
  keeper: () => Keeper<K>,
): Steps<Whole<K>> {
  const main = yield* document(files, manifest, "config.json", configDocument, cache);
  const seeds =
    "seeds.json" in manifest.documents
      ? (yield* document(files, manifest, "seeds.json", seedsDocument, cache)).seeds
      : [];
  const routes: RouteConfig[] = [];
  const keys: K[] = [];
  const providers = [...main.providers];
  const budgets = [...main.budgets];
  for (const name of Object.keys(manifest.documents).sort()) {
    if (name.startsWith("routes-"))
      for (const route of (yield* document(files, manifest, name, routesDocument, cache)).routes) routes.push(route);
    if (name.startsWith("providers-"))
      providers.push(...(yield* document(files, manifest, name, providersDocument, cache)).providers);
    if (name.startsWith("budgets-"))
      budgets.push(...(yield* document(files, manifest, name, budgetsDocument, cache)).budgets);
    if (name.startsWith("keys-"))
      keys.push((yield* document(files, manifest, name, keysDocument, cache, keeper)).keys as K);
  }
  for (const entries of [routes, providers, budgets]) entries.sort((a, b) => (a.id < b.id ? -1 : 1));
  const { settings } = main;
  return { config: { settings, providers, budgets, routes, ...(seeds.length === 0 ? {} : { seeds }) }, manifest, keys };
}

/**
 * `parseDocuments` in steps, storing keys as the caller chooses. A cache must always be used with the same way of
 * storing. If the caller stops half way with `return()`, what was parsed stays in the cache.
 */
export function* parsing<K>(
  files: ConfigFiles,
  cache: ParsedDocuments,
  keeper: () => Keeper<K>,
): Steps<ParsedKeeping<K>> {
  try {
    return { ok: true, ...(yield* parseAll(files, cache, keeper)) };
  } catch (cause) {
    if (cause instanceof Rejected) return { ok: false, reason: cause.message };
    throw cause;
  }
}

/**
 * Reads the documents that the manifest lists and checks every digest. Credentials are checked by `readCredentials`.
 */
export function parseDocuments(files: ConfigFiles, cache: ParsedDocuments = new Map()): ParsedConfig {
  const parsed = atOnce(parsing(files, cache, () => listKeeper<KeyRecord>()));
  if (!parsed.ok) return parsed;
  const { config, manifest, keys } = parsed;
  return { ok: true, config: { ...config, keys: ([] as KeyRecord[]).concat(...keys) }, manifest };
}

/**
 * Reads credentials by name and checks each against its name, which derives from its content. Returns the reason if one
 * is missing or wrong.
 */
export function readCredentials(
  files: ConfigFiles,
  manifest: Manifest,
):
  | { ok: true; pepper: Uint8Array; previousPepper: Uint8Array | null; credentials: Map<string, string> }
  | { ok: false; reason: string } {
  const pepper = files["pepper"];
  if (pepper === undefined) return { ok: false, reason: "pepper is missing" };
  const pepperBytes = typeof pepper === "string" ? Buffer.from(pepper) : pepper;
  if (sha256Hex(pepperBytes) !== manifest.pepperId)
    return { ok: false, reason: "pepper is not the one that the manifest names" };
  const credentials = new Map<string, string>();
  for (const name of manifest.credentials) {
    const value = files[name];
    if (value === undefined) return { ok: false, reason: `${name} is missing` };
    const clear = typeof value === "string" ? value : Buffer.from(value).toString("utf8");
    if (credentialName(keyedDigest(pepperBytes, clear)) !== name)
      return { ok: false, reason: `${name} does not hold what its name says` };
    credentials.set(name, clear);
  }
  const previous = files["pepper-previous"];
  const previousPepper = typeof previous === "string" ? Buffer.from(previous) : (previous ?? null);
  return { ok: true, pepper: pepperBytes, previousPepper, credentials };
}

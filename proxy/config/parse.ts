/** Documents → RenderedConfig, or the reason why not. Nothing is half accepted. Pure. */
import { Buffer } from "node:buffer";
import type { z } from "zod";
import { credentialName, keyedDigest, sha256Hex } from "./encode.ts";
import {
  acceptedSchemaVersions,
  configDocument,
  type KeyRecord,
  keysDocument,
  type Manifest,
  manifestDocument,
  type RenderedConfig,
  type RouteConfig,
  routesDocument,
  seedsDocument,
} from "./schema.ts";

/** File name → content: manifest.json, config.json, routes-N.json, keys-NN.json, pepper, cred-…. Others are ignored. */
export type ConfigFiles = Readonly<Record<string, string | Uint8Array>>;

export type Parsed = { ok: true; config: RenderedConfig; manifest: Manifest } | { ok: false; reason: string };

/** Parsed documents by digest, so that an unchanged shard is not read again. The caller keeps it from one parse to the next. */
export type ParsedDocuments = Map<string, unknown>;

class Rejected extends Error {}

function text(files: ConfigFiles, name: string): string {
  const content = files[name];
  if (content === undefined) throw new Rejected(`${name} is missing`);
  return typeof content === "string" ? content : Buffer.from(content).toString("utf8");
}

function decode<T>(name: string, bytes: string, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(bytes);
  } catch {
    throw new Rejected(`${name} is not JSON`);
  }
  const version = (value as { schemaVersion?: unknown } | null)?.schemaVersion;
  if (typeof version !== "number" || !acceptedSchemaVersions.includes(version)) {
    throw new Rejected(`${name} has schema version ${String(version)}; this proxy reads ${acceptedSchemaVersions.join(", ")}`);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new Rejected(`${name}: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? "does not fit the schema"}`);
}

function document<T>(files: ConfigFiles, manifest: Manifest, name: string, schema: z.ZodType<T>, cache: ParsedDocuments, used: ParsedDocuments): T {
  const wanted = manifest.documents[name];
  if (wanted === undefined) throw new Rejected(`the manifest names no ${name}`);
  const known = cache.get(wanted) as T | undefined;
  if (known !== undefined) {
    if (sha256Hex(text(files, name)) !== wanted) throw new Rejected(`${name} is not the one that revision ${manifest.revision} names`);
    used.set(wanted, known);
    return known;
  }
  const bytes = text(files, name);
  if (sha256Hex(bytes) !== wanted) throw new Rejected(`${name} is not the one that revision ${manifest.revision} names`);
  const value = decode(name, bytes, schema);
  used.set(wanted, value);
  return value;
}

function parseAll(files: ConfigFiles, cache: ParsedDocuments): { config: RenderedConfig; manifest: Manifest } {
  const manifest = decode("manifest.json", text(files, "manifest.json"), manifestDocument);
  const used: ParsedDocuments = new Map();
  const main = document(files, manifest, "config.json", configDocument, cache, used);
  const seeds = "seeds.json" in manifest.documents ? document(files, manifest, "seeds.json", seedsDocument, cache, used).seeds : [];
  const routes: RouteConfig[] = [];
  const keys: KeyRecord[] = [];
  for (const name of Object.keys(manifest.documents).sort()) {
    if (name.startsWith("routes-")) for (const route of document(files, manifest, name, routesDocument, cache, used).routes) routes.push(route);
    if (name.startsWith("keys-")) for (const key of document(files, manifest, name, keysDocument, cache, used).keys) keys.push(key);
  }
  cache.clear();
  for (const [digest, value] of used) cache.set(digest, value);
  routes.sort((a, b) => (a.id < b.id ? -1 : 1));
  return {
    config: { settings: main.settings, providers: main.providers, budgets: main.budgets, routes, keys, ...(seeds.length === 0 ? {} : { seeds }) },
    manifest,
  };
}

/** Reads what the manifest names and checks every digest. Credentials are checked by `readCredentials`. */
export function parseDocuments(files: ConfigFiles, cache: ParsedDocuments = new Map()): Parsed {
  try {
    return { ok: true, ...parseAll(files, cache) };
  } catch (cause) {
    if (cause instanceof Rejected) return { ok: false, reason: cause.message };
    throw cause;
  }
}

/** Credentials by name, each checked against its content-made name; the reason where one is missing or another. */
export function readCredentials(
  files: ConfigFiles,
  manifest: Manifest,
): { ok: true; pepper: Uint8Array; credentials: Map<string, string> } | { ok: false; reason: string } {
  const pepper = files["pepper"];
  if (pepper === undefined) return { ok: false, reason: "pepper is missing" };
  const pepperBytes = typeof pepper === "string" ? Buffer.from(pepper) : pepper;
  if (sha256Hex(pepperBytes) !== manifest.pepperId) return { ok: false, reason: "pepper is not the one that the manifest names" };
  const credentials = new Map<string, string>();
  for (const name of manifest.credentials) {
    const value = files[name];
    if (value === undefined) return { ok: false, reason: `${name} is missing` };
    const clear = typeof value === "string" ? value : Buffer.from(value).toString("utf8");
    if (credentialName(keyedDigest(pepperBytes, clear)) !== name) return { ok: false, reason: `${name} does not hold what its name says` };
    credentials.set(name, clear);
  }
  return { ok: true, pepper: pepperBytes, credentials };
}

/** Adds settings to a client's file, and says what changes. Existing values stay unless they may be replaced. */
import { randomBytes } from "node:crypto";
import { chmod, mkdir, readFile, realpath, rename, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { isMap, parseDocument, stringify } from "yaml";
import { hasMembers } from "../has-members.ts";
import type { SettingsFile } from "./clients.ts";

type Settings = SettingsFile["settings"];
type Leaf = [path: string[], value: string | number | boolean];

export interface SettingChange {
  path: string;
  /** The existing value; undefined if there was none. */
  before: string | undefined;
  after: string;
}

export interface Merged {
  text: string;
  changes: SettingChange[];
}

const bare = /^[A-Za-z0-9_-]+$/;
const tomlKey = (key: string): string => (bare.test(key) ? key : JSON.stringify(key));

/** Scalars come before tables, as TOML requires. */
function tomlOf(settings: Settings, above: readonly string[] = []): string {
  const entries = Object.entries(settings);
  const scalars = entries.filter(([, value]) => !hasMembers(value));
  const lines = scalars.map(([key, value]) => `${tomlKey(key)} = ${JSON.stringify(value)}`);
  const head = above.length === 0 || lines.length === 0 ? [] : [`[${above.map(tomlKey).join(".")}]`];
  const tables = entries.flatMap(([key, value]) =>
    hasMembers(value) ? [tomlOf(value as Settings, [...above, key])] : [],
  );
  return [[...head, ...lines].join("\n"), ...tables].filter((part) => part !== "").join("\n\n");
}

function leavesOf(settings: Settings, above: string[] = []): Leaf[] {
  return Object.entries(settings).flatMap(([key, value]): Leaf[] =>
    typeof value === "object" ? leavesOf(value, [...above, key]) : [[[...above, key], value]],
  );
}

/** The text of a new file with only these settings. */
export function freshText({ format, settings }: SettingsFile): string {
  if (format === "toml") return `${tomlOf(settings)}\n`;
  if (format === "json") return `${JSON.stringify(settings, null, 2)}\n`;
  return stringify(settings);
}

const shown = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

function mergeJson(settings: Settings, before: string): Merged {
  const parsed: unknown = JSON.parse(before);
  if (!hasMembers(parsed)) throw new Error("it is not a JSON object");
  const changes = mergeInto(parsed, settings, []);
  return { text: `${JSON.stringify(parsed, null, 2)}\n`, changes };
}

function mergeInto(target: Record<string, unknown>, settings: Settings, above: string[]): SettingChange[] {
  return Object.entries(settings).flatMap(([key, value]): SettingChange[] => {
    const path = [...above, key];
    const had = Object.hasOwn(target, key) ? target[key] : undefined;
    if (typeof value === "object") {
      if (hasMembers(had)) return mergeInto(had, value, path);
      target[key] = value;
      return had === undefined
        ? leavesOf(value, path).map(([place, leaf]) => added(place, leaf))
        : [changed(path, had, value)];
    }
    if (had === value) return [];
    target[key] = value;
    return [changed(path, had, value)];
  });
}

const added = (path: string[], value: unknown): SettingChange => changed(path, undefined, value);

const changed = (path: string[], before: unknown, after: unknown): SettingChange => ({
  path: path.join("."),
  before: before === undefined ? undefined : shown(before),
  after: shown(after),
});

/** Keeps comments and order. */
function mergeYaml(settings: Settings, before: string): Merged {
  const document = parseDocument(before);
  const [broken] = document.errors;
  if (broken !== undefined) throw broken;
  if (document.contents !== null && !isMap(document.contents)) throw new Error("it is not a YAML mapping");
  const changes: SettingChange[] = [];
  for (const [path, value] of leavesOf(settings)) {
    const had: unknown = document.getIn(path);
    if (had === value) continue;
    changes.push(changed(path, had, value));
    document.setIn(path, value);
  }
  return { text: document.toString(), changes };
}

/** `before`: null if there is no file. */
export function merged(file: SettingsFile, before: string | null): Merged {
  if (before === null || before.trim() === "")
    return { text: freshText(file), changes: leavesOf(file.settings).map(([path, value]) => added(path, value)) };
  if (file.format === "json") return mergeJson(file.settings, before);
  if (file.format === "yaml") return mergeYaml(file.settings, before);
  const text = freshText(file);
  return { text, changes: text === before ? [] : [changed(["the whole file"], "another text", "these settings")] };
}

export async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw cause;
  }
}

/** Replaces a file atomically. A symbolic link stays, and its target is replaced. */
export async function replaceFile(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const real = await realpath(path).catch(() => path);
  const mode = await stat(real).then(
    (there) => there.mode & 0o777,
    () => 0o600,
  );
  const next = `${real}.${randomBytes(6).toString("hex")}`;
  await writeFile(next, text, { mode, flag: "wx" });
  await chmod(next, mode);
  await rename(next, real);
}

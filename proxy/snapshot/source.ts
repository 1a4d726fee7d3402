/** Where the rendered config comes from: a mounted folder, or memory for `sluice dev`. */
import { watch } from "node:fs";
import { readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import type { ConfigFiles } from "../config/parse.ts";

export interface ConfigSource {
  current(): Promise<ConfigFiles>;
  /** Returns an identifier of the content without reading it, or null if there is none. Optional. */
  version?(): Promise<string | null>;
  /** Reads one file, faster than the whole content; null if it does not exist. Optional. */
  read?(name: string): Promise<Uint8Array | null>;
  /** Calls `onChange` after a possible change. Returns a function that stops watching. */
  watch(onChange: () => void): () => void;
}

const belongs = (name: string): boolean =>
  /^pepper(-previous)?$/.test(name) || name.startsWith("cred-") || name.endsWith(".json");

/**
 * A file may disappear between listing and reading, and a link may be broken; such a file is not part of the config.
 */
async function readIfThere(path: string): Promise<Uint8Array | null> {
  try {
    return await readFile(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw cause;
  }
}

async function readFolder(folder: string): Promise<ConfigFiles> {
  const names = (await readdir(folder)).filter(belongs);
  const files = await Promise.all(names.map(async (name) => [name, await readIfThere(join(folder, name))] as const));
  return Object.fromEntries(files.filter((file): file is [string, Uint8Array] => file[1] !== null));
}

/**
 * Reads a folder laid out as kubelet lays out a volume: entries are links through `..data`, which is swapped as a
 * whole. The folder is watched and also read every `pollMs`, since not every file system reports changes.
 */
export function folderSource(folder: string, pollMs: number): ConfigSource {
  return {
    current: () => readFolder(folder),
    // Kubelet writes each version of the content to a new folder.
    version: () => readlink(join(folder, "..data")).catch(() => null),
    // Through `..data`, since the link to a file that is new is made after the content is swapped.
    read: async (name) => (await readIfThere(join(folder, "..data", name))) ?? readIfThere(join(folder, name)),
    watch(onChange) {
      const poll = setInterval(onChange, pollMs);
      poll.unref();
      let watcher: ReturnType<typeof watch> | null = null;
      try {
        watcher = watch(folder, onChange);
        watcher.on("error", () => undefined);
      } catch {
        // The folder doesn't exist yet; polling will find it.
      }
      return () => {
        clearInterval(poll);
        watcher?.close();
      };
    },
  };
}

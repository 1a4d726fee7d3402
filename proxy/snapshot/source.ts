/** Where the rendered config comes from: a mounted folder, or memory in `sluice dev`. */
import { watch } from "node:fs";
import { readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import type { ConfigFiles } from "../config/parse.ts";

export interface ConfigSource {
  current(): Promise<ConfigFiles>;
  /** Tells one content from another without reading it; null where that can't be told, or the method is absent. */
  version?(): Promise<string | null>;
  /** Calls back after something may have changed; returns how to stop. */
  watch(onChange: () => void): () => void;
}

const belongs = (name: string): boolean =>
  /^pepper(-previous)?$/.test(name) || name.startsWith("cred-") || name.endsWith(".json");

/** A file may go between listing and reading, and a link may lead nowhere: then it is not part of the config. */
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
 * A folder kept as kubelet keeps a volume: entries are links through `..data`, which is swapped as a whole. The folder
 * is watched, and read every `pollMs` besides, because not every file system tells of changes.
 */
export function folderSource(folder: string, pollMs: number): ConfigSource {
  return {
    current: () => readFolder(folder),
    // Kubelet writes every content into a folder of its own.
    version: () => readlink(join(folder, "..data")).catch(() => null),
    watch(onChange) {
      const poll = setInterval(onChange, pollMs);
      poll.unref();
      let watcher: ReturnType<typeof watch> | null = null;
      try {
        watcher = watch(folder, onChange);
        watcher.on("error", () => undefined);
      } catch {
        // The folder isn't there yet: polling finds it.
      }
      return () => {
        clearInterval(poll);
        watcher?.close();
      };
    },
  };
}

/** Where the rendered config comes from: a mounted folder, or memory in `sluice dev`. */
import { watch } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ConfigFiles } from "../config/parse.ts";

export interface ConfigSource {
  current(): Promise<ConfigFiles>;
  /** Calls back after something may have changed; returns how to stop. */
  watch(onChange: () => void): () => void;
}

const belongs = (name: string): boolean => name === "pepper" || name.startsWith("cred-") || name.endsWith(".json");

async function readFolder(folder: string): Promise<ConfigFiles> {
  const names = (await readdir(folder)).filter(belongs);
  const contents = await Promise.all(names.map((name) => readFile(join(folder, name))));
  return Object.fromEntries(names.map((name, at) => [name, contents[at] ?? ""]));
}

/**
 * A folder kept as kubelet keeps a volume: entries are links through `..data`, which is swapped as a whole. The folder
 * is watched, and read every `pollMs` besides, because not every file system tells of changes.
 */
export function folderSource(folder: string, pollMs: number): ConfigSource {
  return {
    current: () => readFolder(folder),
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

/**
 * The images of the end-to-end lane, built by buildah: the project's own Dockerfile on a stand-in for node:24-slim, which
 * is made from Debian's packages and the npm package `node`, since no image registry is needed that way.
 */
import { createHash } from "node:crypto";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cacheFolder, withLock } from "../harness/cache-folder.ts";
import { type CommandOptions, lastLines, run, runAgain } from "../harness/command.ts";

const root = join(import.meta.dirname, "../..");
const baseName = "localhost/node:24-slim";

export interface Images {
  /** Files for `ctr images import`. */
  archives: string[];
  sluice: { name: string; digest: string; megabytes: number };
}

async function must(command: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const done = await run(command, args, options);
  if (done.code !== 0)
    throw new Error(`${command} ${args.slice(0, 6).join(" ")} failed:\n${lastLines(done.stderr, 15)}`);
  return done.stdout.trim();
}

/** Debian's minbase with Node.js and npm in it, laid out as in the official image. */
async function baseRoot(folder: string): Promise<void> {
  const archive = join(folder, "minbase.tar");
  const sources = "/etc/apt/sources.list.d/debian.sources";
  const options = ["--variant=minbase", "--components=main", "--include=ca-certificates", "bookworm", archive, sources];
  const made = await runAgain("mmdebstrap", options);
  if (made.code !== 0) throw new Error(`mmdebstrap failed:\n${lastLines(made.stderr, 10)}`);
  const base = join(folder, "base");
  await mkdir(base);
  await must("tar", ["-C", base, "-xf", archive, "--exclude=./dev/*"]);
  const user = { passwd: "node:x:1000:1000::/home/node:/bin/bash\n", group: "node:x:1000:\n" };
  for (const [file, line] of Object.entries(user)) await writeFile(join(base, "etc", file), line, { flag: "a" });
  await cp(join(root, "node_modules/node/bin/node"), join(base, "usr/local/bin/node"));
  const npm = join(base, "usr/local/lib/node_modules/npm");
  await mkdir(npm, { recursive: true });
  const packed = (await must("npm", ["pack", "--silent", "npm@11"], { cwd: folder })).split("\n").at(-1) ?? "";
  await must("tar", ["-C", npm, "--strip-components=1", "-xzf", join(folder, packed)]);
  await symlink("../lib/node_modules/npm/bin/npm-cli.js", join(base, "usr/local/bin/npm"));
  await must("chmod", ["755", join(npm, "bin/npm-cli.js")]);
}

export class Builder {
  readonly #storage: string[];
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
    const state = ["--root", join(folder, "storage"), "--runroot", join(folder, "storage-run")];
    this.#storage = [...state, "--storage-driver", "overlay"];
  }

  static async open(): Promise<Builder> {
    const folder = join(await cacheFolder(), "e2e-images");
    await mkdir(folder, { recursive: true });
    return new Builder(folder);
  }

  #buildah(args: readonly string[], options: CommandOptions = {}): Promise<string> {
    const [verb = "", ...rest] = args;
    return must("buildah", [verb, ...this.#storage, ...rest], options);
  }

  async #has(image: string): Promise<boolean> {
    return (await run("buildah", ["inspect", ...this.#storage, "--type", "image", image])).code === 0;
  }

  async #commit(name: string, from: string, files: readonly (readonly [string, string])[], config: string[]) {
    const container = await this.#buildah(["from", "--pull-never", from]);
    for (const [source, target] of files) await this.#buildah(["copy", "-q", container, source, target]);
    await this.#buildah(["config", ...config, container]);
    await this.#buildah(["commit", "-q", "--rm", container, name]);
  }

  async #base(): Promise<void> {
    if (await this.#has(baseName)) return;
    const folder = await mkdtemp(join(tmpdir(), "sluice-base-"));
    try {
      await baseRoot(folder);
      const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
      await this.#commit(baseName, "scratch", [[join(folder, "base"), "/"]], ["--env", path, "--cmd", "node"]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** Builds the Dockerfile as it is. The machine's npm settings are mounted for `npm ci`, and are not in the image. */
  async #dockerfile(tag: string): Promise<void> {
    const settings = ["userconfig", "globalconfig"].map(async (name, index) => {
      const file = await must("npm", ["config", "get", name]);
      const target = index === 0 ? "/root/.npmrc" : "/usr/local/etc/npmrc";
      return (await readFile(file).catch(() => null)) === null ? [] : ["-v", `${file}:${target}:ro`];
    });
    const options = [
      "--build-arg",
      `NODE_IMAGE=${baseName}`,
      "--timestamp",
      "0",
      "--runtime",
      "/usr/sbin/runc",
      "--pull-never",
      "--network",
      "host",
    ];
    const mounts = ["-v", "/etc/ssl/certs:/etc/ssl/certs:ro", ...(await Promise.all(settings)).flat()];
    await this.#buildah(["bud", ...options, ...mounts, "-t", tag, root]);
  }

  async #pause(): Promise<void> {
    if (await this.#has("localhost/pause:1")) return;
    const binary = join(this.#folder, "pause");
    await must("gcc", ["-Os", "-static", "-o", binary, join(import.meta.dirname, "node/pause.c")]);
    const config = ["--entrypoint", '["/pause"]', "--user", "65535:65535"];
    await this.#commit("localhost/pause:1", "scratch", [[binary, "/pause"]], config);
  }

  /** An application that knows only OpenAI's SDK. */
  async #app(): Promise<void> {
    if (await this.#has("localhost/app:1")) return;
    const sdk = join(root, "node_modules/openai");
    const config = ["--workingdir", "/app", "--user", "1000:1000", "--cmd", "node"];
    await this.#commit("localhost/app:1", baseName, [[sdk, "/app/node_modules/openai"]], config);
  }

  async build(): Promise<Images> {
    return withLock("e2e-images", async () => {
      await this.#base();
      const name = "localhost/sluice:0.1.0";
      await this.#dockerfile(name);
      await Promise.all([this.#pause(), this.#app()]);
      const archives: string[] = [];
      for (const image of [name, "localhost/pause:1", "localhost/app:1"]) {
        const archive = join(this.#folder, `${createHash("sha256").update(image).digest("hex").slice(0, 8)}.tar`);
        await rm(archive, { force: true });
        await this.#buildah(["push", "-q", image, `docker-archive:${archive}:${image}`]);
        archives.push(archive);
      }
      const [about] = JSON.parse(await this.#buildah(["images", "--json", name]));
      return { archives, sluice: { name, digest: about.digest, megabytes: Number.parseFloat(about.size) } };
    });
  }
}

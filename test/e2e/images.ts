/**
 * The images of the end-to-end lane, built by buildah: the project's own Dockerfile on a stand-in for node:24-slim, which
 * is made from the machine's packages and the npm package `node`, since no image registry is needed that way.
 */
import { createHash } from "node:crypto";
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { cacheFolder, withLock } from "../harness/cache-folder.ts";
import { type CommandOptions, lastLines, run, runAgain } from "../harness/command.ts";
import { ensureDebian } from "../harness/tools.ts";
import { ensureValkey } from "../harness/valkey.ts";

const root = join(import.meta.dirname, "../..");
const baseName = "localhost/node:24-slim";

/** Servers that proxies share their state in, and where each comes from. */
const storeImages: Readonly<Record<string, () => Promise<string>>> = {
  "localhost/redis:1": () => ensureDebian("redis-server", "redis-server"),
  "localhost/valkey:1": ensureValkey,
};

/** The tag of the image of this checkout. The image of an earlier commit has the commit as its tag. */
export const currentTag = "0.1.0";

const archivesKeptMs = 86_400_000;

/** `id`: of the image's content. */
const archiveOf = (folder: string, image: string, id: string): string =>
  join(folder, `${createHash("sha256").update(`${image} ${id}`).digest("hex").slice(0, 16)}.tar`);

export interface Images {
  /** Files for `ctr images import`. */
  archives: string[];
  sluice: BuiltImage;
}

export interface BuiltImage {
  name: string;
  digest: string;
  megabytes: number;
}

async function must(command: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const done = await run(command, args, options);
  if (done.code !== 0)
    throw new Error(`${command} ${args.slice(0, 6).join(" ")} failed:\n${lastLines(done.stderr, 15)}`);
  return done.stdout.trim();
}

/** The machine's own release of Debian or Ubuntu, with Node.js and npm in it as in the official image. */
async function baseRoot(folder: string): Promise<void> {
  const archive = join(folder, "minbase.tar");
  const release = Object.fromEntries(
    [...(await readFile("/etc/os-release", "utf8")).matchAll(/^(\w+)="?([^"\n]*)/gm)].map(([, name, value]) => [
      name,
      value,
    ]),
  );
  const sources = `/etc/apt/sources.list.d/${release["ID"]}.sources`;
  const suite: string = release["VERSION_CODENAME"] ?? "";
  const options = ["--variant=minbase", "--components=main", "--include=ca-certificates", suite, archive, sources];
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

/** What an image is made of: two folders with the same sources have the same image. */
async function digestOfSources(folder: string): Promise<string> {
  const hash = createHash("sha256");
  for (const part of [
    "Dockerfile",
    "package.json",
    "package-lock.json",
    "LICENSE",
    "cli",
    "crds",
    "operator",
    "proxy",
  ]) {
    const below = await readdir(join(folder, part), { recursive: true, withFileTypes: true }).catch(() => []);
    const names = below.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    for (const name of below.length > 0 ? names.sort() : [join(folder, part)])
      hash.update(relative(folder, name)).update(await readFile(name).catch(() => ""));
  }
  return hash.digest("hex").slice(0, 16);
}

/** The files of an earlier commit, in a folder of their own. */
export async function checkout(commit: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-commit-"));
  const archive = join(folder, "archive.tar");
  await must("git", ["-C", root, "archive", "--format=tar", "-o", archive, commit]);
  await must("tar", ["-C", folder, "-xf", archive]);
  await rm(archive);
  // Earlier Dockerfiles name their base image, which no registry is asked for here.
  const file = join(folder, "Dockerfile");
  const text = (await readFile(file, "utf8")).replaceAll(/^FROM node:24-slim/gm, `FROM ${baseName}`);
  await writeFile(file, text);
  return folder;
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

  /** Builds a Dockerfile as it is. The machine's npm settings and cache are mounted for `npm ci`, and are not in the image. */
  async #dockerfile(folder: string, tag: string): Promise<void> {
    const settings = ["userconfig", "globalconfig"].map(async (name, index) => {
      const file = await must("npm", ["config", "get", name]);
      const target = index === 0 ? "/root/.npmrc" : "/usr/local/etc/npmrc";
      return (await readFile(file).catch(() => null)) === null ? [] : ["-v", `${file}:${target}:ro`];
    });
    const base = ["--build-arg", `NODE_IMAGE=${baseName}`, "--timestamp", "0", "--pull-never"];
    const runtime = ["--runtime", "/usr/sbin/runc", "--network", "host"];
    const cache = ["-v", `${await must("npm", ["config", "get", "cache"])}:/root/.npm`];
    const mounts = ["-v", "/etc/ssl/certs:/etc/ssl/certs:ro", ...cache, ...(await Promise.all(settings)).flat()];
    await this.#buildah(["bud", ...base, ...runtime, ...mounts, "-t", tag, folder]);
  }

  /** The image of a folder's sources, built if there is none. */
  async #sluice(folder: string, tag: string): Promise<string> {
    const built = `localhost/sluice-sources:${await digestOfSources(folder)}`;
    if (!(await this.#has(built))) await this.#dockerfile(folder, built);
    const name = `localhost/sluice:${tag}`;
    await this.#buildah(["tag", built, name]);
    return name;
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

  /** A server's binary and the libraries that it is linked to. */
  async #server(image: string, ensure: () => Promise<string>): Promise<void> {
    if (await this.#has(image)) return;
    const binary = await ensure();
    const folder = await mkdtemp(join(tmpdir(), "sluice-server-"));
    try {
      const linked = [...(await must("ldd", [binary])).matchAll(/(\/\S+) \(0x/g)].map((match) => match[1] ?? "");
      for (const file of linked) await cp(file, join(folder, file), { dereference: true });
      await cp(binary, join(folder, "usr/bin/server"), { dereference: true });
      const config = ["--entrypoint", '["/usr/bin/server"]', "--user", "1000:1000"];
      await this.#commit(image, "scratch", [[folder, "/"]], config);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** All images, those of earlier commits included. */
  async build(commits: readonly string[] = []): Promise<Images> {
    return withLock("e2e-images", async () => {
      await this.#base();
      const name = await this.#sluice(root, currentTag);
      const names = [name, "localhost/pause:1", "localhost/app:1", ...Object.keys(storeImages)];
      for (const commit of commits) {
        const folder = await checkout(commit);
        names.push(await this.#sluice(folder, commit));
        await rm(folder, { recursive: true, force: true });
      }
      const stores = Object.entries(storeImages).map(([image, ensure]) => this.#server(image, ensure));
      await Promise.all([this.#pause(), this.#app(), ...stores]);
      const archives: string[] = [];
      for (const image of names) archives.push(await this.#archive(image));
      await this.#prune();
      return { archives, sluice: await this.#about(name) };
    });
  }

  /**
   * A file of the image, named by its content: checkouts share this folder, and a node reads the file when the lock is
   * free again.
   */
  async #archive(image: string): Promise<string> {
    const [{ id }] = JSON.parse(await this.#buildah(["images", "--json", image]));
    const archive = archiveOf(this.#folder, image, id);
    const now = new Date();
    if (
      await utimes(archive, now, now).then(
        () => true,
        () => false,
      )
    )
      return archive;
    await rm(`${archive}.part`, { force: true });
    await this.#buildah(["push", "-q", image, `docker-archive:${archive}.part:${image}`]);
    await rename(`${archive}.part`, archive);
    return archive;
  }

  /** Archives that no run has used for a day. */
  async #prune(): Promise<void> {
    for (const name of await readdir(this.#folder)) {
      const file = join(this.#folder, name);
      const isOld = /\.tar(\.id|\.part)?$/.test(name) && (await stat(file)).mtimeMs < Date.now() - archivesKeptMs;
      if (isOld) await rm(file, { force: true });
    }
  }

  async #about(name: string): Promise<BuiltImage> {
    const [about] = JSON.parse(await this.#buildah(["images", "--json", name]));
    return { name, digest: about.digest, megabytes: Number.parseFloat(about.size) };
  }

  /** Builds this checkout's image once more, from nothing. */
  async buildAgain(): Promise<BuiltImage> {
    return withLock("e2e-images", async () => {
      const name = "localhost/sluice:again";
      await this.#dockerfile(root, name);
      return this.#about(name);
    });
  }
}

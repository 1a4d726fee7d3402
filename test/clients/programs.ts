/** The real programs, in the versions of versions.json, installed from npm into the cache of tools. */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "../../cli/connect.ts";

const versions = JSON.parse(readFileSync(new URL("versions.json", import.meta.url), "utf8")) as Record<string, string>;

/** Where the programs are, installed the first time. */
export function installedPrograms(): string {
  const wanted = Object.entries(versions).map(([name, version]) => `${name}@${version}`);
  const folder = join(homedir(), ".cache/sluice-tools/clients", wanted.join("_").replace(/[^\w.-]+/g, "-"));
  const programs = join(folder, "node_modules/.bin");
  if (existsSync(join(programs, "opencode"))) return programs;
  mkdirSync(folder, { recursive: true });
  const flags = ["install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", folder];
  execFileSync("npm", [...flags, ...wanted], { stdio: "inherit" });
  return programs;
}

export interface Finished {
  code: number | null;
  output: string;
}

/** A new home folder, with what `sluice connect` writes for a client there. */
export async function connectedHome(client: string, url: string, clear: string, model: string): Promise<string> {
  const home = mkdtempSync(join(tmpdir(), "sluice-client-"));
  const env = { SLUICE_URL: url, SLUICE_API_KEY: clear };
  await connect([client, "--model", model, "--write", "--home", home], env, () => undefined);
  return home;
}

/** Runs a program in a home folder. */
export function finished(
  program: string,
  flags: readonly string[],
  home: string,
  env: Record<string, string>,
): Promise<Finished> {
  const own = { PATH: process.env["PATH"] ?? "", HOME: home, CODEX_HOME: join(home, ".codex") };
  return new Promise((resolve) => {
    const child = spawn(program, flags, {
      env: { ...own, ...env },
      cwd: home,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: 120_000,
    });
    let output = "";
    const take = (text: Buffer): void => {
      output += text.toString("utf8");
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.on("error", (error) => resolve({ code: null, output: String(error) }));
    child.on("close", (code) => resolve({ code, output }));
  });
}

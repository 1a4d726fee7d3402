/**
 * The gateways that Sluice is compared with, each installed into a folder of its own that runs share, with the
 * settings that its makers recommend for production. A peer that can't be had is left out, and the reason is printed.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { cacheFolder, withLock } from "../harness/cache-folder.ts";
import { type Child, startChild } from "../harness/child.ts";
import { findBinary, lastLines, run } from "../harness/command.ts";
import { MissingTool } from "../harness/missing-tool.ts";
import { ensurePythonEnv } from "../harness/python-env.ts";
import { untilReady } from "../harness/until-ready.ts";
import type { Door } from "./load.ts";
import { cores, pinned } from "./machine.ts";

export interface Peer extends Door {
  child: Child;
  /** Where chat completions of its paced streams are asked for; its other requests go to `headers`. */
  paced: Readonly<Record<string, string>>;
  /** What to call the model of a paced stream. */
  pacedModel: string;
}

export interface Upstream {
  port: number;
  pacedPort: number;
}

/** With newer versions of what it stands on, its streams are answered with 500: these are of its own lock file. */
const portkeyPackage = {
  private: true,
  dependencies: { "@portkey-ai/gateway": "1.15.2", hono: "4.9.7", "@hono/node-server": "1.13.5" },
  overrides: { hono: "4.9.7", "@hono/node-server": "1.13.5", "@hono/node-ws": "1.2.0" },
};

async function installPortkey(): Promise<string> {
  const folder = join(await cacheFolder(), "portkey-1.15.2");
  const entry = join(folder, "node_modules/@portkey-ai/gateway/build/start-server.js");
  return withLock("portkey", async () => {
    if (await findBinary("complete", [folder])) return entry;
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "package.json"), JSON.stringify(portkeyPackage));
    const done = await run("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"], {
      cwd: folder,
    });
    if (done.code !== 0) throw new MissingTool("Portkey", `npm install failed: ${lastLines(done.stderr, 5)}`);
    await writeFile(join(folder, "complete"), "", { mode: 0o755 });
    return entry;
  });
}

const json = { "content-type": "application/json" };

export async function startPortkey(dir: string, port: number, upstream: Upstream): Promise<Peer> {
  const entry = await installPortkey();
  const [command, args] = pinned(cores.tested, process.execPath, [entry, `--port=${port}`, "--headless"]);
  const child = await startChild(command, args, {
    name: "portkey",
    logFile: join(dir, "portkey.log"),
    env: { ...process.env, NODE_ENV: "production" },
  });
  await untilReady(child, async () => (await fetch(`http://127.0.0.1:${port}/`)).ok, 30_000);
  const to = (host: string) => ({
    ...json,
    authorization: "Bearer sk-bench",
    "x-portkey-provider": "openai",
    "x-portkey-custom-host": host,
  });
  const headers = to(`http://127.0.0.1:${upstream.port}/v1`);
  return {
    name: "portkey",
    port,
    pid: child.pid,
    child,
    headers,
    paced: to(`http://127.0.0.1:${upstream.pacedPort}/v1`),
    pacedModel: "gpt-4o",
  };
}

/** One worker for the one core, database and callbacks off, errors logged only: its production guide. */
const litellmConfig = ({ port, pacedPort }: Upstream): string => `model_list:
  - { model_name: gpt-4o, litellm_params: { model: openai/gpt-4o, api_base: "http://127.0.0.1:${port}/v1", api_key: sk-bench } }
  - { model_name: paced, litellm_params: { model: openai/gpt-4o, api_base: "http://127.0.0.1:${pacedPort}/v1", api_key: sk-bench } }
general_settings: { master_key: sk-bench }
litellm_settings: { set_verbose: false, json_logs: true, request_timeout: 600 }
`;

export async function startLitellm(dir: string, port: number, upstream: Upstream): Promise<Peer> {
  const python = await ensurePythonEnv("test/bench/litellm.txt");
  const config = join(dir, "litellm.yaml");
  await writeFile(config, litellmConfig(upstream));
  const args = [
    join(dirname(python), "litellm"),
    "--config",
    config,
    "--host",
    "127.0.0.1",
    "--port",
    String(port),
    "--num_workers",
    "1",
  ];
  const env = {
    ...process.env,
    LITELLM_MODE: "PRODUCTION",
    LITELLM_LOG: "ERROR",
    LITELLM_LOCAL_MODEL_COST_MAP: "True",
  };
  const [command, all] = pinned(cores.tested, python, args);
  const child = await startChild(command, all, { name: "litellm", logFile: join(dir, "litellm.log"), env });
  await untilReady(child, async () => (await fetch(`http://127.0.0.1:${port}/health/liveliness`)).ok, 90_000);
  const headers = { ...json, authorization: "Bearer sk-bench" };
  return { name: "litellm", port, pid: child.pid, child, headers, paced: headers, pacedModel: "paced" };
}

/**
 * A real node: containerd, kubelet, scheduler, controller manager and kube-proxy next to the tests' API server, in network,
 * mount and process namespaces of their own. Needs root on Debian with cgroup v1 or hybrid cgroups.
 */
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type CommandOptions, type Finished, lastLines, run } from "../harness/command.ts";
import { install } from "../harness/debian.ts";
import { ensureTool, type ToolName } from "../harness/tools.ts";
import { until } from "../harness/until.ts";
import type { Images } from "./images.ts";

const scripts = join(import.meta.dirname, "node");
const packages = ["containerd", "runc", "buildah", "iptables", "conntrack", "containernetworking-plugins"];
const more = ["mmdebstrap", "ethtool", "socat", "ipset"];

export async function installNodePackages(): Promise<void> {
  for (const name of [...packages, ...more]) {
    const { stdout } = await run("dpkg-query", ["-W", "-f", "${Status}", name]);
    if (!stdout.includes("install ok installed")) await install(name);
  }
}

const servers: readonly ToolName[] = [
  ...(["kubelet", "kube-controller-manager", "kube-scheduler", "kube-proxy"] as const),
  ...(["kube-apiserver", "etcd"] as const),
];

interface Programs {
  /** Variables for the scripts, with the paths of what they start. */
  env: NodeJS.ProcessEnv;
  /** Folders of kubectl and helm. */
  path: string[];
}

/** What runs on a node and what talks to it. The first time it is compiled. */
export async function nodePrograms(): Promise<Programs> {
  const env: NodeJS.ProcessEnv = {};
  for (const name of servers) env[name.toUpperCase().replaceAll("-", "_")] = await ensureTool(name);
  const path = [await ensureTool("kubectl"), await ensureTool("helm")].map((binary) => dirname(binary));
  return { env, path };
}

export class KubeNode {
  readonly home: string;
  readonly #env: NodeJS.ProcessEnv;

  private constructor(home: string, env: NodeJS.ProcessEnv) {
    this.home = home;
    this.#env = env;
  }

  static async start(images: Images, family: "ipv4" | "ipv6" = "ipv4"): Promise<KubeNode> {
    const { env: paths, path } = await nodePrograms();
    const env: NodeJS.ProcessEnv = { ...process.env, ...paths, NODE_FAMILY: family };
    const home = await mkdtemp(join(tmpdir(), "sluice-node-"));
    Object.assign(env, {
      NODE_HOME: home,
      KUBECONFIG: join(home, "certs/admin.kubeconfig"),
      CONTAINERD_ADDRESS: join(home, "run/containerd.sock"),
      PATH: [...path, process.env["PATH"]].join(":"),
    });
    const node = new KubeNode(home, env);
    try {
      await node.#bringUp(images);
    } catch (error) {
      await node.stop();
      throw error;
    }
    return node;
  }

  async #bringUp(images: Images): Promise<void> {
    const up = await run(join(scripts, "up.sh"), [], { env: this.#env });
    if (up.code !== 0) throw new Error(`the node did not start:\n${lastLines(up.stderr, 10)}`);
    const ready = async (): Promise<void> => {
      const { stdout, stderr } = await this.run("kubectl", "get", "nodes", "--no-headers");
      if (!/\sReady\s/.test(stdout)) throw new Error(stdout + stderr);
    };
    await Promise.all([until("the node is ready", ready, 180_000, 500), this.#import(images.archives)]);
  }

  /** containerd takes images as soon as it runs, before kubelet does. */
  async #import(archives: readonly string[]): Promise<void> {
    await until("containerd answers", () => this.must("ctr", "version"), 60_000, 200);
    for (const archive of archives) await this.must("ctr", "-n", "k8s.io", "images", "import", archive);
  }

  /** Runs a command in the node's namespaces. */
  run(command: string, ...args: string[]): Promise<Finished> {
    return this.runWith({}, command, ...args);
  }

  runWith(options: CommandOptions, command: string, ...args: string[]): Promise<Finished> {
    const env = { ...this.#env, ...options.env };
    return run(join(scripts, "in.sh"), [command, ...args], { ...options, env });
  }

  async must(command: string, ...args: string[]): Promise<string> {
    return this.mustWith({}, command, ...args);
  }

  async mustWith(options: CommandOptions, command: string, ...args: string[]): Promise<string> {
    const done = await this.runWith(options, command, ...args);
    if (done.code !== 0)
      throw new Error(`${command} ${args.slice(0, 5).join(" ")}: ${done.code}\n${done.stderr}${done.stdout}`);
    return done.stdout.trim();
  }

  kubectl(...args: string[]): Promise<string> {
    return this.must("kubectl", ...args);
  }

  apply(manifest: string): Promise<string> {
    return this.mustWith({ input: manifest }, "kubectl", "apply", "-f", "-");
  }

  /** The command that runs another one in the node: for programs that go on while a test does something else. */
  prefix(): { command: string; env: NodeJS.ProcessEnv } {
    return { command: join(scripts, "in.sh"), env: this.#env };
  }

  async stop(): Promise<void> {
    await run(join(scripts, "down.sh"), [], { env: this.#env });
  }
}

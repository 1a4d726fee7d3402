#!/usr/bin/env -S node --disable-warning=ExperimentalWarning
/** The one binary: the first word chooses the command, and each command has its own file. */
import { nearest } from "../crds/parse.ts";
import { cliErrorText, isMisuse } from "./cli-error.ts";
import { keepCompiledCode } from "./compile-cache.ts";
import { runUntilSignal, type Serving } from "./run-until-signal.ts";

keepCompiledCode();

type Args = readonly string[];
type Command = { summary: string; run(args: Args): Promise<void> };

/** A command that runs until it is asked to stop. */
const serving = (summary: string, start: (args: Args) => Promise<Serving | null>): Command => ({
  summary,
  run: (args) => runUntilSignal(() => start(args)),
});

/** Loaded when chosen, so that a proxy does not load the control plane. */
const commands: Readonly<Record<string, Command>> = {
  operator: serving("control plane: watch objects, compile, publish, report status", async (args) => {
    (await import("../operator/heap.ts")).growSlowly();
    return (await import("../operator/main.ts")).runOperator(args);
  }),
  proxy: serving("data plane: serve LLM calls from the published config", async (args) =>
    (await import("../proxy/main.ts")).runProxy(args),
  ),
  sidecar: serving("in a Pod: call the gateway as its ServiceAccount, without a key", async (args) =>
    (await import("../proxy/sidecar/main.ts")).runSidecar(args),
  ),
  dev: serving("operator and proxy in one process, on a folder of manifests", async (args) =>
    (await import("./dev.ts")).runDev(args),
  ),
  lint: {
    summary: "check manifests offline, with file and line",
    run: async (args) => (await import("./lint.ts")).runLint(args),
  },
  diff: {
    summary: "compare what two folders of manifests would serve",
    run: async (args) => (await import("./diff.ts")).runDiff(args),
  },
  explain: {
    summary: "which provider a request would go to, and why",
    run: async (args) => (await import("./explain.ts")).runExplain(args),
  },
  import: {
    summary: "turn another gateway's configuration into manifests",
    run: async (args) => (await import("./import.ts")).runImport(args),
  },
  keys: {
    summary: "create, rotate, revoke and list API keys",
    run: async (args) => (await import("./keys.ts")).runKeys(args),
  },
  "set-rate-limit": {
    summary: "limit someone's calls within seconds",
    run: async (args) => (await import("./rate-limit.ts")).runSetRateLimit(args),
  },
  connect: {
    summary: "set up Claude Code, Codex and other agents to call the gateway",
    run: async (args) => (await import("./connect.ts")).runConnect(args),
  },
  alerts: {
    summary: "test the alert channels of a Budget, LLMProvider or RoutingPolicy",
    run: async (args) => (await import("./alerts.ts")).runAlerts(args),
  },
  audit: {
    summary: "verify and read the audit log",
    run: async (args) => (await import("./audit.ts")).runAudit(args),
  },
  "compliance-report": {
    summary: "who used what, what was refused and masked, from the audit log",
    run: async (args) => (await import("./audit.ts")).runComplianceReport(args),
  },
  "cost-report": {
    summary: "what was spent, by whom and on what",
    run: async (args) => (await import("./cost-report.ts")).runCostReport(args),
  },
  "top-users": { summary: "who uses most", run: async (args) => (await import("./cost-report.ts")).runTopUsers(args) },
  reconcile: {
    summary: "compare the usage ledger with a provider's invoice",
    run: async (args) => (await import("./reconcile/command.ts")).runReconcile(args),
  },
  ledger: {
    summary: "export the usage ledger, or forget a user in it",
    run: async (args) => (await import("./ledger-commands.ts")).runLedger(args),
  },
  shadow: {
    summary: "compare calls with the copies that went to policies' shadows",
    run: async (args) => (await import("./shadow.ts")).runShadow(args),
  },
  similarity: {
    summary: "choose the threshold of a semantic cache",
    run: async (args) => (await import("./similarity.ts")).runSimilarity(args),
  },
  render: {
    summary: "print what would be published for a folder",
    run: async (args) => (await import("./render.ts")).runRender(args),
  },
};

function usage(): string {
  const lines = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(17)} ${summary}`);
  return `sluice: an LLM gateway operated with kubectl\n\n${lines.join("\n")}\n\nRun sluice COMMAND --help for details, sluice version for the version.\n`;
}

/** Normalises the arguments: `help keys` and `keys -h` mean `keys --help`. */
function words([first = "--help", ...rest]: readonly string[]): [string, ...string[]] {
  const [second, ...others] = rest;
  if (first === "help" && second !== undefined) return words([second, "--help", ...others]);
  return [first, ...rest.map((word) => (word === "-h" ? "--help" : word))];
}

async function version(): Promise<string> {
  const { default: about } = await import("../package.json", { with: { type: "json" } });
  return `sluice ${about.version}, node ${process.versions.node}\n`;
}

async function main([name, ...args]: [string, ...string[]]): Promise<void> {
  if (name === "--help" || name === "-h" || name === "help") {
    process.stdout.write(usage());
    return;
  }
  if (name === "--version" || name === "version") {
    process.stdout.write(await version());
    return;
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) {
    const meant = nearest(name, Object.keys(commands));
    process.stderr.write(`sluice: no command ${name}${meant === null ? "" : `; did you mean ${meant}?`}\n\n${usage()}`);
    process.exitCode = 2;
    return;
  }
  await command.run(args);
}

const asked = words(process.argv.slice(2));
main(asked).catch((cause: unknown) => {
  process.stderr.write(`sluice: ${cliErrorText(asked[0], cause)}\n`);
  // Anything already open, such as one of two listeners, must not keep a failed process running.
  process.exit(isMisuse(cause) ? 2 : 1);
});

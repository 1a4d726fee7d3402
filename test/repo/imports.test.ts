import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, it } from "node:test";
import { wireFormats } from "../../proxy/config/capabilities.ts";
import { steeringMembers } from "../../proxy/config/steering.ts";
import { providers } from "../../proxy/providers/registry.generated.ts";

interface Import {
  from: string;
  /** Repository path for a file, else the package's name. */
  to: string;
}

function importsOf(file: string): Import[] {
  const text = readFileSync(file, "utf8");
  const found = text.matchAll(
    /(?:^|\n)\s*(?:import|export)\s[^;"]*?from\s+"([^"]+)"|(?:^|\n)\s*import\s+"([^"]+)"|import\(\s*"([^"]+)"\s*\)/g,
  );
  return [...found].map(([, fixed, bare, dynamic]) => {
    const target = fixed ?? bare ?? dynamic ?? "";
    return { from: file, to: target.startsWith(".") ? normalize(join(dirname(file), target)) : target };
  });
}

const all = globSync("{crds,charts/observability,operator,proxy,cli}/**/*.ts").flatMap(importsOf);

/** Files that only compose, and so may reach everywhere. */
const composers: ReadonlySet<string> = new Set([
  "cli/dev.ts",
  "cli/explain.ts",
  "cli/explain-body.ts",
  "cli/folder-config.ts",
  "cli/explain-text.ts",
  "cli/usage/between.ts",
  "cli/usage/budgets.ts",
  "cli/usage/effects.ts",
  "cli/usage/moves.ts",
  "cli/main.ts",
  "cli/audit.ts",
  "cli/similarity.ts",
  "crds/generate.ts",
]);

const rules: { name: string; within: RegExp; allowed: RegExp }[] = [
  { name: "crds/types import zod and one another", within: /^crds\/types\//, allowed: /^(zod$|crds\/types\/)/ },
  {
    name: "proxy/config stands on nothing but zod, ipaddr.js and Node",
    within: /^proxy\/config\//,
    allowed: /^(zod$|ipaddr\.js$|node:|proxy\/config\/|proxy\/providers\/[^/]+\/capabilities\.ts$)/,
  },
  {
    name: "a provider's capabilities are plain data",
    within:
      /^proxy\/providers\/[^/]+\/(capabilities|shared-options|shared-prices|presets\.generated|presets\/[^/]+)\.ts$/,
    allowed:
      /^proxy\/(config\/capabilities|providers\/[^/]+\/(shared-options|shared-prices|presets\.generated|presets\/[^/]+))\.ts$/,
  },
  {
    name: "compile is pure: no Node, no client, no clock",
    within: /^operator\/compile\//,
    allowed: /^(operator\/compile\/|crds\/|proxy\/config\/)/,
  },
  {
    name: "what the loops decide is pure: no IO, no client, no clock",
    within: /^operator\/loops\/[^/]+\/(?!book\.ts$)/,
    allowed:
      /^(node:util$|operator\/(compile|loops)\/|operator\/delivery\/(channel-snapshot|message|pending-alert)\.ts$|crds\/|proxy\/config\/)/,
  },
  {
    name: "commands use the operator and the proxy's contract; only composers reach further",
    within: /^cli\//,
    allowed: /^(?!proxy\/)|^proxy\/(config\/|usage-error\.ts$)/,
  },
  { name: "the operator knows nothing of its commands", within: /^operator\//, allowed: /^(?!cli\/)/ },
  { name: "the proxy knows nothing of its commands", within: /^proxy\//, allowed: /^(?!cli\/)/ },
  {
    name: "operator knows nothing of the proxy but its contract, and the error of misuse",
    within: /^operator\//,
    allowed: /^(?!proxy\/)|^proxy\/(config\/|usage-error\.ts$)/,
  },
  { name: "proxy knows neither operator nor CRDs", within: /^proxy\//, allowed: /^(?!operator\/|crds\/)/ },
  {
    name: "crds know of the proxy only what providers declare",
    within: /^crds\//,
    allowed: /^(?!operator\/)(?!proxy\/(?!config\/))/,
  },
];

const owners: { name: string; package: RegExp; within: RegExp }[] = [
  // Collectors of audit records are not on the way of a call.
  {
    name: "undici",
    package: /^undici$/,
    within: /^proxy\/(wire\/(connections|undici-egress|otlp-http)|audit\/otlp)\.ts$/,
  },
  { name: "the Kubernetes client", package: /^@kubernetes\//, within: /^operator\/(cluster\/|main\.ts$)/ },
];

/** Where JSON is our own or just looked at: no name in it can be one that V8 misreads (proxy/wire/json.ts). */
const ownJson =
  /^proxy\/(wire\/json(-edit|-outline)?|dialects\/(frames|block-queue)|snapshot\/packed-keys|config\/parse|cache\/(redis|shared-vectors)|audit\/(sealed|chain|otlp)|fleet\/(ledger-rows|journal)|call\/received)\.ts$/;

describe("imports go one way", () => {
  it("looks at every file", () => {
    assert.ok(all.length > 100);
  });
  for (const { name, within, allowed } of rules) {
    it(name, () => {
      const broken = all.filter((one) => within.test(one.from) && !composers.has(one.from) && !allowed.test(one.to));
      assert.deepEqual(broken, []);
    });
  }
  for (const { name, package: wanted, within } of owners) {
    it(`${name} has one owner`, () => {
      const broken = all.filter((one) => wanted.test(one.to) && !within.test(one.from));
      assert.deepEqual(broken, []);
    });
  }
  it("JSON from outside is read in one place", () => {
    const reading = globSync("proxy/**/*.ts").filter((file) =>
      /\bJSON\.parse\(|\.json\(\)/.test(readFileSync(file, "utf8")),
    );
    // A command of its own, which reads nobody else's.
    assert.deepEqual(
      reading.filter((file) => !ownJson.test(file) && file !== "cli/similarity.ts"),
      [],
    );
  });
});

/** The folder that a file belongs to: one of a top-level folder's, or the file itself where it lies at its root. */
function roomOf(file: string): string {
  // What a provider declares is part of the contract: plain data that imports only its type.
  if (
    /^proxy\/providers\/[^/]+\/(capabilities|shared-options|shared-prices|presets\.generated|presets\/[^/]+)\.ts$/.test(
      file,
    )
  )
    return "proxy/config";
  return file.split("/").slice(0, 2).join("/");
}

function graphOf(nodeOf: (file: string) => string): Map<string, Set<string>> {
  const graph = new Map<string, Set<string>>();
  for (const { from, to } of all) {
    if (!/^(crds|operator|proxy|cli)\//.test(to) || nodeOf(from) === nodeOf(to)) continue;
    const targets = graph.get(nodeOf(from)) ?? new Set();
    graph.set(nodeOf(from), targets.add(nodeOf(to)));
  }
  return graph;
}

/** The shortest way from a node back to itself; null where there is none. */
function circleThrough(start: string, graph: ReadonlyMap<string, ReadonlySet<string>>): string[] | null {
  const cameFrom = new Map<string, string>();
  const queue = [start];
  for (let node = queue.shift(); node !== undefined; node = queue.shift()) {
    for (const next of graph.get(node) ?? []) {
      if (!cameFrom.has(next)) {
        cameFrom.set(next, node);
        queue.push(next);
      }
    }
  }
  if (!cameFrom.has(start)) return null;
  const circle = [start];
  for (let node = cameFrom.get(start); node !== undefined && node !== start; node = cameFrom.get(node))
    circle.unshift(node);
  return [start, ...circle];
}

describe("imports make no circles", () => {
  for (const [what, nodeOf] of [
    ["files", (file: string) => file],
    ["folders", roomOf],
  ] as const) {
    it(`between ${what}`, () => {
      const graph = graphOf(nodeOf);
      const circles = [...graph.keys()].map((node) => circleThrough(node, graph)?.join(" -> ") ?? null);
      assert.deepEqual(
        circles.filter((circle) => circle !== null),
        [],
      );
    });
  }
});

describe("a provider is named in its own folder only", () => {
  const folders = globSync("proxy/providers/*/index.ts").map((file) => file.split("/")[2] ?? "");
  const escaped = [...folders, ...Object.keys(providers)].map((name) => RegExp.escape(name));
  const names = new RegExp(`\\b(${escaped.join("|")}|azure)\\b`, "i");
  /** What names an API that clients speak, or a header of one, and not a provider. */
  const ofApis: Readonly<Record<string, string>> = {
    "proxy/pipeline/address.ts": "the API by whose rules a path is answered",
    "proxy/pipeline/call-state.ts": "the API in whose form failures are answered before the path is known",
    "proxy/pipeline/serve.ts": "the API in whose form models are listed",
    "proxy/server.ts": "the API in whose form requests that are no HTTP are answered",
    "proxy/wire/headers.ts": "headers that the official SDKs send and read",
    "crds/types/llm-provider.ts": "an example in a field's description",
    "crds/types/workload-identity.ts": "a cloud whose identities several providers take",
    "operator/compile/workload-identity.ts": "the same cloud",
    "proxy/config/cloud-identity.ts": "the same cloud",
    "proxy/cloud/azure.ts": "the same cloud",
    "proxy/cloud/identities.ts": "the same cloud",
    "cli/connect/clients.ts": "environment variables that coding agents read",
  };

  function namesProvider(file: string): boolean {
    const code = readFileSync(file, "utf8").replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
    const formats = wireFormats.map((format) => RegExp.escape(format)).join("|");
    return names.test(
      code.replaceAll(new RegExp(`"(${formats})"`, "g"), "").replaceAll(/from ".*\/dialects\/.*"/g, ""),
    );
  }

  it("nor are the members by which a caller could steer it", () => {
    // A word that means other things elsewhere can't be looked for.
    const members = steeringMembers.filter((member) => member !== "models").map((member) => RegExp.escape(member));
    const quoted = new RegExp(`"(${members.join("|")})"`);
    const files = globSync("proxy/{pipeline,snapshot,routing,access,call}/**/*.ts");
    assert.ok(members.length > 3);
    assert.deepEqual(
      files.filter((file) => quoted.test(readFileSync(file, "utf8"))),
      [],
    );
  });
  it("finds the names in the registry", () => {
    assert.ok(folders.length > 5 && names.test("watsonx") && names.test('"AzureOpenAI"'));
  });
  it("and nowhere else", () => {
    const files = globSync("{proxy,operator,cli,crds}/**/*.ts").filter(
      // What other gateways call providers is the importers' business, and what providers export is reconcile's.
      (file) =>
        !/^(proxy\/(providers\/[^/]+|dialects)|cli\/(import|reconcile))\//.test(file) && !file.includes(".generated."),
    );
    assert.deepEqual(files.filter(namesProvider).sort(), Object.keys(ofApis).sort());
  });
});

/** Folders that each implement the same parts: a name that several of them export means the same in each. */
const siblings = /^(?:proxy\/(?:providers|dialects)|cli\/import)\/[^/]+\/(?:presets\/.+)?/;

function exportsOf(file: string): string[] {
  const text = readFileSync(file, "utf8");
  const declared = text.matchAll(
    /^export (?:declare )?(?:abstract )?(?:async )?(?:const|let|function\*?|class|interface|type|enum) ([\w$]+)/gm,
  );
  // A schema and its type share a name.
  return [...new Set([...declared].map(([, name]) => name ?? ""))];
}

describe("names", () => {
  const places = new Map<string, string[]>();
  for (const file of globSync("{crds,charts/observability,operator,proxy,cli}/**/*.ts"))
    for (const name of exportsOf(file)) places.set(name, [...(places.get(name) ?? []), file]);

  it("reads every file's exports", () => assert.ok(places.size > 1000));

  it("an exported name means one thing", () => {
    const clashes = [...places].filter(([, files]) => {
      const folders = files.map((file) => siblings.exec(file)?.[0] ?? "");
      return files.length > 1 && (folders.includes("") || new Set(folders).size < folders.length);
    });
    assert.deepEqual(Object.fromEntries(clashes), {});
  });
});

describe("the repository", () => {
  it("has the folders that its layout names, and no others", () => {
    const tracked = execFileSync("git", ["ls-files"], { encoding: "utf8" }).split("\n");
    const folders = new Set(tracked.filter((file) => file.includes("/")).map((file) => file.split("/", 1)[0] ?? ""));
    assert.deepEqual([...folders].filter((folder) => !folder.startsWith(".")).sort(), [
      "charts",
      "cli",
      "crds",
      "docs",
      "examples",
      "operator",
      "proxy",
      "test",
    ]);
  });
});

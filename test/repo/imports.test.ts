import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, it } from "node:test";

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

const all = globSync("{crds,operator,proxy,cli}/**/*.ts").flatMap(importsOf);

/** Files that only compose, and so may reach everywhere. */
const composers: ReadonlySet<string> = new Set([
  "cli/dev.ts",
  "cli/explain.ts",
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
    within: /^proxy\/providers\/[^/]+\/capabilities\.ts$/,
    allowed: /^proxy\/config\/capabilities\.ts$/,
  },
  {
    name: "compile is pure: no Node, no client, no clock",
    within: /^operator\/compile\//,
    allowed: /^(operator\/compile\/|crds\/|proxy\/config\/)/,
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
  { name: "undici", package: /^undici$/, within: /^proxy\/(wire\/(connections|upstream)|audit\/otlp)\.ts$/ },
  { name: "the Kubernetes client", package: /^@kubernetes\//, within: /^operator\/(cluster\/|main\.ts$)/ },
];

/** Where JSON is our own or just looked at: no name in it can be one that V8 misreads (proxy/wire/json.ts). */
const ownJson =
  /^proxy\/(wire\/json(-edit)?|dialects\/(frames|block-queue)|snapshot\/packed-keys|config\/parse|cache\/(redis|shared-vectors)|audit\/(sealed|chain|otlp)|fleet\/(ledger-rows|journal)|call\/received)\.ts$/;

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
  it("no provider is named outside its folder", () => {
    const names = /\b(anthropic|bedrock|gemini|cohere|mistral|watsonx|azure)\b/i;
    const dialects =
      /^proxy\/(dialects|config\/capabilities|wire\/headers|failure|call\/shaped|pipeline\/(address|shape|serve|worst-case))/;
    const files = globSync("proxy/**/*.ts").filter(
      (file) => !/^proxy\/providers\/[^/]+\//.test(file) && !file.includes(".generated.") && !dialects.test(file),
    );
    const naming = files.filter((file) =>
      names.test(readFileSync(file, "utf8").replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "")),
    );
    assert.deepEqual(naming, []);
  });
});

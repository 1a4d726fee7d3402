/** `lint`, `diff`, `explain` and `render` on a repository, where no Secret belongs. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parseAllDocuments } from "yaml";
import { markdownOf } from "../../cli/diff.ts";
import { withAssumed } from "../../operator/assumed-secrets.ts";
import { secretRefs } from "../../operator/cluster/world.ts";
import { compile } from "../../operator/compile/compile.ts";
import type { World, WorldObject } from "../../operator/compile/world.ts";
import { compileOffline, type OfflineSecrets } from "../../operator/folder/compile-offline.ts";
import { priceSources, priceTable } from "../../operator/prices/table.ts";
import { compileSettings } from "../../operator/settings/compile-settings.ts";
import { type OperatorSettings, operatorSettings, settingsForCommand } from "../../operator/settings/settings.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";
import fc, { runs } from "../harness/property.ts";
import { sluice, sluiceWith } from "../harness/sluice.ts";

const nowMs = Date.parse("2026-11-20T12:00:00Z");
const pepper = new Uint8Array(32);
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-offline-"));
});
after(() => rm(folder, { recursive: true, force: true }));

const head = "apiVersion: sluice.dev/v1alpha1\n";
const provider = (secret = "openai", more = "") =>
  `${head}kind: LLMProvider\nmetadata: { name: openai, namespace: a }\nspec:\n  type: OpenAI\n  credentials: { secretRef: { name: ${secret}, key: apiKey } }\n  models: [{ name: gpt-4o }]\n${more}`;
const key = (more = "", secret = "alice") =>
  `${head}kind: ApiKey\nmetadata: { name: alice, namespace: a }\nspec: { user: alice, writeTo: { name: ${secret} }${more} }\n`;
const policy = (name: string, more = "", namespace = "a") =>
  `${head}kind: RoutingPolicy\nmetadata: { name: ${name}, namespace: ${namespace} }\nspec:\n  match: { models: [gpt-4o] }\n  routing: { targets: [{ provider: { name: openai, namespace: a } }] }\n${more}`;
const secret = (keys: string, labels = "") =>
  `apiVersion: v1\nkind: Secret\nmetadata: { name: openai, namespace: a, labels: { ${labels} } }\nstringData: { ${keys} }\n`;
const external = (spec: string) =>
  `apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: { name: openai, namespace: a }\nspec: { ${spec} }\n`;
const sealed = (keys: string, template = "") =>
  `apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: { name: openai, namespace: a }\nspec: { encryptedData: { ${keys} }${template} }\n`;
const sops = (keys: string) => `${secret(keys)}sops: { version: 3.9.0, mac: "ENC[x]" }\n`;

async function offline(text: string, secrets: OfflineSecrets, settings: OperatorSettings | null = null) {
  const file = join(folder, "all.yaml");
  await writeFile(file, text);
  const read = await compileOffline([file], {}, { pepper, previous: null, nowMs, secrets, settings });
  return { ...read, said: read.findings.map(({ severity, reason }) => `${severity} ${reason}`) };
}

const strict = operatorSettings.parse({ namespace: "sluice-system" });

describe("a repository without Secrets", () => {
  const rows: {
    name: string;
    text: string;
    mode?: OfflineSecrets;
    settings?: OperatorSettings;
    said: string[];
    assumed?: string[];
  }[] = [
    { name: "is fine, and says what it assumes", text: provider(), said: [], assumed: ["a/openai"] },
    {
      name: "must provide them where that is required",
      text: provider(),
      mode: "required",
      said: ["error SecretNotFound"],
    },
    { name: "needs no Secret for a key: the operator makes it", text: key(), mode: "required", said: [] },
    { name: "may give a key's lifetime", text: key(", expiresAfter: 90d"), mode: "required", said: [] },
    {
      name: "provides one by an ExternalSecret",
      text: `${provider()}---\n${external("data: [{ secretKey: apiKey }]")}`,
      mode: "required",
      said: [],
    },
    {
      name: "provides one of another name by an ExternalSecret's target",
      text: `${provider("theirs")}---\n${external("target: { name: theirs }, dataFrom: [{ extract: { key: x } }]")}`,
      mode: "required",
      said: [],
    },
    {
      name: "learns of a key that an ExternalSecret lacks",
      text: `${provider()}---\n${external("data: [{ secretKey: api-key }]")}`,
      said: ["error SecretKeyNotFound"],
    },
    {
      name: "provides one by a SealedSecret",
      text: `${provider()}---\n${sealed("apiKey: AgB=")}`,
      mode: "required",
      said: [],
    },
    {
      name: "learns of a key that a SealedSecret lacks",
      text: `${provider()}---\n${sealed("token: AgB=")}`,
      said: ["error SecretKeyNotFound"],
    },
    {
      name: "provides one encrypted by SOPS",
      text: `${provider()}---\n${sops('apiKey: "ENC[AES256_GCM,data:x]"')}`,
      mode: "required",
      said: [],
    },
    {
      name: "learns of a key that a Secret lacks",
      text: `${provider()}---\n${secret("token: sk-1")}`,
      said: ["error SecretKeyNotFound"],
    },
    {
      name: "learns of the label that the installation asks for",
      text: `${provider()}---\n${external("data: [{ secretKey: apiKey }]")}`,
      settings: strict,
      said: ["error SecretNotPermitted"],
    },
    {
      name: "sets that label in an ExternalSecret's template",
      text: `${provider()}---\n${external('data: [{ secretKey: apiKey }], target: { template: { metadata: { labels: { sluice.dev/readable: "true" } } } }')}`,
      settings: strict,
      said: [],
    },
    {
      name: "sets that label in a SealedSecret's template",
      text: `${provider()}---\n${sealed("apiKey: AgB=", ', template: { metadata: { labels: { sluice.dev/readable: "true" } } }')}`,
      settings: strict,
      said: [],
    },
    {
      name: "has keys added to a Secret that its owner hands over",
      text: `${key("", "openai")}---\n${secret("mine: x", 'sluice.dev/writable: "true"')}`,
      said: [],
    },
    {
      name: "learns that a Secret of others gets no key",
      text: `${key("", "openai")}---\n${secret("mine: x")}`,
      said: ["error SecretNotOwned"],
    },
  ];
  for (const { name, text, mode = "assumed", settings, said, assumed = [] } of rows)
    it(name, async () => {
      const read = await offline(text, mode, settings ?? null);
      // The next test is about labels.
      const ofSettings = (line: string): boolean => settings === undefined && line === "warning SecretNotPermitted";
      assert.deepEqual(
        read.said.filter((line) => !ofSettings(line)),
        said,
      );
      assert.deepEqual(read.assumed, assumed);
    });

  it("is warned of what the chart's defaults refuse: Secrets without a label, keys that are too short", async () => {
    const labelled = 'sluice.dev/readable: "true"';
    const short = `${key("", "openai")}---\n${secret("apiKey: short", 'sluice.dev/writable: "true"')}`;
    const both = `${key("", "openai")}---\n${provider()}---\n${secret("apiKey: long-enough-for-any-key", labelled)}`;
    for (const [text, lenient, strictly] of [
      [`${provider()}---\n${secret("apiKey: sk-1")}`, ["warning SecretNotPermitted"], ["error SecretNotPermitted"]],
      [`${provider()}---\n${secret("apiKey: sk-1", labelled)}`, [], []],
      [short, ["warning WeakKey"], ["error WeakKey"]],
      [both, ["warning WeakKey"], ["error WeakKey"]],
    ] as const) {
      assert.deepEqual((await offline(text, "required")).said, lenient, text);
      assert.deepEqual((await offline(text, "required", strict)).said, strictly, text);
    }
  });

  it("is what README's first manifests are", async () => {
    const manifests = /<<'YAML'\n([\s\S]*?)\nYAML/.exec(await readFile("README.md", "utf8"))?.[1] ?? "";
    const { code, stdout } = await sluiceWith({ input: manifests }, "lint", "-");
    assert.deepEqual(
      [code, stdout],
      [0, "3 objects, 0 findings\ntaken to exist in the cluster: Secret team-a/openai\n"],
    );
  });

  it("is what the first manifest of docs/keys.md is", async () => {
    const manifest = /```yaml\n(apiVersion[\s\S]*?)```/.exec(await readFile("docs/keys.md", "utf8"))?.[1] ?? "";
    const { said } = await offline(manifest, "required", strict);
    assert.deepEqual(
      said.filter((one) => one.startsWith("error")),
      [],
    );
  });

  it("is what examples/teams is, though every Secret must be provided", async () => {
    assert.deepEqual(await sluice("lint", "--secrets", "required", "examples/teams"), {
      code: 0,
      stdout: "9 objects, 0 findings\n",
      stderr: "",
    });
  });

  it("can be compared and explained", async () => {
    const same = await sluice("diff", "examples/teams", "examples/teams");
    assert.deepEqual([same.code, same.stdout], [0, ""]);
    const explained = await sluice("explain", "examples/teams", "--key", "team-a/alice", "--model", "gpt-4o");
    assert.deepEqual([explained.code, /route +team-a\/chat/.test(explained.stdout)], [0, true]);
  });
});

describe("findings for other programs", () => {
  const broken = `${policy("chat")}---\n${policy("other").replace("gpt-4o", '"100%, more"')}`;
  it("are annotations on GitHub", async () => {
    const { code, stdout } = await sluiceWith({ input: broken }, "lint", "-", "-o", "github");
    assert.equal(code, 1);
    const [first] = stdout.split("\n");
    assert.match(
      first ?? "",
      /^::error file=-,line=6,col=\d+,title=ProviderNotFound \(RoutingPolicy a\/chat\)::LLMProvider openai is not in namespace a$/,
    );
    for (const line of stdout.trim().split("\n")) assert.match(line, /^::(error|warning) file=[^:]*::[^\n]+$/);
  });

  it("are SARIF", async () => {
    const { stdout } = await sluiceWith({ input: broken }, "lint", "-", "-o", "sarif");
    const { version, runs } = JSON.parse(stdout) as {
      version: string;
      runs: {
        tool: { driver: { rules: { id: string }[] } };
        results: {
          ruleId: string;
          level: string;
          message: { text: string };
          locations: { physicalLocation: { artifactLocation: { uri: string }; region: { startLine: number } } }[];
        }[];
      }[];
    };
    assert.equal(version, "2.1.0");
    const [run] = runs;
    const known = run?.tool.driver.rules.map(({ id }) => id) ?? [];
    assert.ok(run !== undefined && run.results.length > 0);
    for (const { ruleId, level, message, locations } of run.results) {
      assert.ok(known.includes(ruleId) && ["error", "warning"].includes(level) && message.text !== "");
      assert.ok((locations[0]?.physicalLocation.region.startLine ?? 0) > 0);
    }
  });
});

describe("a comment on a pull request", () => {
  it("says what changes, in a table, and what is wrong", async () => {
    const [old, now] = [join(folder, "old.yaml"), join(folder, "new.yaml")];
    await writeFile(old, provider());
    await writeFile(now, provider().replace("gpt-4o", "gpt-4o-mini"));
    const { code, stdout } = await sluice("diff", old, now, "-o", "markdown");
    assert.equal(code, 1);
    assert.match(stdout, /^### LLM gateway\n\n\| object \| field \| change \|\n\| --- \| --- \| --- \|\n/);
    assert.match(stdout, /\| `LLMProvider a\/openai` \| `models\.gpt-4o-mini` \| `\(none\)` → /);
    const same = await sluice("diff", old, old, "-o", "markdown");
    assert.deepEqual([same.code, same.stdout], [0, "### LLM gateway\n\nNothing that is served changes.\n"]);
    await writeFile(now, provider().replace("models:", "modles:"));
    const broken = await sluice("diff", old, now, "-o", "markdown");
    assert.equal(broken.code, 2);
    assert.match(broken.stdout, /\*\*Errors:\*\*\n\n(- .*\n)*- .*new\.yaml:\d+:\d+: error UnknownField/);
  });
});

it("a comment's table holds any text", () => {
  const fields = [{ path: "a|b", before: '"`x`"', after: '"1\n2"' }];
  const comment = markdownOf([{ object: "Budget a/b", what: "changed", fields }], []);
  assert.match(comment, /^\| `Budget a\/b` \| `a\\\|b` \| `"'x'"` → `"1 2"` \|$/m);
});

describe("lint with the installation's settings", () => {
  const pool = [
    provider(),
    provider("openai", '  allowedNamespaces: { from: Selector, selector: { matchLabels: { llm: "yes" } } }\n').replace(
      "name: openai,",
      "name: shared,",
    ),
    policy("chat"),
    policy("shared", "  allowedNamespaces: { from: All }\n").replace("gpt-4o", "shared-model"),
    policy("open", "  access: { anonymous: true }\n").replace("models: [gpt-4o]", "pathPrefix: /open"),
    policy("nowhere", "  access: { countries: { allow: [DE] } }\n").replace("gpt-4o", "elsewhere"),
    policy("audited", "  audit: { required: true }\n").replace("gpt-4o", "audited-model"),
    policy("theirs", "", "b").replace("models: [gpt-4o]", "pathPrefix: /theirs"),
    key(", role: enginer"),
    key(", expiresAfter: 90d", "bob").replace("alice,", "bob,"),
    `${head}kind: Budget\nmetadata: { name: monthly, namespace: a }\nspec: { amount: "100", period: Monthly }\n`,
    `${head}kind: Budget\nmetadata: { name: mail, namespace: a }\nspec: { amount: "1", period: Daily, alerts: [{ email: { to: [x@example.com] } }] }\n`,
    provider("gone", '  endpoint: "http://10.0.0.1/v1"\n').replace("name: openai,", "name: private,"),
    "apiVersion: v1\nkind: Namespace\nmetadata: { name: b, labels: { llm: 'yes' } }\n",
  ];
  const settings = fc.record({
    sharingNamespaces: fc.constantFrom([], ["a"]),
    anonymousNamespaces: fc.constantFrom([], ["*"]),
    privateEndpointNamespaces: fc.constantFrom([], ["a"]),
    pathPrefixes: fc.constantFrom({ "*": ["/"] }, { "*": ["/{namespace}"] }),
    countryDatabase: fc.boolean(),
    durableAudit: fc.boolean(),
    roles: fc.constantFrom({}, { enginer: { permissions: ["use_models" as const] } }),
    secretAccess: fc.constantFrom("Labelled" as const, "Namespace" as const),
    alerts: fc.constantFrom({}, { smtp: { host: "mail", from: "x@example.com" } }),
  });

  /** What the operator sees once all is applied at one moment and every Secret is there. */
  function worldOf(text: string): World {
    const world: World = { objects: [], namespaces: {}, secrets: {}, secretRights: {} };
    for (const document of parseAllDocuments(text)) {
      const { kind, metadata, spec } = document.toJS() as {
        kind: WorldObject["kind"] | "Namespace";
        metadata: { name: string; namespace?: string; labels?: Record<string, string> };
        spec: unknown;
      };
      if (kind === "Namespace") world.namespaces[metadata.name] = metadata.labels ?? {};
      else {
        const { name, namespace = "default", labels = {} } = metadata;
        world.namespaces[namespace] ??= {};
        const meta = { name, namespace, uid: name, generation: 1, createdAtMs: nowMs, labels };
        world.objects.push({ kind, meta, spec, status: {} });
      }
    }
    return withAssumed(world, new Set(world.objects.flatMap(secretRefs)));
  }

  it("judges as the operator would", async () => {
    await fc.assert(
      fc.asyncProperty(fc.subarray(pool, { minLength: 1 }), settings, async (manifests, given) => {
        const text = manifests.join("---\n");
        const parsed = operatorSettings.parse({ namespace: "sluice-system", ...given });
        const { compiled } = await offline(text, "assumed", parsed);
        const operator = compile(
          {
            world: worldOf(text),
            settings: compileSettings(parsed),
            previous: null,
            nowMs,
            prices: priceTable(new Date(nowMs)),
            priceSources,
          },
          capabilitiesByType,
        );
        const judged = ({ verdicts }: typeof operator) =>
          verdicts
            .map(({ kind, meta, live, accepted, resolvedRefs, conditions }) => ({
              object: `${kind} ${meta.namespace}/${meta.name}`,
              live,
              accepted,
              resolvedRefs,
              conditions,
            }))
            .sort((a, b) => (a.object < b.object ? -1 : 1));
        assert.deepEqual(judged(compiled), judged(operator));
      }),
      { numRuns: runs(200) },
    );
  });

  it("says of audit what the installation lacks, and explain gives the proxy's code", async () => {
    const file = join(folder, "audited.yaml");
    const settings = join(folder, "settings.yaml");
    await writeFile(file, [provider(), policy("chat", "  audit: { required: true }\n"), key()].join("---\n"));
    for (const [durableAudit, warnings, code] of [
      [false, ["warning Unsupported"], "audit_unavailable"],
      [true, [], undefined],
      [null, [], undefined],
    ] as const) {
      await writeFile(settings, `durableAudit: ${durableAudit}\nsecretAccess: Namespace\n`);
      const linted = await sluice("lint", file, "--settings", settings, "-o", "json");
      const findings = JSON.parse(linted.stdout) as { severity: string; reason: string }[];
      assert.deepEqual([linted.code, findings.map(({ severity, reason }) => `${severity} ${reason}`)], [0, warnings]);
      const explained = await sluice(
        ...["explain", file, "--settings", settings, "--key", "a/alice", "--model", "gpt-4o", "-o", "json"],
      );
      const { failure } = JSON.parse(explained.stdout) as { failure: { code: string } | null };
      assert.deepEqual([explained.code, failure?.code], [code === undefined ? 0 : 1, code]);
    }
  });

  it("leaves out what belongs to another installation", async () => {
    const labelled = policy("other").replace("namespace: a }", "namespace: a, labels: { sluice.dev/class: blue } }");
    const names = async (className: string): Promise<string[]> => {
      const settings = operatorSettings.parse({ namespace: "sluice-system", className });
      const { compiled } = await offline(`${policy("chat")}---\n${labelled}`, "assumed", settings);
      return compiled.verdicts.map(({ meta }) => meta.name);
    };
    assert.deepEqual([await names(""), await names("blue"), await names("green")], [["chat"], ["other"], []]);
    assert.throws(() => operatorSettings.parse({ namespace: "x", className: "not a label" }));
  });

  it("takes them from the operator's file, from the chart's rendered manifests, and without a namespace", () => {
    const own = "namespace: gw\nsharingNamespaces: [a]\n";
    const rendered = `kind: Service\n---\nkind: ConfigMap\ndata:\n  settings.yaml: |\n    namespace: gw\n    sharingNamespaces: [a]\n`;
    for (const text of [own, rendered, "sharingNamespaces: [a]\n"])
      assert.deepEqual(settingsForCommand("file", text).sharingNamespaces, ["a"]);
    assert.throws(() => settingsForCommand("file", "sharingNamespace: [a]\n"), /file: .*sharingNamespace/);
  });
});

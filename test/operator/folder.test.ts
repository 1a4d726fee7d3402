import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parseAllDocuments } from "yaml";
import { compileFolder, formatFinding } from "../../operator/folder/compile-folder.ts";
import {
  eventually,
  key,
  type Manifest,
  text as manifestText,
  policy,
  provider,
  secret,
  startGateway,
} from "../harness/gateway.ts";
import { sluice } from "../harness/sluice.ts";
import { startUpstream } from "../harness/upstream.ts";

const head = "apiVersion: sluice.dev/v1alpha1\n";
const goodProvider = `${head}kind: LLMProvider\nmetadata: { name: p }\nspec:\n  type: OpenAICompatible\n  endpoint: http://llm.example.com/v1\n  models: [{ name: m }]\n`;

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-folder-"));
});
after(() => rm(folder, { recursive: true, force: true }));

async function findings(text: string, env: Record<string, string> = {}): Promise<string[]> {
  const file = join(folder, "one.yaml");
  await writeFile(file, text);
  const { findings: found } = await compileFolder([folder], env, new Uint8Array(32), { nowMs: 0 });
  return found.map((one) => formatFinding({ ...one, file: "one.yaml" }));
}

const slip = `${head}kind: LLMProvider\nmetadata: { name: p, namespace: 12 }\n`;
const twiceSecret = "apiVersion: v1\nkind: Secret\nmetadata: { name: s }\nstringData: { a: b }\n";
const slips: { name: string; text: string; expected: RegExp[] }[] = [
  {
    name: "with a namespace that is a number is reported, not put into default",
    text: slip,
    expected: [/^one\.yaml:3:\d+: error Unreadable: metadata\.namespace must be .* in quotes/],
  },
  {
    name: "with a misspelt field next to spec gets a suggestion",
    text: goodProvider.replace("spec:", "labels: {}\nspec:"),
    expected: [/^one\.yaml:4:1: error Unreadable: LLMProvider default\/p: unknown field labels/],
  },
  {
    name: "with an alias without an anchor is reported",
    text: `${head}kind: LLMProvider\nmetadata: { name: p }\nspec: *nowhere\n`,
    expected: [/^one\.yaml:1:1: error Unreadable: Unresolved alias/],
  },
  {
    name: "with a Secret twice is reported with both positions",
    text: `${twiceSecret}---\n${twiceSecret}`,
    expected: [
      /^one\.yaml:8:\d+: error Unreadable: Secret default\/s is defined twice, here and at .*one\.yaml:3; keep one/,
    ],
  },
];

const countries = (list: string): string =>
  `${head}kind: RoutingPolicy\nmetadata: { name: r }\nspec:\n  match: { models: [m] }\n  routing: { targets: [{ provider: { name: p } }] }\n  access: { countries: { allow: [${list}] } }\n`;
slips.push(
  {
    name: "with a country that kubectl reads as false is warned",
    text: `${goodProvider}---\n${countries("SE, NO")}`,
    expected: [
      /^one\.yaml:15:38: warning ReadOtherwise: kubectl reads NO as false, but here it is read as text; put it in quotes, or write false$/,
    ],
  },
  {
    name: "with that country in quotes is not warned",
    text: `${goodProvider}---\n${countries("SE, 'NO'")}`,
    expected: [],
  },
  {
    name: "with such a word in another project's document gets no warning",
    text: `${goodProvider}---\napiVersion: v1\nkind: ConfigMap\ndata: { a: yes }\n`,
    expected: [],
  },
);

describe("a folder of manifests", () => {
  const rows: { name: string; text: string; expected: RegExp[] }[] = [
    { name: "that is fine has no findings", text: goodProvider, expected: [] },
    {
      name: "with invalid YAML is reported by line and column",
      text: `${goodProvider}  bad: [1, 2\n`,
      expected: [/^one\.yaml:\d+:\d+: error Unreadable/],
    },
    {
      name: "with an unknown field is reported at the field",
      text: goodProvider.replace("models:", "modles: []\n  models:"),
      expected: [
        /^one\.yaml:7:3: error UnknownField: unknown field spec\.modles; did you mean models\? \(LLMProvider default\/p\)$/,
      ],
    },
    {
      name: "with an invalid value is reported at the value",
      text: goodProvider.replace("http://llm", "ftp://llm"),
      expected: [/^one\.yaml:6:3: error Invalid: spec\.endpoint/],
    },
    {
      name: "with an unknown kind learns which there are",
      text: `${head}kind: LLMProvidr\nmetadata: { name: x }\n`,
      expected: [/^one\.yaml:2:1: error Unreadable: .*LLMProvider, RoutingPolicy, Budget, ApiKey/],
    },
    {
      name: "with an object twice is reported with both positions",
      text: `${goodProvider}---\n${goodProvider}`,
      expected: [/^one\.yaml:11:\d+: error Unreadable: LLMProvider default\/p is defined twice/],
    },
    {
      name: "with an unset variable is reported with its name",
      text: "apiVersion: v1\nkind: Secret\nmetadata: { name: s }\nstringData:\n  apiKey: ${NOT_SET}\n",
      expected: [/^one\.yaml:5:3: error Unreadable: Secret default\/s: set NOT_SET in the environment$/],
    },
    {
      name: "with objects of other kinds leaves them alone",
      text: `apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: x }\n---\n${goodProvider}`,
      expected: [],
    },
  ];
  const inList = (text: string): string =>
    `apiVersion: v1\nkind: List\nitems:\n${text.replace(/^/gm, "    ").replace(/^ {4}apiVersion/, "  - apiVersion")}`;
  rows.push(
    { name: "with a list reads the objects in it", text: inList(goodProvider), expected: [] },
    {
      name: "with a list reports a field of an object in it where it stands",
      text: inList(goodProvider.replace("models:", "modles: []\n  models:")),
      expected: [/^one\.yaml:10:7: error UnknownField: unknown field spec\.modles; did you mean models\?/],
    },
    {
      name: "with the list of a kind reads it too",
      text: inList(goodProvider.replace("http://llm", "ftp://llm")).replace(
        "v1\nkind: List",
        "sluice.dev/v1alpha1\nkind: LLMProviderList",
      ),
      expected: [/^one\.yaml:9:7: error Invalid: spec\.endpoint/],
    },
    {
      name: "with a list of something else reports it",
      text: "apiVersion: v1\nkind: List\nitems: [1]\n",
      expected: [/^one\.yaml:3:\d+: error Unreadable: this document is not an object/],
    },
  );
  for (const { name, text, expected } of [...rows, ...slips]) {
    it(name, async () => {
      const found = await findings(text);
      assert.equal(found.length, expected.length, found.join("\n"));
      for (const [index, pattern] of expected.entries()) assert.match(found[index] ?? "", pattern);
    });
  }

  it("fills a Secret in from the environment, or from its fallback", async () => {
    const file = join(folder, "one.yaml");
    await writeFile(
      file,
      "apiVersion: v1\nkind: Secret\nmetadata: { name: s }\nstringData:\n  a: ${A}\n  b: ${B:-fallback}\n",
    );
    const { folder: read } = await compileFolder([folder], { A: "from-env" }, new Uint8Array(32), { nowMs: 0 });
    assert.deepEqual([...read.secretValues.values()].sort(), ["fallback", "from-env"]);
  });
});

describe("the command line", () => {
  it("lints a good folder with 0", async () => {
    assert.deepEqual(
      [(await sluice("lint", "examples/quickstart/policies", "examples/quickstart/simulated")).code],
      [0],
    );
  });
  it("finds nothing in the example of alerts", async () => {
    assert.deepEqual(await sluice("lint", "examples/alerts"), {
      code: 0,
      stdout: "4 objects, 0 findings\n",
      stderr: "",
    });
  });
  it("lints a folder with a dangling reference with 1, by file and line", async () => {
    const { code, stdout } = await sluice("lint", "examples/quickstart/policies");
    assert.equal(code, 1);
    assert.match(stdout, /chat\.yaml:\d+:\d+: error ProviderNotFound: /);
  });
  it("renders ConfigMaps that a proxy would read, and no secret", async () => {
    const { code, stdout } = await sluice("render", "examples/quickstart/policies", "examples/quickstart/simulated");
    assert.equal(code, 0);
    assert.match(stdout, /name: sluice-config/);
    assert.doesNotMatch(stdout, /slc_example_key/);
  });
  it("says what was probably meant", async () => {
    const { code, stderr } = await sluice("lnit");
    assert.equal(code, 2);
    assert.match(stderr, /did you mean lint/);
  });
  for (const command of ["lint", "render", "diff", "dev", "proxy", "operator"]) {
    it(`explains ${command}`, async () => {
      const { code, stdout } = await sluice(command, "--help");
      assert.deepEqual([code, stdout.startsWith(`sluice ${command}`)], [0, true]);
    });
  }
});

describe("dev", () => {
  it("serves what `kubectl get -o yaml` prints: a list, with statuses", async () => {
    const upstream = await startUpstream();
    const objects = [
      provider("up", upstream.url),
      secret("up-credentials", { apiKey: "sk-one" }),
      ...key("alice", "slc_alice_key_0001"),
      policy("chat", { match: { models: ["gpt-4o"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
    ];
    const stored = { uid: "0b1f", resourceVersion: "7", creationTimestamp: "2026-01-01T00:00:00Z", generation: 1 };
    const items = parseAllDocuments(manifestText(objects)).map((document) => {
      const object = document.toJS() as Manifest;
      return { ...object, metadata: { ...object.metadata, ...stored }, status: {} };
    });
    const gateway = await startGateway([]);
    try {
      const list = { apiVersion: "v1", kind: "List", metadata: { resourceVersion: "" }, items };
      await writeFile(join(gateway.folder, "manifests.yaml"), JSON.stringify(list));
      await eventually(async () => {
        const answer = await fetch(`${gateway.url}/v1/chat/completions`, {
          method: "POST",
          headers: { authorization: "Bearer slc_alice_key_0001", "content-type": "application/json" },
          body: JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: "Hi" }] }),
        });
        await answer.arrayBuffer();
        return answer.status === 200;
      });
    } finally {
      await gateway.close();
      await upstream.close();
    }
  });

  it("takes a saved change, prints a mistake with file and line, and goes on serving the last good form", async () => {
    const upstream = await startUpstream();
    const objects = [
      provider("up", upstream.url),
      secret("up-credentials", { apiKey: "sk-one" }),
      ...key("alice", "slc_alice_key_0001"),
    ];
    const chat = policy("chat", {
      match: { models: ["gpt-4o"] },
      routing: { targets: [{ provider: { name: "up" } }] },
    });
    const gateway = await startGateway([...objects, chat]);
    const call = async (): Promise<number> => {
      const answer = await fetch(`${gateway.url}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: "Bearer slc_alice_key_0001", "content-type": "application/json" },
        body: JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: "Hi" }] }),
      });
      await answer.arrayBuffer();
      return answer.status;
    };
    try {
      assert.equal(await call(), 200);
      await gateway.apply([
        ...objects,
        policy("chat", {
          match: { models: ["gpt-4o"] },
          routing: { targets: [{ provider: { name: "up" }, wieght: 1 }] },
        }),
      ]);
      assert.ok(
        gateway.printed.some((line) =>
          /manifests\.yaml:\d+:\d+: error UnknownField: .*wieght; did you mean weight/.test(line),
        ),
        gateway.printed.join("\n"),
      );
      assert.equal(await call(), 200);
      await writeFile(join(gateway.folder, "manifests.yaml"), "{ broken");
      await eventually(() => gateway.printed.some((line) => /manifests\.yaml:1:\d+: error Unreadable/.test(line)));
      assert.equal(await call(), 200);
      await gateway.apply([
        provider("up", upstream.url),
        secret("up-credentials", { apiKey: "sk-two" }),
        ...key("alice", "slc_alice_key_0001"),
        chat,
      ]);
      await eventually(
        async () => (await call()) === 200 && upstream.requests.at(-1)?.headers.authorization === "Bearer sk-two",
      );
    } finally {
      await gateway.close();
      await upstream.close();
    }
  });
});

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { stringify } from "yaml";
import type { Explanation } from "../../proxy/pipeline/explain.ts";
import { key, type Manifest, policy, provider, secret } from "../harness/gateway.ts";
import { sluiceWith } from "../harness/sluice.ts";

const clear = "slc_alice_key_0001";

const explain = (args: readonly string[], input = "", env: Record<string, string> = {}) =>
  sluiceWith({ input, env: { ...process.env, ...env } }, "explain", ...args);

const url = "https://llm.example.com";
const to = (name: string, more: object = {}): object => ({ provider: { name }, ...more });
const manifests: Manifest[] = [
  provider("big", url, { models: [{ name: "gpt-4o", contextTokens: 100_000 }, { name: "m" }] }),
  provider("small", url, { models: [{ name: "gpt-4o", contextTokens: 1_000 }] }),
  ...(["Prefix", "LeastLoad"] as const).map((strategy) =>
    provider(strategy.toLowerCase(), "http://vllm.models.svc:8000/v1", {
      type: "OpenAICompatible",
      allowPrivateEndpoint: true,
      models: [{ name: "llama" }],
      pool: { addresses: ["10.0.0.1:8000", "10.0.0.2:8000", "10.0.0.3:8000"], strategy, maxInFlight: 8 },
    }),
  ),
  provider("claude", url, {
    type: "Anthropic",
    models: [{ name: "gpt-4o", upstream: "claude-sonnet-4-5" }],
    unsupportedParameters: "Refuse",
  }),
  provider("other", url, { type: "Anthropic", models: [{ name: "gpt-4o" }], unsupportedParameters: "Refuse" }),
  ...["big", "small", "claude", "other", "prefix", "leastload"].map((name) =>
    secret(`${name}-credentials`, { apiKey: "sk-planted" }),
  ),
  policy("chat", {
    match: { models: ["gpt-4o"] },
    routing: {
      targets: [to("small"), to("big", { priority: 2 })],
      shadow: { target: to("claude"), percent: 10, costPerDay: "2.50" },
    },
  }),
  policy("premium", {
    match: { pathPrefix: "/premium" },
    routing: {
      targets: [to("small"), to("big")],
      rules: [
        { when: { tags: ["gold"], headers: [{ name: "x-tier", value: "1" }] }, use: ["big"] },
        { when: { roles: ["admin"] }, use: ["small"] },
      ],
    },
  }),
  policy("strict", { match: { models: ["strict"] }, routing: { targets: [to("claude", { model: "gpt-4o" })] } }),
  ...(
    [
      ["drawn", { strategy: "Weighted", targets: [to("claude", { model: "gpt-4o" }), to("big", { model: "m" })] }],
      ["turns", { strategy: "RoundRobin", targets: [to("big", { model: "m" }), to("claude", { model: "gpt-4o" })] }],
      ["fixed", { targets: [to("claude", { model: "gpt-4o" }), to("big", { model: "m", priority: 2 })] }],
      [
        "unable",
        { strategy: "Weighted", targets: [to("claude", { model: "gpt-4o" }), to("other", { model: "gpt-4o" })] },
      ],
    ] as const
  ).map(([name, routing]) => policy(name, { match: { models: [name] }, routing })),
  policy("closed", {
    match: { models: ["closed"] },
    access: { teams: ["platform"] },
    routing: { targets: [to("big", { model: "m" })] },
  }),
  policy("offices", {
    match: { models: ["offices"] },
    access: {
      networks: ["10.0.0.0/8"],
      countries: { allow: ["DE"] },
      hours: { from: "08:00", to: "18:00", timeZone: "Europe/Berlin" },
    },
    routing: { targets: [to("big", { model: "m" })] },
  }),
  policy("pools", {
    match: { models: ["llama"] },
    routing: { targets: [to("prefix"), to("leastload", { priority: 2 })] },
  }),
  policy("broken", { match: { models: ["broken"] }, routing: { targets: [to("nobody")] } }),
  ...key("alice", clear, { tags: ["gold"] }),
  ...key("old", "slc_old_key_0001", { revoked: true }),
];

describe("sluice explain", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "sluice-explain-"));
    const documents = manifests.map(({ kind, metadata, ...rest }) =>
      stringify({
        apiVersion: kind === "Secret" ? "v1" : "sluice.dev/v1alpha1",
        kind,
        metadata: { namespace: "default", ...metadata },
        ...rest,
      }),
    );
    await writeFile(join(folder, "all.yaml"), documents.join("---\n"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const json = async (...args: string[]): Promise<Explanation & { notes: string[]; code: number | null }> => {
    const { code, stdout, stderr } = await explain([folder, "-o", "json", ...args]);
    assert.equal(stderr, "");
    return { ...(JSON.parse(stdout) as Explanation & { notes: string[] }), code };
  };
  const alice = ["--key", "default/alice"];
  const placed = (one: Explanation): (string | number | null)[][] =>
    one.targets.map(({ place, target }) => [place, target]);

  it("names the server of a pool, and why", async () => {
    const one = await json(...alice, "--model", "llama");
    const [prefix, least] = one.targets.map(({ server }) => server);
    assert.match(
      prefix ?? "",
      /^10\.0\.0\.[123]:8000 of 3 servers, by Prefix: it is kept for conversations that begin like this one, .*; at most 8 calls/,
    );
    assert.equal(
      least,
      "the one of 3 servers with the fewest calls of the proxy under way, by LeastLoad; at most 8 calls of a proxy at each",
    );
    const { stdout } = await explain([folder, ...alice, "--model", "llama"]);
    assert.match(stdout, /\n {6}server: the one of 3 servers/);
  });

  it("explains forms: audio and edits of images", async () => {
    for (const [path, operation] of [
      ["/v1/audio/transcriptions", "openai.transcriptions"],
      ["/v1/audio/translations", "openai.translations"],
      ["/v1/images/edits", "openai.image_edits"],
    ] as const) {
      const one = await json(...alice, "--model", "gpt-4o", "--path", path);
      assert.deepEqual([one.operation, one.route, one.model], [operation, "default/chat", "gpt-4o"]);
    }
  });

  it("explains a form of the caller's own, and fields given as JSON", async () => {
    const path = ["--path", "/v1/audio/transcriptions"];
    const head = 'Content-Disposition: form-data; name="model"';
    const form = `--b\r\n${head}\r\n\r\ngpt-4o\r\n--b--\r\n`;
    const type = ["--header", "content-type=multipart/form-data; boundary=b"];
    const own = await explain([folder, "-o", "json", ...alice, ...path, ...type, "--body", "-"], form);
    assert.equal((JSON.parse(own.stdout) as Explanation).route, "default/chat", own.stderr);
    const fields = await explain([folder, "-o", "json", ...alice, ...path, "--body", "-"], '{"model":"strict"}');
    assert.equal((JSON.parse(fields.stdout) as Explanation).route, "default/strict", fields.stderr);
    const chat = await json(...alice, "--model", "gpt-4o", "--header", "content-type=text/plain");
    assert.deepEqual([chat.code, chat.failure?.code], [1, "unsupported_media_type"]);
  });

  it("names the route, the order of its targets, and why every other route was not taken", async () => {
    const one = await json(...alice, "--model", "gpt-4o");
    assert.deepEqual([one.code, one.key, one.route, one.model], [0, "default/alice", "default/chat", "gpt-4o"]);
    assert.deepEqual(placed(one), [
      [1, "small"],
      [2, "big"],
    ]);
    assert.equal(one.targets[0]?.why, "Priority: 1");
    const why = Object.fromEntries(one.routes.map((route) => [route.route, route.why]));
    assert.deepEqual(why, {
      "default/chat": "names gpt-4o, and is offered to this caller",
      "default/premium": "serves under /premium",
      "default/strict": "serves strict, not gpt-4o",
      "default/closed": "serves closed, not gpt-4o",
      "default/broken": "serves broken, not gpt-4o",
      "default/pools": "serves llama, not gpt-4o",
      "default/offices": "serves offices, not gpt-4o",
      ...Object.fromEntries(
        ["drawn", "turns", "fixed", "unable"].map((name) => [`default/${name}`, `serves ${name}, not gpt-4o`]),
      ),
    });
    assert.match(
      one.notes.join("\n"),
      /RoutingPolicy default\/broken is not served: LLMProvider nobody is not in namespace default/,
    );
  });

  it("says what is copied, and where to", async () => {
    const one = await json(...alice, "--model", "gpt-4o");
    assert.equal(
      one.shadow,
      "10 % of answered calls are copied to default/claude claude-sonnet-4-5, as long as copies cost at most USD 2.50 a day",
    );
    assert.equal((await json(...alice, "--path", "/premium/chat/completions", "--model", "gpt-4o")).shadow, null);
  });

  it("says that a prompt is too long for a context", async () => {
    const one = await json(...alice, "--model", "gpt-4o", "--prompt-tokens", "5000");
    assert.deepEqual(placed(one), [
      [1, "big"],
      [null, "small"],
    ]);
    assert.equal(one.targets[1]?.why, "its context of 1000 tokens can't hold the prompt's 5000");
  });

  it("says which rule decides, and what the others lack", async () => {
    const base = [...alice, "--path", "/premium/chat/completions", "--model", "gpt-4o"];
    const one = await json(...base, "--header", "X-Tier=1");
    assert.deepEqual(
      one.rules.map(({ decides, why }) => [decides, why]),
      [
        [true, "every condition holds"],
        [false, "does not match: roles"],
      ],
    );
    assert.deepEqual(
      one.targets.map(({ target, why }) => [target, why]),
      [
        ["big", "rule 1 names it"],
        ["small", "rule 1 does not name it"],
      ],
    );
    const two = await json(...base);
    assert.deepEqual(
      two.rules.map(({ why }) => why),
      ["does not match: headers", "does not match: roles"],
    );
    const three = await json(...alice, "--path", "/premium/chat/completions", "--model", "m");
    assert.equal(
      three.targets.find((target) => target.target === "small")?.why,
      "provider default/small has no model m",
    );
  });

  it("follows the caller's wish", async () => {
    const one = await json(...alice, "--model", "gpt-4o", "--header", "x-prefer-provider=big");
    assert.deepEqual([one.targets[0]?.target, one.targets[0]?.why], ["big", "the caller prefers it"]);
  });

  it("says that a provider would refuse a parameter", async () => {
    const body = join(folder, "body.json.txt");
    await writeFile(
      body,
      JSON.stringify({
        model: "strict",
        messages: [{ role: "user", content: "Hi" }],
        max_tokens: 5,
        logit_bias: { 1: 2 },
      }),
    );
    const one = await json(...alice, "--body", body);
    assert.equal(one.code, 1);
    assert.match(one.targets[0]?.refuses ?? "", /logit_bias/);
    assert.equal(one.failure?.code, "unsupported_parameter");
  });

  for (const [model, code, sometimes] of [
    ["drawn", 0, ["claude"]],
    ["turns", 0, ["claude"]],
    ["fixed", 1, []],
    ["unable", 1, []],
  ] as const)
    it(`exits with ${code} for ${model}, where ${sometimes.length === 0 ? "every" : "one"} first target would refuse`, async () => {
      const body = { model, messages: [{ role: "user", content: "Hi" }], max_tokens: 5, logit_bias: { 1: 2 } };
      const args = [folder, ...alice, "--body", "-"];
      const explained = await explain([...args, "-o", "json"], JSON.stringify(body));
      const said = JSON.parse(explained.stdout) as Explanation;
      assert.deepEqual([explained.code, said.sometimes.map(({ target }) => target)], [code, sometimes]);
      assert.equal(said.failure?.code, code === 1 ? "unsupported_parameter" : undefined);
      const text = (await explain(args, JSON.stringify(body))).stdout;
      assert.equal(/^sometimes refused, when claude comes first: 400/m.test(text), code === 0, text);
    });

  it("gives the code that the proxy gives, whatever it is", async () => {
    const body = join(folder, "hot.json.txt");
    const hot = { model: "strict", messages: [{ role: "user", content: "Hi" }], max_tokens: 5, temperature: 1.5 };
    await writeFile(body, JSON.stringify(hot));
    const one = await json(...alice, "--body", body);
    assert.deepEqual(
      [one.failure?.status, one.failure?.code, one.targets[0]?.code],
      [400, "invalid_value", "invalid_value"],
    );
  });

  const office = [...alice, "--model", "offices"];
  const noon = "2027-02-26T12:00:00Z";

  it("uses the given address, country and time", async () => {
    const one = await json(...office, "--address", "10.1.2.3", "--country", "de", "--at", noon);
    assert.deepEqual([one.code, one.route], [0, "default/offices"]);
  });

  it("judges compacted conversations, which it can't open, and the call that makes them", async () => {
    const post = async (path: string, body: object) => {
      const args = [folder, "-o", "json", ...alice, "--path", path, "--body", "-"];
      return JSON.parse((await explain(args, JSON.stringify({ model: "gpt-4o", ...body }))).stdout) as Explanation;
    };
    const item = { type: "compaction", encrypted_content: "sluice.compaction.AAAA" };
    const input = [item, { role: "user", content: "Hi" }];
    for (const path of ["/v1/responses", "/v1/responses/compact"]) {
      const one = await post(path, { input });
      assert.deepEqual([one.operation, one.failure, one.targets[0]?.refuses], ["openai.responses", null, null]);
    }
    const streamed = await post("/v1/responses/compact", { input, stream: true });
    assert.equal(streamed.failure?.code, "unsupported_parameter");
  });

  const refusals: { name: string; args: string[]; code: string }[] = [
    { name: "a team is missing", args: [...alice, "--model", "closed"], code: "access_denied" },
    { name: "no policy serves the model", args: [...alice, "--model", "gpt-9"], code: "model_not_found" },
    { name: "no model is named", args: alice, code: "missing_required_parameter" },
    { name: "nothing is served at the path", args: [...alice, "--path", "/v2/chat"], code: "unknown_url" },
    { name: "no key is given", args: ["--model", "gpt-4o"], code: "missing_api_key" },
    { name: "the key is revoked", args: ["--key", "default/old", "--model", "gpt-4o"], code: "revoked_api_key" },
    {
      name: "the address is not known",
      args: [...office, "--country", "DE", "--at", noon],
      code: "network_not_allowed",
    },
    {
      name: "the country is different",
      args: [...office, "--address", "10.1.2.3", "--country", "fr", "--at", noon],
      code: "country_not_allowed",
    },
    {
      name: "it is night",
      args: [...office, "--address", "10.1.2.3", "--country", "de", "--at", "2027-02-26T23:00:00Z"],
      code: "outside_allowed_hours",
    },
    { name: "the policy has no target left", args: [...alice, "--model", "broken"], code: "no_usable_target" },
  ];
  for (const { name, args, code } of refusals) {
    it(`prints the caller's error when ${name}`, async () => {
      const one = await json(...args);
      assert.deepEqual([one.code, one.failure?.code], [1, code]);
    });
  }

  it("takes a clear key from standard input or the environment, and never shows it or any other secret", async () => {
    for (const [args, input, env] of [
      [["--key-stdin"], `${clear}\n`, {}],
      [["--key-env", "ALICE"], "", { ALICE: clear }],
    ] as const) {
      const { code, stdout } = await explain([folder, ...args, "--model", "gpt-4o"], input, env);
      assert.equal(code, 0, stdout);
      assert.match(
        stdout,
        /caller {4}default\/alice, user alice@example\.com\noperation openai\.chat\nmodel {5}gpt-4o\nroute {5}default\/chat\ntargets\n {2}1\. {2}small/,
      );
      assert.doesNotMatch(stdout, /slc_|sk-planted/);
    }
  });

  for (const [args, message] of [
    [["--key", "alice"], /--key must be NAMESPACE\/NAME/],
    [["--key", "default/alice", "--key-stdin"], /name the caller once/],
    [["--key-stdin", "--body", "-"], /can't be both/],
    [["--header", "x"], /--header must be NAME=VALUE/],
    [["--address", "somewhere"], /--address must be an IP address/],
    [["--at", "noon"], /--at must be a time/],
    [["--prompt-tokens", "many"], /--prompt-tokens must be a whole number/],
    [["-o", "yaml"], /--output must be text or json/],
    [["--key-env", "NOT_THERE_AT_ALL"], /the environment has no NOT_THERE_AT_ALL/],
  ] as const) {
    it(`refuses ${args.join(" ")}`, async () => {
      const { code, stderr } = await explain([folder, ...args]);
      assert.equal(code, 2);
      assert.match(stderr, message);
    });
  }

  it("says that an ApiKey does not exist", async () => {
    const { code, stderr } = await explain([folder, "--key", "default/nobody"]);
    assert.equal(code, 1);
    assert.match(stderr, /ApiKey default\/nobody is not served; there is no such object/);
  });
});

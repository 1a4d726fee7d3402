/** `spec.headers` and `spec.query`: what is accepted, what is refused, and where secret values go. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { secretRefs } from "../../operator/cluster/world.ts";
import { compile } from "../../operator/compile/compile.ts";
import type { WorldObject } from "../../operator/compile/world.ts";
import { secretFact } from "../../operator/secrets.ts";
import { installation, renderedSettings } from "../../operator/settings/installation.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";
import { encode } from "../../proxy/config/encode.ts";
import { credentialName, credentialNames } from "../../proxy/config/names.ts";

const pepper = new Uint8Array(32).fill(7);
const values = { key: "subscription-0001", broken: "two\nlines", apiKey: "sk-1" };
const facts = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, secretFact(pepper, value)]));
const ref = (key: string, name = "s") => ({ valueFrom: { secretKeyRef: { name, key } } });

function run(spec: Record<string, unknown>, readable = true) {
  const object: WorldObject = {
    kind: "LLMProvider",
    meta: { name: "p", namespace: "a", uid: "u", generation: 1, createdAtMs: 1, labels: {} },
    spec: { type: "OpenAICompatible", endpoint: "https://front.example.com/v1", models: [{ name: "m" }], ...spec },
    status: {},
  };
  const secretRights = { "a/s": { readable, writable: false, foreign: [] } };
  const compiled = compile(
    {
      world: { objects: [object], secrets: { "a/s": facts }, namespaces: {}, secretRights },
      settings: { proxy: renderedSettings(installation.parse({})), sharingNamespaces: "*" },
      previous: null,
      nowMs: 0,
    },
    capabilitiesByType,
  );
  const [verdict] = compiled.verdicts;
  return {
    object,
    config: compiled.config,
    provider: compiled.config.providers[0],
    problems: [...(verdict?.accepted ?? []), ...(verdict?.resolvedRefs ?? [])].map(
      ({ reason, severity, message, path }) => `${severity} ${reason} at ${path.join(".")}: ${message}`,
    ),
  };
}

describe("headers and query parameters of a provider", () => {
  it("are published as names of entries in the Secret, where they are secret", () => {
    const { object, config, provider, problems } = run({
      headers: [
        { name: "ocp-apim-subscription-key", ...ref("key") },
        { name: "x-route", value: "a" },
      ],
      query: [{ name: "code", ...ref("key") }],
    });
    assert.deepEqual(problems, []);
    const secret = credentialName(facts["key"]?.digest ?? "");
    assert.deepEqual(provider?.headers, { "ocp-apim-subscription-key": { secret }, "x-route": { value: "a" } });
    assert.deepEqual(provider?.query, { code: { secret } });
    assert.deepEqual(provider && credentialNames(provider), [secret, secret]);
    assert.deepEqual(encode(config, "id").manifest.credentials, [secret]);
    assert.deepEqual(secretRefs(object), ["a/s", "a/s"]);
    assert.ok(!JSON.stringify(config).includes(values.key));
  });

  const refused: [what: string, spec: Record<string, unknown>, said: RegExp, readable?: boolean][] = [
    [
      "a header with the credential",
      { credentials: { secretRef: { name: "s" } }, headers: [{ name: "authorization", ...ref("key") }] },
      /^error Invalid at spec.headers.0.name: .*OpenAICompatible puts the credential there; see spec.credentials$/,
    ],
    [
      "a header that the type sets",
      {
        type: "OpenAI",
        endpoint: undefined,
        credentials: { secretRef: { name: "s" } },
        headers: [{ name: "openai-project", value: "x" }],
      },
      /OpenAI sets it itself; see spec.options$/,
    ],
    [
      "a parameter that the type sets",
      {
        type: "AzureOpenAI",
        credentials: { secretRef: { name: "s" } },
        query: [{ name: "api-version", value: "x" }],
      },
      /^error Invalid at spec.query.0.name: spec.query must not set api-version: AzureOpenAI sets it itself/,
    ],
    [
      "a name twice",
      {
        query: [
          { name: "a", value: "1" },
          { name: "a", value: "2" },
        ],
      },
      /spec.query\[1\]: is in the list twice: "a"; remove one$/,
    ],
    ["a Secret that is nowhere", { headers: [{ name: "x-a", ...ref("key", "t") }] }, /^error SecretNotFound at /],
    ["a key that is not in the Secret", { headers: [{ name: "x-a", ...ref("no") }] }, /SecretKeyNotFound at .* no$/],
    ["a value of two lines", { headers: [{ name: "x-a", ...ref("broken") }] }, /SecretUnusable at .*key broken: /],
    [
      "a Secret without its owner's consent",
      { query: [{ name: "a", ...ref("key") }] },
      /^error SecretNotPermitted at spec.query.0.valueFrom.secretKeyRef: /,
      false,
    ],
    [
      "a literal under the name of a secret",
      { headers: [{ name: "ocp-apim-subscription-key", value: "0123456789abcdef" }] },
      /^warning SecretInObject at spec.headers.0.value: (?!.*0123456789abcdef)/,
    ],
  ];
  for (const [what, spec, said, readable] of refused)
    it(`are reported with ${what}`, () => {
      const { problems, provider } = run(spec, readable);
      assert.equal(problems.length, 1, problems.join("\n"));
      assert.match(problems[0] ?? "", said);
      assert.equal(provider === undefined, (problems[0] ?? "").startsWith("error"));
    });

  it("may hold the authorization of a server that needs no credential", () => {
    const { problems } = run({ headers: [{ name: "authorization", ...ref("key") }] });
    assert.deepEqual(problems, []);
  });

  it("may hold a key of a cache, which is no secret", () => {
    const { problems } = run({ headers: [{ name: "cf-aig-cache-key", value: "a" }] });
    assert.deepEqual(problems, []);
  });
});

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import type { Kind } from "../../crds/kinds.ts";
import { type Compiled, compile } from "../../operator/compile/compile.ts";
import type { Verdict } from "../../operator/compile/verdict.ts";
import type { CompileInput, CompileSettings, World, WorldObject } from "../../operator/compile/world.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";
import { canonicalJson, encode } from "../../proxy/config/encode.ts";
import { parseDocuments } from "../../proxy/config/parse.ts";
import { keyShards, type RenderedConfig, settings as settingsSchema } from "../../proxy/config/schema.ts";
import fc, { runs } from "../harness/property.ts";

const nowMs = Date.parse("2026-11-20T12:00:00Z");
const settings: CompileSettings = { proxy: { maxBodyBytes: 1_000_000 }, sharingNamespaces: ["platform"] };
const digest = (seed: string): string => Buffer.from(seed.padEnd(32, "0")).toString("hex").slice(0, 64);

function object(kind: Kind, id: string, spec: unknown, createdAtMs = 1): WorldObject {
  const [namespace = "", name = ""] = id.split("/");
  return { kind, meta: { name, namespace, uid: id, generation: 1, createdAtMs, labels: {} }, spec, status: {} };
}

const provider = (id: string, spec: Record<string, unknown> = {}, createdAtMs = 1): WorldObject =>
  object(
    "LLMProvider",
    id,
    { type: "OpenAICompatible", endpoint: "http://llm.example.com/v1", models: [{ name: "m" }], ...spec },
    createdAtMs,
  );
const policy = (id: string, spec: Record<string, unknown> = {}, createdAtMs = 1): WorldObject =>
  object(
    "RoutingPolicy",
    id,
    { match: { models: ["m"] }, routing: { targets: [{ provider: { name: "p" } }] }, ...spec },
    createdAtMs,
  );
const apiKey = (id: string, spec: Record<string, unknown> = {}, createdAtMs = 1): WorldObject =>
  object("ApiKey", id, { user: "u", writeTo: { name: "s" }, ...spec }, createdAtMs);

function world(objects: WorldObject[], more: Partial<World> = {}): World {
  return {
    objects,
    namespaces: { a: {}, b: { tier: "gold" }, platform: {} },
    secrets: { "a/s": { apiKey: { digest: digest("one"), displayPrefix: "slc_one0" } } },
    ...more,
  };
}

function run(input: World, previous: RenderedConfig | null = null, more: Partial<CompileInput> = {}): Compiled {
  return compile({ world: input, settings, previous, nowMs, ...more }, capabilitiesByType);
}

function verdict(compiled: Compiled, kind: Kind, id: string): Verdict {
  const found = compiled.verdicts.find(
    (verdict) => verdict.kind === kind && `${verdict.meta.namespace}/${verdict.meta.name}` === id,
  );
  assert.ok(found, `${kind} ${id} has a verdict`);
  return found;
}

const reasons = (one: Verdict): string[] => [...one.accepted, ...one.resolvedRefs].map((problem) => problem.reason);

interface Row {
  name: string;
  objects: WorldObject[];
  more?: Partial<World>;
  of: [Kind, string];
  reasons: string[];
  live: Verdict["live"];
  message?: RegExp;
}

const meaning = (
  more: Record<string, unknown> = {},
  embeddings: Record<string, unknown> = {},
): Record<string, unknown> => ({
  cache: {
    semantic: { embeddings: { provider: { name: "v" }, model: "e", ...embeddings }, threshold: "0.95", ...more },
  },
});
const vectors = (id: string, spec: Record<string, unknown> = {}): WorldObject =>
  provider(id, { models: [{ name: "e" }], ...spec });

const copied = (target: Record<string, unknown> = {}, more: Record<string, unknown> = {}): Record<string, unknown> => ({
  routing: {
    targets: [{ provider: { name: "p" } }],
    shadow: { target: { provider: { name: "q" }, ...target }, percent: 10, ...more },
  },
});

const rows: Row[] = [
  {
    name: "a policy that copies calls to a second provider is live",
    objects: [provider("a/p"), provider("a/q"), policy("a/r", copied())],
    of: ["RoutingPolicy", "a/r"],
    reasons: [],
    live: "current",
  },
  ...(
    [
      ["is nowhere", [], copied(), "ProviderNotFound", /LLMProvider q is not in namespace a/, "partial"],
      [
        "lacks the model",
        [provider("a/q", { models: [{ name: "n" }] })],
        copied(),
        "ModelNotFound",
        /LLMProvider a\/q has no model m; it has n/,
        "partial",
      ],
      [
        "is another namespace's",
        [provider("b/q")],
        copied({ provider: { name: "q", namespace: "b" } }),
        "RefNotPermitted",
        /does not allow namespace a/,
        "partial",
      ],
      [
        "is outside the regions",
        [provider("a/q", { region: "us" }), provider("a/p", { region: "eu" })],
        { ...copied(), access: { residency: { regions: ["eu"] } } },
        "NotResident",
        /no calls are copied: .*also to a shadow/,
        "partial",
      ],
      [
        "answers the calls as well",
        [],
        copied({ provider: { name: "p" } }),
        "Invalid",
        /the same provider and model as target p: .*name another/,
        "current",
      ],
      [
        "has no price, where the cost is limited",
        [provider("a/q")],
        copied({}, { costPerDay: "5" }),
        "Invalid",
        /no price is known for m of LLMProvider a\/q: with costPerDay, calls to it are not copied/,
        "current",
      ],
      [
        "sets what is the caller's",
        [provider("a/q")],
        copied({ parameters: { tools: [] } }),
        "Invalid",
        /spec\.routing\.shadow\.target\.parameters must not set tools/,
        "none",
      ],
    ] as const
  ).map(
    ([why, objects, spec, reason, message, live]): Row => ({
      name: `a shadow that ${why}`,
      objects: [
        ...(objects.some(({ meta }) => meta.name === "p") ? [] : [provider("a/p")]),
        ...objects,
        policy("a/r", spec),
      ],
      of: ["RoutingPolicy", "a/r"],
      reasons: [reason],
      message,
      live,
    }),
  ),
  {
    name: "a provider and a policy that fit are live",
    objects: [provider("a/p"), policy("a/r")],
    of: ["RoutingPolicy", "a/r"],
    reasons: [],
    live: "current",
  },
  {
    name: "a cache by meaning with its provider of embeddings is live",
    objects: [provider("a/p"), vectors("a/v"), policy("a/r", meaning())],
    of: ["RoutingPolicy", "a/r"],
    reasons: [],
    live: "current",
  },
  ...(
    [
      ["is nowhere", [], {}, {}, "ProviderNotFound", /LLMProvider v is not in namespace a/],
      ["lacks the model", [provider("a/v")], {}, {}, "ModelNotFound", /has no model e; it has m/],
      [
        "is of a type without embeddings",
        [vectors("a/v", { type: "Anthropic", endpoint: undefined })],
        {},
        {},
        "ProviderNotReady",
        /not usable/,
      ],
      [
        "is of a type without embeddings, but else fine",
        [vectors("a/v", { type: "Anthropic", credentials: { secretRef: { name: "s" } } })],
        {},
        {},
        "Unsupported",
        /type Anthropic .* has no embeddings; name a provider that has/,
      ],
      [
        "is another namespace's",
        [vectors("b/v")],
        { namespace: "b" },
        {},
        "RefNotPermitted",
        /does not allow namespace a/,
      ],
      [
        "processes data elsewhere",
        [vectors("a/v", { region: "us" })],
        {},
        { residency: { regions: ["eu"] } },
        "NotResident",
        /processes data in us/,
      ],
      [
        "does not say where it processes data",
        [vectors("a/v")],
        {},
        { residency: { regions: ["eu"] } },
        "NotResident",
        /also to the provider of embeddings/,
      ],
    ] as const
  ).map(
    ([what, objects, ref, access, reason, message]): Row => ({
      name: `without a cache by meaning, but with the rest of the policy, where the provider of embeddings ${what}`,
      objects: [
        provider("a/p", { region: "eu" }),
        ...objects,
        policy("a/r", { ...meaning({}, { provider: { name: "v", ...ref } }), access }),
      ],
      of: ["RoutingPolicy", "a/r"],
      reasons: [reason],
      live: "partial",
      message,
    }),
  ),
  {
    name: "an unknown field is named, with what was meant",
    objects: [provider("a/p", { modles: [] })],
    of: ["LLMProvider", "a/p"],
    reasons: ["UnknownField"],
    live: "none",
    message: /did you mean models/,
  },
  {
    name: "a field of the wrong type is named",
    objects: [provider("a/p", { models: "m" })],
    of: ["LLMProvider", "a/p"],
    reasons: ["Invalid"],
    live: "none",
    message: /spec\.models/,
  },
  {
    name: "an endpoint that is not an http URL is refused",
    objects: [provider("a/p", { endpoint: "ftp://llm.example.com" })],
    of: ["LLMProvider", "a/p"],
    reasons: ["Invalid"],
    live: "none",
    message: /http or https/,
  },
  ...(
    [
      [
        "a value that is not a certificate",
        { caBundle: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----" },
        /has an unreadable certificate, number 1/,
      ],
      [
        "half a certificate",
        { caBundle: "-----BEGIN CERTIFICATE-----\nAAAA\n" },
        /whole certificates in PEM and nothing else/,
      ],
      [
        "a key",
        { caBundle: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\nAAAA" },
        /private key; take it out/,
      ],
    ] as const
  ).map(([what, tls, message]) => ({
    name: `${what} as an authority is refused`,
    objects: [provider("a/p", { endpoint: "https://llm.example.com", tls })],
    of: ["LLMProvider", "a/p"] as Row["of"],
    reasons: ["Invalid"],
    live: "none" as const,
    message,
  })),
  ...(
    [
      [
        "for a type without one",
        {},
        { serverName: "iam.internal" },
        "Invalid",
        /OpenAICompatible has no token service; take spec\.tokenService out/,
      ],
      [
        "that is called without TLS",
        { type: "Watsonx", options: { projectId: "p", iamUrl: "http://iam.internal" } },
        { serverName: "iam.internal" },
        "Invalid",
        /spec\.tokenService\.tls needs a spec\.options\.iamUrl that begins with https:\/\//,
      ],
      [
        "with a value that is not a certificate",
        { type: "Watsonx", options: { projectId: "p" } },
        { caBundle: "-----BEGIN CERTIFICATE-----\nAAAA\n" },
        "Invalid",
        /spec\.tokenService\.tls\.caBundle must be whole certificates/,
      ],
      [
        "with a Secret that is not there",
        { type: "AzureOpenAI", options: { tenantId: "t", clientId: "c" }, endpoint: "https://r.openai.azure.com" },
        { clientCertificate: { secretRef: { name: "pair" } } },
        "SecretNotFound",
        /Secret pair is not in namespace a; create it/,
      ],
    ] as const
  ).map(([what, spec, tls, reason, message]) => ({
    name: `TLS to a token service ${what} is refused`,
    objects: [
      provider("a/p", {
        endpoint: "https://llm.example.com",
        ...spec,
        credentials: { secretRef: { name: "both" } },
        tokenService: { tls },
      }),
    ],
    more: {
      secrets: {
        "a/both": {
          apiKey: { digest: digest("k"), displayPrefix: "" },
          clientSecret: { digest: digest("s"), displayPrefix: "" },
        },
      },
    } as Partial<World>,
    of: ["LLMProvider", "a/p"] as Row["of"],
    reasons: [reason],
    live: "none" as const,
    message,
  })),
  ...(
    [
      ["is not there", {}, "SecretNotFound", /Secret pair is not in namespace a; create it/],
      [
        "has no certificate",
        { "tls.key": {} },
        "SecretKeyNotFound",
        /has no key tls\.crt; it must be a Secret of type kubernetes\.io\/tls/,
      ],
      [
        "has no key",
        { "tls.crt": { certificate: { publicKey: "1", notAfterMs: nowMs + 1 } } },
        "SecretKeyNotFound",
        /has no key tls\.key/,
      ],
      [
        "has what is no PEM",
        { "tls.crt": {}, "tls.key": {} },
        "SecretUnusable",
        /key tls\.crt: the value is not a certificate in PEM/,
      ],
      [
        "has them the wrong way round",
        {
          "tls.crt": { privateKey: { publicKey: "1" } },
          "tls.key": { certificate: { publicKey: "1", notAfterMs: nowMs + 1 } },
        },
        "SecretUnusable",
        /key tls\.crt: the value is not a certificate in PEM/,
      ],
      [
        "has a certificate twice",
        {
          "tls.crt": { certificate: { publicKey: "1", notAfterMs: nowMs + 1 } },
          "tls.key": { certificate: { publicKey: "1", notAfterMs: nowMs + 1 } },
        },
        "SecretUnusable",
        /key tls\.key: the value is not a private key in PEM/,
      ],
      [
        "has a key that TLS can't use",
        {
          "tls.crt": { certificate: { publicKey: "1", notAfterMs: nowMs + 1 } },
          "tls.key": { privateKey: { unusable: "holds a key with a passphrase" } },
        },
        "SecretUnusable",
        /key tls\.key: the value holds a key with a passphrase/,
      ],
      [
        "has a key that doesn't fit",
        {
          "tls.crt": { certificate: { publicKey: "1", notAfterMs: nowMs + 1 } },
          "tls.key": { privateKey: { publicKey: "2" } },
        },
        "SecretUnusable",
        /has a tls\.key that is not the key of the first certificate in tls\.crt/,
      ],
    ] as const
  ).map(([what, facts, reason, message]) => ({
    name: `a Secret for a client certificate that ${what} is reported`,
    objects: [
      provider("a/p", {
        endpoint: "https://llm.example.com",
        tls: { clientCertificate: { secretRef: { name: "pair" } } },
      }),
    ],
    more: {
      secrets: {
        // What another namespace has is of no use here.
        "b/pair": {
          "tls.crt": { digest: digest("b"), displayPrefix: "", certificate: { publicKey: "1", notAfterMs: nowMs + 1 } },
        },
        ...(Object.keys(facts).length === 0
          ? {}
          : {
              "a/pair": Object.fromEntries(
                Object.entries(facts).map(([key, half]) => [key, { digest: digest(key), displayPrefix: "", ...half }]),
              ),
            }),
      },
    } as Partial<World>,
    of: ["LLMProvider", "a/p"] as Row["of"],
    reasons: [reason],
    live: "none" as const,
    message,
  })),
  {
    name: "a client certificate that has ended is shown all the same, with a warning",
    objects: [
      provider("a/p", {
        endpoint: "https://llm.example.com",
        tls: { clientCertificate: { secretRef: { name: "pair" } } },
      }),
    ],
    more: {
      secrets: {
        "a/pair": {
          "tls.crt": { digest: digest("c"), displayPrefix: "", certificate: { publicKey: "1", notAfterMs: nowMs } },
          "tls.key": { digest: digest("k"), displayPrefix: "", privateKey: { publicKey: "1" } },
        },
      },
    },
    of: ["LLMProvider", "a/p"],
    reasons: ["CertificateExpired"],
    live: "current",
    message: /Secret pair has a certificate that expired at 2026-11-20T12:00:00\.000Z; renew it/,
  },
  {
    name: "TLS to an endpoint without TLS is refused",
    objects: [provider("a/p", { tls: { serverName: "llm.example.com" } })],
    of: ["LLMProvider", "a/p"],
    reasons: ["Invalid"],
    live: "none",
    message: /https:\/\//,
  },
  {
    name: "a type without a default endpoint asks for one",
    objects: [object("LLMProvider", "a/p", { type: "OpenAICompatible", models: [{ name: "m" }] })],
    of: ["LLMProvider", "a/p"],
    reasons: ["Invalid"],
    live: "none",
    message: /spec\.endpoint/,
  },
  {
    name: "an option that the type does not have is refused, with those it has",
    objects: [
      object("LLMProvider", "a/p", {
        type: "OpenAI",
        options: { projekt: "x" },
        credentials: { secretRef: { name: "s" } },
        models: [{ name: "m" }],
      }),
    ],
    of: ["LLMProvider", "a/p"],
    reasons: ["UnknownField"],
    live: "none",
    message: /organization, project/,
  },
  {
    name: "a Secret that is not there is named",
    objects: [provider("a/p", { credentials: { secretRef: { name: "nope" } } })],
    of: ["LLMProvider", "a/p"],
    reasons: ["SecretNotFound"],
    live: "none",
    message: /Secret nope/,
  },
  {
    name: "a key that the Secret lacks is named",
    objects: [provider("a/p", { credentials: { secretRef: { name: "s", key: "token" } } })],
    of: ["LLMProvider", "a/p"],
    reasons: ["SecretKeyNotFound"],
    live: "none",
    message: /no key token/,
  },
  {
    name: "a key named like something that every object has is just not there",
    objects: [provider("a/p", { credentials: { secretRef: { name: "s", key: "constructor" } } })],
    of: ["LLMProvider", "a/p"],
    reasons: ["SecretKeyNotFound"],
    live: "none",
  },
  {
    name: "a model named like something that every object has is just not there",
    objects: [provider("a/p"), policy("a/r", { match: { models: ["toString"] } })],
    of: ["RoutingPolicy", "a/r"],
    reasons: ["ModelNotFound"],
    live: "none",
  },
  {
    name: "a type that needs a credential says so",
    objects: [object("LLMProvider", "a/p", { type: "OpenAI", models: [{ name: "m" }] })],
    of: ["LLMProvider", "a/p"],
    reasons: ["SecretNotFound"],
    live: "none",
  },
  {
    name: "a provider that is not there is named",
    objects: [policy("a/r")],
    of: ["RoutingPolicy", "a/r"],
    reasons: ["ProviderNotFound"],
    live: "none",
    message: /LLMProvider p is not in namespace a/,
  },
  {
    name: "a model that the provider lacks is named, with those it has",
    objects: [provider("a/p"), policy("a/r", { match: { models: ["other"] } })],
    of: ["RoutingPolicy", "a/r"],
    reasons: ["ModelNotFound"],
    live: "none",
    message: /no model other; it has m/,
  },
  {
    name: "one dangling target leaves the others serving",
    objects: [
      provider("a/p"),
      policy("a/r", { routing: { targets: [{ provider: { name: "p" } }, { provider: { name: "q" } }] } }),
    ],
    of: ["RoutingPolicy", "a/r"],
    reasons: ["ProviderNotFound"],
    live: "partial",
  },
  {
    name: "a provider of another namespace needs that owner's grant",
    objects: [provider("b/p"), policy("a/r", { routing: { targets: [{ provider: { name: "p", namespace: "b" } }] } })],
    of: ["RoutingPolicy", "a/r"],
    reasons: ["RefNotPermitted"],
    live: "none",
  },
  {
    name: "a grant to all is a grant",
    objects: [
      provider("b/p", { allowedNamespaces: { from: "All" } }),
      policy("a/r", { routing: { targets: [{ provider: { name: "p", namespace: "b" } }] } }),
    ],
    of: ["RoutingPolicy", "a/r"],
    reasons: [],
    live: "current",
  },
  {
    name: "a grant by selector matches the namespace's labels",
    objects: [
      provider("a/p", { allowedNamespaces: { from: "Selector", selector: { matchLabels: { tier: "gold" } } } }),
      policy("b/r", { routing: { targets: [{ provider: { name: "p", namespace: "a" } }] } }),
    ],
    of: ["RoutingPolicy", "b/r"],
    reasons: [],
    live: "current",
  },
  {
    name: "a tenant may not offer its policies to others",
    objects: [provider("a/p"), policy("a/r", { allowedNamespaces: { from: "All" } })],
    of: ["RoutingPolicy", "a/r"],
    reasons: ["SharingNotPermitted"],
    live: "none",
  },
  {
    name: "a namespace that may share does",
    objects: [provider("platform/p"), policy("platform/r", { allowedNamespaces: { from: "All" } })],
    of: ["RoutingPolicy", "platform/r"],
    reasons: [],
    live: "current",
  },
  {
    name: "the younger of two policies for one model loses it, and learns to whom",
    objects: [provider("a/p"), policy("a/old", {}, 1), policy("a/young", {}, 2)],
    of: ["RoutingPolicy", "a/young"],
    reasons: ["Conflicted"],
    live: "none",
    message: /a\/old is older/,
  },
  {
    name: "the older one keeps it",
    objects: [provider("a/p"), policy("a/old", {}, 1), policy("a/young", {}, 2)],
    of: ["RoutingPolicy", "a/old"],
    reasons: [],
    live: "current",
  },
  {
    name: "policies of two namespaces do not meet",
    objects: [provider("a/p"), provider("b/p"), policy("a/r"), policy("b/r")],
    of: ["RoutingPolicy", "b/r"],
    reasons: [],
    live: "current",
  },
  {
    name: "a policy that loses one of its models keeps the other",
    objects: [
      provider("a/p", { models: [{ name: "m" }, { name: "n" }] }),
      policy("a/old", {}, 1),
      policy("a/young", { match: { models: ["m", "n"] } }, 2),
    ],
    of: ["RoutingPolicy", "a/young"],
    reasons: ["Conflicted"],
    live: "partial",
  },
  {
    name: "a rule that names no target is refused",
    objects: [
      provider("a/p"),
      policy("a/r", {
        routing: { targets: [{ provider: { name: "p" } }], rules: [{ when: { tags: ["x"] }, use: ["q"] }] },
      }),
    ],
    of: ["RoutingPolicy", "a/r"],
    reasons: ["TargetNotFound"],
    live: "none",
  },
  {
    name: "a rule behind one that matches all that it does is a warning",
    objects: [
      provider("a/p"),
      policy("a/r", {
        routing: {
          targets: [{ provider: { name: "p" } }],
          rules: [
            { when: { tags: ["x", "y"] }, use: ["p"] },
            { when: { tags: ["x"], roles: ["admin"] }, use: ["p"] },
          ],
        },
      }),
    ],
    of: ["RoutingPolicy", "a/r"],
    reasons: ["UnreachableRule"],
    live: "current",
  },
  {
    name: "a rule behind one that takes every model of the policy is a warning",
    objects: [
      provider("a/p"),
      policy("a/r", {
        routing: {
          targets: [{ provider: { name: "p" } }],
          rules: [
            { when: { models: ["m"] }, use: ["p"] },
            { when: { users: ["u"] }, use: ["p"] },
          ],
        },
      }),
    ],
    of: ["RoutingPolicy", "a/r"],
    reasons: ["UnreachableRule"],
    live: "current",
    message: /rule 2 never matches, because rule 1/,
  },
  {
    name: "a rule behind one whose wildcard has its models is a warning",
    objects: [
      provider("a/p"),
      policy("a/r", {
        routing: {
          targets: [{ provider: { name: "p" } }],
          rules: [
            { when: { models: ["m*"] }, use: ["p"] },
            { when: { models: ["m"] }, use: ["p"] },
          ],
        },
      }),
    ],
    of: ["RoutingPolicy", "a/r"],
    reasons: ["UnreachableRule"],
    live: "current",
    message: /rule 2 never matches, because rule 1/,
  },
  {
    name: "a rule with a wildcard for models that the policy does not serve is a warning",
    objects: [
      provider("a/p"),
      policy("a/r", {
        routing: { targets: [{ provider: { name: "p" } }], rules: [{ when: { models: ["n*"] }, use: ["p"] }] },
      }),
    ],
    of: ["RoutingPolicy", "a/r"],
    reasons: ["UnreachableRule"],
    live: "current",
    message: /match\.models has none/,
  },
  {
    name: "a rule for a model that the policy does not serve is a warning",
    objects: [
      provider("a/p"),
      policy("a/r", {
        routing: { targets: [{ provider: { name: "p" } }], rules: [{ when: { models: ["n"] }, use: ["p"] }] },
      }),
    ],
    of: ["RoutingPolicy", "a/r"],
    reasons: ["UnreachableRule"],
    live: "current",
    message: /match\.models has none/,
  },
  {
    name: "a narrower rule before a wider one is as it should be",
    objects: [
      provider("a/p"),
      policy("a/r", {
        routing: {
          targets: [{ provider: { name: "p" } }],
          rules: [
            { when: { promptTokens: { greaterThan: 1000 } }, use: ["p"] },
            { when: { promptTokens: { greaterThan: 100 } }, use: ["p"] },
          ],
        },
      }),
    ],
    of: ["RoutingPolicy", "a/r"],
    reasons: [],
    live: "current",
  },
  {
    name: "a default model that the provider lacks is named",
    objects: [
      provider("a/p"),
      policy("a/r", { match: { models: ["m"], pathPrefix: "/chat" }, request: { defaults: { model: "n" } } }),
    ],
    of: ["RoutingPolicy", "a/r"],
    reasons: ["ModelNotFound"],
    live: "none",
    message: /no model n; it has m/,
  },
  {
    name: "an override of the model that the provider lacks is named",
    objects: [provider("a/p"), policy("a/r", { request: { overrides: { model: "n" } } })],
    of: ["RoutingPolicy", "a/r"],
    reasons: ["ModelNotFound"],
    live: "none",
  },
  {
    name: "a path without a model is a warning, because callers may name one",
    objects: [
      provider("a/p", { models: [{ name: "m" }, { name: "n" }] }),
      policy("a/r", { match: { pathPrefix: "/chat" } }),
    ],
    of: ["RoutingPolicy", "a/r"],
    reasons: ["ModelNotFound"],
    live: "current",
    message: /names no model/,
  },
  {
    name: "a key for a model that no policy serves its namespace is a warning",
    objects: [provider("b/p"), policy("b/r"), apiKey("a/k", { models: ["m"] })],
    of: ["ApiKey", "a/k"],
    reasons: ["ModelNotFound"],
    live: "current",
    message: /no RoutingPolicy serves m to namespace a/,
  },
  {
    name: "a key for a wildcard that no policy's models match is a warning",
    objects: [provider("a/p"), policy("a/r"), apiKey("a/k", { models: ["m*", "n*"] })],
    of: ["ApiKey", "a/k"],
    reasons: ["ModelNotFound"],
    live: "current",
    message: /no RoutingPolicy serves n\* to namespace a/,
  },
  {
    name: "a key is live by its digest",
    objects: [apiKey("a/k")],
    of: ["ApiKey", "a/k"],
    reasons: [],
    live: "current",
  },
  {
    name: "a key whose Secret is not there yet is not",
    objects: [apiKey("b/k")],
    of: ["ApiKey", "b/k"],
    reasons: ["SecretNotFound"],
    live: "none",
  },
  {
    name: "the younger of two objects with one key is refused",
    objects: [apiKey("a/k", {}, 1), apiKey("a/l", {}, 2)],
    of: ["ApiKey", "a/l"],
    reasons: ["DuplicateKey"],
    live: "none",
  },
  {
    name: "a key of another gateway is live by its digest, without a Secret",
    objects: [object("ApiKey", "a/k", { user: "u", digests: [{ value: "ab".repeat(32) }] })],
    of: ["ApiKey", "a/k"],
    reasons: [],
    live: "current",
  },
  {
    name: "the younger of two objects with one digest is refused, whichever of its digests it is",
    objects: [
      object("ApiKey", "b/old", { user: "u", digests: [{ value: "cd".repeat(32) }, { value: "ab".repeat(32) }] }, 1),
      object("ApiKey", "a/new", { user: "u", digests: [{ value: "ab".repeat(32) }, { value: "ef".repeat(32) }] }, 2),
    ],
    of: ["ApiKey", "a/new"],
    reasons: ["DuplicateKey"],
    live: "none",
  },
  {
    name: "a digest of a key that examples show is refused",
    objects: [
      object("ApiKey", "a/k", {
        user: "u",
        digests: [{ value: createHash("sha256").update("sk-1234").digest("hex") }],
      }),
    ],
    of: ["ApiKey", "a/k"],
    reasons: ["WeakKey"],
    live: "none",
    message: /spec\.digests\[0\] is the digest of a key that examples show/,
  },
  {
    name: "in a folder, time of life has nothing to count from",
    objects: [apiKey("a/k", { expiresAfter: "90d" }, 0)],
    of: ["ApiKey", "a/k"],
    reasons: ["Invalid"],
    live: "none",
    message: /use spec\.expiresAt/,
  },
  {
    name: "a budget is enforced",
    objects: [object("Budget", "a/b", { amount: "10.00", period: "Daily" })],
    of: ["Budget", "a/b"],
    reasons: [],
    live: "current",
  },
];

describe("compile", () => {
  for (const row of rows) {
    it(row.name, () => {
      const found = verdict(run(world(row.objects, row.more)), ...row.of);
      assert.deepEqual([reasons(found), found.live], [row.reasons, row.live]);
      if (row.message)
        assert.match([...found.accepted, ...found.resolvedRefs].map((one) => one.message).join("\n"), row.message);
    });
  }

  it("keeps the last good form of an object that became invalid, and of nothing that was deleted", () => {
    const good = run(world([provider("a/p"), policy("a/r"), apiKey("a/k")])).config;
    const broken = run(
      world([provider("a/p", { models: [] }), policy("a/r", { match: {} }), apiKey("a/k", { user: "" })]),
      good,
    );
    assert.equal(canonicalJson(broken.config), canonicalJson(good));
    for (const verdict of broken.verdicts) assert.equal(verdict.live, "lastGood");
    assert.deepEqual(run(world([]), good).config, { ...good, providers: [], routes: [], keys: [] });
  });

  it("keeps a provider whose Secret went missing, under the credential that it had", () => {
    const objects = [provider("a/p", { credentials: { secretRef: { name: "s" } } })];
    const good = run(world(objects)).config;
    const after = run(world(objects, { secrets: {} }), good);
    assert.deepEqual(after.config.providers, good.providers);
    assert.deepEqual(
      [verdict(after, "LLMProvider", "a/p").live, reasons(verdict(after, "LLMProvider", "a/p"))],
      ["lastGood", ["SecretNotFound"]],
    );
  });

  it("lets a revocation through even where the key's Secret is gone", () => {
    const good = run(world([apiKey("a/k")])).config;
    const after = run(world([apiKey("a/k", { revoked: true })], { secrets: {} }), good);
    assert.deepEqual(
      after.config.keys.map((record) => record.revoked),
      [true],
    );
  });

  const foreign = (name: string): WorldObject =>
    policy(name, { routing: { targets: [{ provider: { name: "p", namespace: "b" } }] } });
  const open = provider("b/p", { allowedNamespaces: { from: "All" } });
  const targetsOf = (compiled: Compiled): string[] =>
    compiled.config.routes.flatMap((route) => route.routing.targets.map((target) => target.provider));

  it("does not let a last good form outlive a grant that its owner took back", () => {
    const good = run(world([open, foreign("a/r")])).config;
    for (const after of [foreign("a/r"), { ...foreign("a/r"), spec: { match: {} } }]) {
      const compiled = run(world([provider("b/p"), after]), good);
      assert.deepEqual([targetsOf(compiled), verdict(compiled, "RoutingPolicy", "a/r").live], [[], "none"]);
    }
  });

  it("keeps serving policies that use a provider of another namespace when that provider becomes invalid", () => {
    const own = provider("a/own");
    const both = policy("a/r", {
      routing: { targets: [{ provider: { name: "p", namespace: "b" } }, { provider: { name: "own" } }] },
    });
    const good = run(world([open, own, both])).config;
    const compiled = run(
      world([
        provider("b/p", { modles: 1 }),
        own,
        both,
        { ...foreign("a/late"), meta: { ...foreign("a/late").meta, createdAtMs: 2 } },
      ]),
      good,
    );
    assert.equal(verdict(compiled, "RoutingPolicy", "a/r").live, "current");
    assert.deepEqual(compiled.config.routes.find((route) => route.id === "a/r")?.routing.targets.length, 2);
    assert.deepEqual(reasons(verdict(compiled, "RoutingPolicy", "a/late")), ["Conflicted", "ProviderNotReady"]);
  });

  it("does not call a last good form live that has no target left", () => {
    const good = run(world([provider("a/p"), policy("a/r")])).config;
    const rows: [string, WorldObject[]][] = [
      ["its provider is gone and the policy invalid", [policy("a/r", { match: {} })]],
      ["its provider is gone", [policy("a/r")]],
      ["its provider lost the model", [provider("a/p", { models: [{ name: "z" }] }), policy("a/r")]],
    ];
    for (const [why, objects] of rows) {
      const compiled = run(world(objects), good);
      assert.deepEqual([targetsOf(compiled), compiled.config.routes.length], [[], 1], why);
      assert.deepEqual(
        [verdict(compiled, "RoutingPolicy", "a/r").live, verdict(compiled, "RoutingPolicy", "a/r").status],
        ["none", { targets: 0 }],
        why,
      );
    }
  });

  it("lets a revocation through even in a spec that is invalid otherwise", () => {
    const good = run(world([apiKey("a/k")])).config;
    const after = run(world([apiKey("a/k", { revoked: true, modles: [] })]), good);
    assert.deepEqual(
      [after.config.keys.map((record) => record.revoked), verdict(after, "ApiKey", "a/k").live],
      [[true], "lastGood"],
    );
  });

  it("lets a nearer expiry through where the key's Secret is gone, and never a later one", () => {
    const good = run(world([apiKey("a/k", { expiresAt: "2027-01-01T00:00:00Z" })])).config;
    for (const [wanted, held] of [
      ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"],
      ["2028-01-01T00:00:00Z", "2027-01-01T00:00:00Z"],
    ]) {
      const after = run(world([apiKey("a/k", { expiresAt: wanted })], { secrets: {} }), good);
      assert.deepEqual(
        [after.config.keys[0]?.expiresAtMs, verdict(after, "ApiKey", "a/k").status["expiresAt"]],
        [Date.parse(held ?? ""), held],
      );
    }
  });

  const strange = (more: object) => ({ OpenAICompatible: { ...capabilitiesByType["OpenAICompatible"]!, ...more } });
  const withType = (more: object, objects: WorldObject[], secrets: World["secrets"] = {}): Compiled =>
    compile({ world: world(objects, { secrets }), settings, previous: null, nowMs }, strange(more));

  it("refuses a route that its provider's type could never serve", () => {
    const temperate = policy("a/r", { request: { overrides: { temperature: 0 } } });
    const rows: [object, Record<string, unknown>, WorldObject][] = [
      [{ passthrough: [], translated: [] }, {}, policy("a/r")],
      [{ parameters: { temperature: "refused" } }, {}, temperate],
      [{ parameters: { temperature: "dropped" } }, { unsupportedParameters: "Refuse" }, temperate],
    ];
    for (const [more, spec, route] of rows) {
      const found = verdict(withType(more, [provider("a/p", spec), route]), "RoutingPolicy", "a/r");
      assert.deepEqual([reasons(found), found.live], [["Unsupported"], "none"]);
    }
    const dropped = verdict(
      withType({ parameters: { temperature: "dropped" } }, [provider("a/p"), temperate]),
      "RoutingPolicy",
      "a/r",
    );
    assert.deepEqual([reasons(dropped), dropped.live], [[], "current"]);
  });

  it("asks for every field that a credential needs, though secretRef.key names the first", () => {
    const field = (name: string, required: boolean) => ({ name, required, description: "" });
    const credentials = [field("id", true), field("secret", true), field("session", false)];
    const objects = [provider("a/p", { credentials: { secretRef: { name: "s", key: "mine" } } })];
    const fact = (seed: string) => ({ digest: digest(seed), displayPrefix: "" });
    const half = verdict(withType({ credentials }, objects, { "a/s": { mine: fact("1") } }), "LLMProvider", "a/p");
    assert.deepEqual(
      [reasons(half), half.resolvedRefs[0]?.message],
      [["SecretKeyNotFound"], "Secret s has no key secret"],
    );
    const whole = withType({ credentials }, objects, {
      "a/s": { mine: fact("1"), secret: fact("2"), session: fact("3") },
    });
    assert.deepEqual(Object.keys(whole.config.providers[0]?.credentials ?? {}), ["id", "secret"]);
  });

  it("reports the endpoint that is in use, not the one that is wished for", () => {
    const good = run(world([provider("a/p")])).config;
    const wished = provider("a/p", {
      endpoint: "http://other.example.com",
      credentials: { secretRef: { name: "nope" } },
    });
    assert.deepEqual(verdict(run(world([wished]), good), "LLMProvider", "a/p").status, {
      models: 1,
      endpoint: "http://llm.example.com/v1",
    });
    assert.deepEqual(verdict(run(world([wished])), "LLMProvider", "a/p").status, { models: 0 });
  });

  it("renders a route without targets if no provider is left, so that callers get an explanation", () => {
    const { config } = run(world([policy("a/r")]));
    assert.deepEqual(
      config.routes.map((route) => route.routing.targets),
      [[]],
    );
  });

  it("counts a key's life from its creation and says when it is over", () => {
    const createdAtMs = Date.parse("2026-08-01T00:00:00Z");
    const compiled = run(world([apiKey("a/k", { expiresAfter: "90d" }, createdAtMs)]));
    const found = verdict(compiled, "ApiKey", "a/k");
    assert.equal(found.status["expiresAt"], "2026-10-30T00:00:00Z");
    assert.deepEqual(
      found.conditions.map((condition) => [condition.type, condition.status]),
      [["Expired", "True"]],
    );
    assert.equal(compiled.config.keys[0]?.expiresAtMs, Date.parse("2026-10-30T00:00:00Z"));
  });

  it("turns prices into nano-USD for a million tokens, exactly", () => {
    const { config } = run(
      world([
        provider("a/p", {
          models: [
            { name: "m", price: { inputPerMillion: "2.50", cachedInputPerMillion: "1.25", outputPerMillion: "10.00" } },
          ],
        }),
      ]),
    );
    assert.deepEqual(config.providers[0]?.models["m"]?.price, {
      input: 2_500_000_000,
      cachedInput: 1_250_000_000,
      cacheWrite: 2_500_000_000,
      output: 10_000_000_000,
      reasoning: 10_000_000_000,
      tiers: [],
      source: "override",
    });
  });

  it("gives the same bytes in whatever order the objects come", () => {
    const objects = [
      provider("a/p"),
      provider("b/p"),
      policy("a/r", {}, 3),
      policy("a/s", {}, 2),
      policy("b/r"),
      apiKey("a/k"),
      apiKey("a/l", {}, 2),
      provider("a/x", { models: 1 }),
    ];
    const expected = encode(run(world(objects)).config, "id");
    fc.assert(
      fc.property(fc.shuffledSubarray(objects, { minLength: objects.length }), (shuffled) => {
        assert.deepEqual(encode(run(world(shuffled)).config, "id"), expected);
      }),
    );
  });

  it("never throws, whatever a spec holds", () => {
    const anySpec = fc.oneof(
      fc.jsonValue(),
      fc.object({
        key: fc.constantFrom(
          "type",
          "models",
          "match",
          "routing",
          "targets",
          "provider",
          "user",
          "writeTo",
          "name",
          "request",
          "access",
          "amount",
        ),
        maxDepth: 4,
      }),
    );
    fc.assert(
      fc.property(fc.constantFrom<Kind>("LLMProvider", "RoutingPolicy", "Budget", "ApiKey"), anySpec, (kind, spec) => {
        run(world([object(kind, "a/x", spec)]));
      }),
      { numRuns: runs(500) },
    );
  });

  it("is read back as it was written", () => {
    const { config } = run(world([provider("a/p"), policy("a/r"), apiKey("a/k")]));
    const parsed = parseDocuments(encode(config, "id").documents);
    assert.ok(parsed.ok);
    assert.equal(canonicalJson(parsed.config), canonicalJson(config));
  });

  it("rewrites one shard of keys when one key of many changes, and keeps every document under 1 MiB at 50,000 keys", () => {
    const keys = Array.from({ length: 50_000 }, (_, at) => ({
      digest: Buffer.from(`${(at * 2_654_435_761) % 4_294_967_296}`.padStart(32, "7"))
        .toString("hex")
        .replace(/^.{4}/, (at % 65_536).toString(16).padStart(4, "0")),
      id: `team-${at % 100}/key-${at}`,
      user: `user-${at}@example.com`,
      team: "team",
      role: "developer",
      tags: ["internal"],
      models: null,
      expiresAtMs: nowMs,
      revoked: false,
    }));
    const config: RenderedConfig = {
      settings: settingsSchema.parse(settings.proxy),
      providers: [],
      routes: [],
      budgets: [],
      keys,
    };
    const before = encode(config, "id");
    const after = encode(
      { ...config, keys: keys.map((one, index) => (index === 7 ? { ...one, revoked: true } : one)) },
      "id",
    );
    const changed = Object.keys(before.documents).filter((name) => before.documents[name] !== after.documents[name]);
    assert.deepEqual(changed.map((name) => name.replace(/\d+/, "N")).sort(), ["keys-N.json", "manifest.json"]);
    assert.equal(Object.keys(before.documents).filter((name) => name.startsWith("keys-")).length, keyShards);
    for (const document of Object.values(before.documents)) assert.ok(Buffer.byteLength(document) < 1_000_000);
  });
});

describe("a cache by meaning", () => {
  const semanticOf = (compiled: Compiled) => compiled.config.routes[0]?.cache?.semantic;
  const live = [provider("a/p", { region: "eu" }), vectors("a/v", { region: "eu" })];

  it("is compiled to what the proxy looks up by", () => {
    const compiled = run(world([...live, policy("a/r", meaning({ mode: "Shadow", timeout: "2s", maxEntries: 7 }))]));
    assert.deepEqual(semanticOf(compiled), {
      provider: "a/v",
      model: "e",
      threshold: 0.95,
      shadow: true,
      timeoutMs: 2_000,
      maxEntries: 7,
    });
  });

  it("is absent where equal calls are all that is asked for, and where the provider can't be used", () => {
    assert.equal(semanticOf(run(world([...live, policy("a/r", { cache: {} })]))), null);
    assert.equal(semanticOf(run(world([provider("a/p"), policy("a/r", meaning())]))), null);
  });

  it("does not come back as a last good form where residency, the grant or the model has gone", () => {
    const good = [
      provider("a/p", { region: "eu" }),
      vectors("b/v", { region: "us", allowedNamespaces: { from: "All" } }),
    ];
    const spec = meaning({}, { provider: { name: "v", namespace: "b" } });
    const before = run(world([...good, policy("a/r", spec)])).config;
    assert.equal(before.routes[0]?.cache?.semantic?.provider, "b/v");
    // A mistake elsewhere in the policy brings its last good form back.
    const broken = (access: Record<string, unknown> = {}) =>
      policy("a/r", {
        ...spec,
        access,
        routing: { targets: [{ provider: { name: "p" } }, { provider: { name: "p" } }] },
      });
    const after = (objects: WorldObject[]) => semanticOf(run(world(objects), before));
    assert.equal(after([...good, broken()])?.provider, "b/v");
    assert.equal(after([...good, broken({ residency: { regions: ["eu"] } })]), null);
    assert.equal(after([provider("a/p", { region: "eu" }), vectors("b/v", { region: "us" }), broken()]), null);
    assert.equal(
      after([provider("a/p", { region: "eu" }), provider("b/v", { allowedNamespaces: { from: "All" } }), broken()]),
      null,
    );
    assert.equal(after([provider("a/p", { region: "eu" }), broken()]), null);
  });
});

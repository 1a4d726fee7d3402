/** What doesn't fit into the objects, or isn't known, has a line in the report: for every importer. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { stringify } from "yaml";
import { importDocuments } from "../../../cli/import/input.ts";
import { importWith } from "../../../cli/import/source.ts";
import { importSources } from "../../../cli/import/sources.ts";
import { sampled } from "../../harness/sampled.ts";
import { cases as agentgateway } from "./cases/agentgateway.ts";
import { cases as aiGateway } from "./cases/ai-gateway.ts";
import { cases as bifrost } from "./cases/bifrost.ts";
import { cases as envoyAiGateway } from "./cases/envoy-ai-gateway.ts";
import { cases as kong } from "./cases/kong.ts";
import { cases as litellm } from "./cases/litellm.ts";
import { cases as portkey } from "./cases/portkey.ts";
import { importCase, lintErrors, reportTexts } from "./check.ts";

const list = <T>(count: number, item: (number: number) => T): T[] => Array.from({ length: count }, (_, n) => item(n));

const kongService = (name: string, config: object): object => ({
  _format_version: "3.0",
  services: [
    {
      name,
      url: "http://unused.example",
      routes: [{ name, paths: [`/${name}`] }],
      plugins: [{ name: "ai-proxy-advanced", config }],
    },
  ],
});

const openai = (model: string): object => ({
  route_type: "llm/v1/chat",
  auth: { header_name: "Authorization", header_value: "Bearer {vault://env/openai}" },
  model: { provider: "openai", name: model },
});

const kongPlugin = (name: string, config: object): object => ({
  _format_version: "3.0",
  services: [
    {
      name: "chat",
      url: "http://unused.example",
      routes: [{ name: "chat", paths: ["/chat"] }],
      plugins: [
        { name: "ai-proxy-advanced", config: { targets: [openai("gpt-4o")] } },
        { name, config },
      ],
    },
  ],
});

const portkeyTarget = (n: number): object => ({
  provider: "openai",
  api_key: "$OPENAI_API_KEY",
  weight: 1,
  override_params: { model: `gpt-${n}` },
});

const envoy = (headers: object[], refs: object[]): object => ({
  apiVersion: "v1",
  kind: "List",
  items: [
    {
      apiVersion: "aigateway.envoyproxy.io/v1alpha1",
      kind: "AIGatewayRoute",
      metadata: { name: "chat" },
      spec: { rules: [{ matches: headers.map((header) => ({ headers: [header] })), backendRefs: refs }] },
    },
    ...refs.map((_, n) => ({
      apiVersion: "aigateway.envoyproxy.io/v1alpha1",
      kind: "AIServiceBackend",
      metadata: { name: `backend-${n}` },
      spec: { schema: { name: "OpenAI" }, backendRef: { name: `host-${n}`, port: 443 } },
    })),
  ],
});

const modelHeader = (n: number): object => ({ type: "Exact", name: "x-ai-eg-model", value: `model-${n}` });

const litellmModel = (n: number, group = "chat"): object => ({
  model_name: group,
  litellm_params: { model: `openai/gpt-${n}`, api_key: "os.environ/OPENAI_API_KEY" },
});

const litellmFilter = (parameters: object): object => ({
  model_list: [litellmModel(1)],
  guardrails: [
    {
      guardrail_name: "filter",
      litellm_params: { guardrail: "litellm_content_filter", mode: "pre_call", default_on: true, ...parameters },
    },
  ],
});

interface Excess {
  source: string;
  what: string;
  input: object;
  /** How many lines the report must have on it. */
  lines: number;
  says: RegExp;
}

const excesses: readonly Excess[] = [
  {
    source: "ai-gateway",
    what: "targets",
    input: {
      providers: list(34, (n) => ({
        name: `p${n}`,
        type: "openai-compatible",
        endpoint: `https://p${n}.example/v1`,
        models: ["gpt-4o"],
      })),
    },
    lines: 2,
    says: /^NotImported providers\[3[23]\]: targets of the policy for gpt-4o can be at most 32/,
  },
  {
    source: "ai-gateway",
    what: "tags",
    input: {
      roles: { developer: { permissions: ["chat"] } },
      users: [{ email: "ada@example.com", role: "developer", tags: list(40, (n) => `t${n}`) }],
    },
    lines: 1,
    says: /^NotImported users\[0\]\.tags: tags of an ApiKey can be at most 32/,
  },
  {
    source: "ai-gateway",
    what: "patterns to mask",
    input: {
      providers: [{ name: "openai", type: "openai", models: ["gpt-4o"] }],
      security: {
        pii_masking: {
          enabled: true,
          patterns: list(34, (n) => ({ type: `badge ${n}`, pattern: `B${n}-[0-9]{4}`, replacement: "[BADGE]" })),
        },
      },
    },
    lines: 2,
    says: /^NotImported security\.pii_masking\.patterns\[3[23]\]: guard\.mask\.custom can be at most 32/,
  },
  {
    source: "kong",
    what: "targets",
    input: kongService("chat", { targets: list(35, (n) => openai(`gpt-${n}`)) }),
    lines: 3,
    says: /targets\[3[234]\]: targets of the policy for chat can be at most 32/,
  },
  {
    source: "kong",
    what: "a weight",
    input: kongService("chat", { targets: list(2, (n) => ({ ...openai(`gpt-${n}`), weight: 2_000_000 })) }),
    lines: 2,
    says: /^Changed .*targets\[[01]\]: weight is 1000000/,
  },
  {
    source: "kong",
    what: "retries",
    input: kongService("chat", { balancer: { retries: 40 }, targets: list(2, (n) => openai(`gpt-${n}`)) }),
    lines: 1,
    says: /^Changed .*retries: retry\.attempts is 10: it is from 1 to 10/,
  },
  {
    source: "kong",
    what: "prompts",
    input: kongPlugin("ai-prompt-decorator", {
      prompts: { prepend: list(18, (n) => ({ role: "system", content: `rule ${n}` })) },
    }),
    lines: 2,
    says: /^NotImported .*prepend\[1[67]\]: request\.prompts can be at most 16/,
  },
  {
    source: "kong",
    what: "patterns to deny",
    input: kongPlugin("ai-prompt-guard", { deny_patterns: list(66, (n) => `secret${n}`) }),
    lines: 2,
    says: /^NotImported .*deny_patterns\[6[45]\]: guard\.deny can be at most 64/,
  },
  {
    source: "kong",
    what: "limits of tokens",
    input: kongPlugin("ai-rate-limiting-advanced", {
      llm_providers: list(18, (n) => ({ name: `p${n}`, limit: [1_000], window_size: [60 + n] })),
    }),
    lines: 2,
    says: /^NotImported .*llm_providers\[1[67]\]: limits can be at most 16/,
  },
  {
    source: "kong",
    what: "a provider's second limit",
    input: kongPlugin("ai-rate-limiting-advanced", {
      llm_providers: [{ name: "openai", limit: [1_000, 5_000], window_size: [60, 3_600] }],
    }),
    lines: 2,
    says: /^NotImported .*(limit|window_size)\[1\]: of a provider's limits/,
  },
  {
    source: "kong",
    what: "limits of several providers in the same window",
    input: kongPlugin("ai-rate-limiting-advanced", {
      llm_providers: [500, 200, 300].map((limit, n) => ({ name: `p${n}`, limit: [limit], window_size: [60] })),
    }),
    lines: 2,
    says: /^NotImported .*llm_providers\[[02]\]: the policy has the lowest of the limits/,
  },
  {
    source: "portkey",
    what: "targets",
    input: { strategy: { mode: "loadbalance" }, targets: list(33, portkeyTarget) },
    lines: 1,
    says: /^NotImported targets\[32\]: targets of the policy for file can be at most 32/,
  },
  {
    source: "portkey",
    what: "retries",
    input: { retry: { attempts: 20 }, ...portkeyTarget(1) },
    lines: 1,
    says: /^Changed retry\.attempts: retry\.attempts is 10/,
  },
  {
    source: "envoy-ai-gateway",
    what: "targets",
    input: envoy(
      [modelHeader(1)],
      list(34, (n) => ({ name: `backend-${n}`, weight: 1 })),
    ),
    lines: 2,
    says: /^NotImported .*backendRefs\[3[23]\]: targets of the policy for chat can be at most 32/,
  },
  {
    source: "envoy-ai-gateway",
    what: "models",
    input: envoy(list(66, modelHeader), [{ name: "backend-0" }]),
    lines: 2,
    says: /^NotImported .*matches\[6[45]\]\.headers\[0\]: models of the policy for chat can be at most 64/,
  },
  {
    source: "bifrost",
    what: "targets",
    input: {
      providers: {
        openai: { keys: list(33, (n) => ({ name: `k${n}`, value: `env.KEY_${n}`, models: ["gpt-4o"], weight: 1 })) },
      },
    },
    lines: 1,
    says: /^NotImported providers\.openai\.keys\[32\]: targets of the policy for openai\/gpt-4o can be at most 32/,
  },
  {
    source: "bifrost",
    what: "models of a virtual key",
    input: {
      providers: { openai: { keys: [{ name: "k", value: "env.KEY", models: ["gpt-4o"], weight: 1 }] } },
      governance: {
        virtual_keys: [
          {
            id: "vk",
            name: "app",
            value: "sk-bf-0123456789abcdef0123456789abcdef",
            provider_configs: [{ provider: "openai", weight: 1, allowed_models: list(200, (n) => `gpt-${n}`) }],
          },
        ],
      },
    },
    lines: 1,
    says: /^NotImported governance\.virtual_keys\[0\]\.provider_configs: models of an ApiKey can be at most 256/,
  },
  {
    source: "litellm",
    what: "targets",
    input: { model_list: list(35, (n) => litellmModel(n)) },
    lines: 3,
    says: /^NotImported model_list\[3[234]\]: targets of the policy for chat can be at most 32/,
  },
  {
    source: "litellm",
    what: "aliases",
    input: {
      model_list: [litellmModel(1)],
      router_settings: { model_group_alias: Object.fromEntries(list(66, (n) => [`alias-${n}`, "chat"])) },
    },
    lines: 3,
    says: /^NotImported router_settings\.model_group_alias\.alias-6[345]: models of the policy for chat can be at most 64/,
  },
  {
    source: "litellm",
    what: "words to deny",
    input: litellmFilter({ blocked_words: list(66, (n) => ({ keyword: `word${n}`, action: "BLOCK" })) }),
    lines: 2,
    says: /^NotImported .*blocked_words\[6[45]\]: guard\.deny can be at most 64/,
  },
  {
    source: "litellm",
    what: "patterns to mask",
    input: litellmFilter({
      patterns: list(34, (n) => ({
        pattern_type: "regex",
        name: `badge_${n}`,
        pattern: `B${n}-[0-9]+`,
        action: "MASK",
      })),
    }),
    lines: 2,
    says: /^NotImported .*patterns\[3[23]\]: guard\.mask\.custom can be at most 32/,
  },
  {
    source: "litellm",
    what: "models and tags of a key",
    input: {
      LiteLLM_VerificationToken: [
        {
          token: "ab".repeat(32),
          key_alias: "app",
          models: list(300, (n) => `gpt-${n}`),
          metadata: { tags: list(40, (n) => `t${n}`) },
        },
      ],
    },
    lines: 2,
    says: /^NotImported LiteLLM_VerificationToken\[0\]\.(models|metadata): (models|tags) of an ApiKey can be at most (256|32)/,
  },
];

describe("an import says what is beyond a bound", () => {
  for (const { source, what, input, lines, says } of excesses)
    it(`${source}: ${what}`, async () => {
      const result = importCase({ source, files: { "file.yaml": stringify(input) } });
      const texts = reportTexts(result.report);
      assert.equal(texts.filter((text) => says.test(text)).length, lines, texts.join("\n"));
      assert.deepEqual(await lintErrors(result), []);
    });
});

/** What covers everything below, by what the report says of it: none of it means anything to Sluice, or all was read. */
const covers =
  /not needed|its plug-ins apply|where it applies|has no counterpart|no .* is served|user, team and tags|targets of every policy|^permissions|credentials of the LLMProvider|spec\.endpoint|moved to Secret|make Secret|costs are counted|keys come as|Prometheus|has the defaults|gets the caller's request|that of the proxies' ServiceAccount|the chart has the Service|every path of the APIs is served/;

const unknownMember = "unknown_member_of_a_test";

function withUnknown(value: unknown, path: readonly (string | number)[]): unknown {
  if (path.length === 0) return { ...(value as object), [unknownMember]: 7 };
  const [step = "", ...rest] = path;
  if (Array.isArray(value)) return value.map((item, n) => (n === step ? withUnknown(item, rest) : (item as unknown)));
  const members = value as Record<string, unknown>;
  return { ...members, [step]: withUnknown(members[step], rest) };
}

function* mappings(value: unknown, path: readonly (string | number)[] = []): Generator<readonly (string | number)[]> {
  if (typeof value !== "object" || value === null) return;
  if (!Array.isArray(value)) yield path;
  for (const [step, below] of Array.isArray(value) ? value.entries() : Object.entries(value))
    yield* mappings(below, [...path, step]);
}

describe("an import names members that it doesn't know", () => {
  for (const { source: name, title, files, env = {} } of [
    ...agentgateway,
    ...aiGateway,
    ...bifrost,
    ...envoyAiGateway,
    ...kong,
    ...litellm,
    ...portkey,
  ])
    it(`${name}: ${title}`, () => {
      const source = importSources.find((one) => one.name === name);
      assert.ok(source !== undefined);
      const documents = Object.entries(files).flatMap(([file, text]) => importDocuments({ name: file, text }));
      const silent: string[] = [];
      for (const [index, document] of documents.entries())
        for (const path of sampled(mappings(document.value))) {
          const value = withUnknown(document.value, path);
          const changed = documents.map((one, n) => (n === index ? { ...one, value, lineOf: () => 1 } : one));
          const { report } = importWith(source, changed, { env });
          const where = path
            .map((step) => (typeof step === "number" ? `[${step}]` : `.${step}`))
            .join("")
            .replace(/^\./, "");
          const above = report.filter(
            (line) => where === line.path || where.startsWith(`${line.path}.`) || where.startsWith(`${line.path}[`),
          );
          const isSaid =
            report.some((line) => line.path.includes(unknownMember)) ||
            above.some(({ outcome, note }) => outcome === "NotImported" || covers.test(note));
          if (!isSaid) silent.push(`${where || "(root)"}: ${above.map((line) => line.note).join(" | ")}`);
        }
      assert.deepEqual(silent, []);
    });
});

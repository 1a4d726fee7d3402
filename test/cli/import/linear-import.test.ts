/** Configurations with thousands of models: every importer's work grows with their number, and no faster. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { stringify } from "yaml";
import { unfitting } from "../../../cli/import/fit.ts";
import { outputStream } from "../../../cli/import/output.ts";
import { textReport } from "../../../cli/import/report.ts";
import type { ImportResult } from "../../../cli/import/source.ts";
import { cpuMsOf } from "../../harness/cpu-time.ts";
import { importCase, lintErrors } from "./check.ts";

const list = <T>(count: number, item: (number: number) => T): T[] => Array.from({ length: count }, (_, n) => item(n));

const kongTarget = (model: string): object => ({
  route_type: "llm/v1/chat",
  auth: { header_name: "Authorization", header_value: "Bearer {vault://env/openai}" },
  model: { provider: "openai", name: model },
});

const kong = (services: readonly { name: string; targets: object[] }[]): object => ({
  _format_version: "3.0",
  services: services.map(({ name, targets }) => ({
    name,
    url: "http://unused.example",
    routes: [{ name, paths: [`/${name}`] }],
    plugins: [{ name: "ai-proxy-advanced", config: { targets } }],
  })),
});

const envoy = (kind: string, name: string, spec: object): object => ({
  apiVersion: "aigateway.envoyproxy.io/v1alpha1",
  kind,
  metadata: { name },
  spec,
});

const envoyRoute = (n: number): object =>
  envoy("AIGatewayRoute", `route-${n}`, {
    rules: [
      {
        matches: [{ headers: [{ type: "Exact", name: "x-ai-eg-model", value: `model-${n}` }] }],
        backendRefs: [{ name: `backend-${n}` }],
      },
    ],
  });

const litellmModel = (n: number, group: string): object => ({
  model_name: group,
  litellm_params: { model: `openai/gpt-${n}`, api_key: "os.environ/OPENAI_API_KEY" },
});

interface Shape {
  source: string;
  what: string;
  input(models: number): object;
  /** How many models exceed a bound, each of which has a line in the report. */
  beyond(models: number): number;
}

const none = (): number => 0;
const maxTargets = 32;

const shapes: readonly Shape[] = [
  {
    source: "agentgateway",
    what: "models",
    input: (models) => ({
      llm: {
        models: list(models, (n) => ({ name: `m-${n}`, provider: "openAI", params: { apiKey: `$KEY_${n % 300}` } })),
      },
    }),
    beyond: none,
  },
  {
    source: "ai-gateway",
    what: "models of a provider",
    input: (models) => ({ providers: [{ name: "main", type: "openai", models: list(models, (n) => `gpt-${n}`) }] }),
    beyond: none,
  },
  {
    source: "bifrost",
    what: "keys",
    input: (models) => ({
      providers: {
        openai: { keys: list(models, (n) => ({ name: "k", value: `env.KEY_${n}`, models: [`gpt-${n}`], weight: 1 })) },
      },
    }),
    beyond: none,
  },
  {
    source: "envoy-ai-gateway",
    what: "routes and backends",
    input: (models) => ({
      apiVersion: "v1",
      kind: "List",
      items: [
        ...list(models, envoyRoute),
        ...list(models, (n) =>
          envoy("AIServiceBackend", `backend-${n}`, {
            schema: { name: "OpenAI" },
            backendRef: { name: `host-${n}`, port: 443 },
          }),
        ),
      ],
    }),
    beyond: none,
  },
  {
    source: "kong",
    what: "services",
    input: (models) => kong(list(models, (n) => ({ name: `s${n}`, targets: [kongTarget(`gpt-${n}`)] }))),
    beyond: none,
  },
  {
    source: "kong",
    what: "targets of a service",
    input: (models) => kong([{ name: "chat", targets: list(models, (n) => kongTarget(`gpt-${n}`)) }]),
    beyond: (models) => models - maxTargets,
  },
  {
    source: "litellm",
    what: "groups, each with the next as its fallback",
    input: (models) => ({
      model_list: list(models, (n) => litellmModel(n, `m-${n}`)),
      router_settings: { fallbacks: list(models, (n) => ({ [`m-${n}`]: [`m-${(n + 1) % models}`] })) },
    }),
    // The next one after each policy's targets.
    beyond: (models) => models,
  },
  {
    source: "litellm",
    what: "deployments of a group",
    input: (models) => ({ model_list: list(models, (n) => litellmModel(n, "chat")) }),
    beyond: (models) => models - maxTargets,
  },
  {
    source: "portkey",
    what: "targets",
    input: (models) => ({
      strategy: { mode: "loadbalance" },
      targets: list(models, (n) => ({
        provider: "openai",
        api_key: `$KEY_${n}`,
        weight: 1,
        override_params: { model: `gpt-${n}` },
      })),
    }),
    beyond: (models) => models - maxTargets,
  },
];

/** JSON is YAML. */
const textOf = ({ input }: Shape, models: number): string => JSON.stringify(input(models));

function imported({ source }: Shape, text: string): ImportResult {
  const result = importCase({ source, files: { "file.yaml": text } });
  outputStream(result.manifests, "default");
  textReport(result.report);
  return result;
}

describe("an import of 5,000 models", () => {
  for (const shape of shapes)
    it(`takes at most 15 times as much work as of 500: ${shape.source}, ${shape.what}`, () => {
      const [few, many] = [textOf(shape, 500), textOf(shape, 5_000)];
      imported(shape, few);
      const fewMs = Math.min(...list(2, () => cpuMsOf(() => imported(shape, few))));
      let result: ImportResult | undefined;
      const manyMs = cpuMsOf(() => {
        result = imported(shape, many);
      });
      // A collection of garbage is a large part of little work.
      assert.ok(manyMs <= 15 * Math.max(fewMs, 100), `${Math.round(manyMs)} ms, and ${Math.round(fewMs)} ms`);
      const beyond = result?.report.filter(({ note }) => /can be at most \d+, and this is beyond/.test(note)) ?? [];
      assert.equal(beyond.length, shape.beyond(5_000));
    });
});

describe("an import of 500 models", () => {
  for (const shape of shapes)
    it(`passes lint: ${shape.source}, ${shape.what}`, async () => {
      assert.deepEqual(await lintErrors(imported(shape, textOf(shape, 500))), []);
    });
});

describe("what one installation can't publish", () => {
  const chain = (models: number): object => ({
    model_list: list(models, (n) => litellmModel(n, `group-${n}`)),
    litellm_settings: { fallbacks: list(models - 1, (n) => ({ [`group-${n}`]: [`group-${n + 1}`] })) },
  });
  const linesOf = (models: number) => {
    const { manifests } = importCase({ source: "litellm", files: { "file.yaml": stringify(chain(models)) } });
    return unfitting(manifests, "default", "file.yaml");
  };

  it("has a line in the report", () => {
    const [line, ...others] = linesOf(2_500);
    assert.deepEqual([line?.outcome, line?.path, others], ["NotImported", "(whole file)", []]);
    assert.match(
      line?.note ?? "",
      /^\d+ of 2500 objects of kind RoutingPolicy don't fit into what one installation publishes, such as group-\d+: it takes/,
    );
  });

  it("is nothing for a few hundred models", () => assert.deepEqual(linesOf(300), []));
});

/** The pages of docs/migrate: their first block of commands leads from a file to an answered call. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { removeFolder, temporaryFolder } from "../../harness/child.ts";
import { run } from "../../harness/command.ts";
import { freePort } from "../../harness/free-port.ts";
import { type OpenAiUpstream, startOpenAiUpstream } from "../../harness/openai-upstream.ts";

const root = join(import.meta.dirname, "../../..");

interface Page {
  page: string;
  /** Files that a user has, with `UPSTREAM` where the provider is. */
  files: Record<string, string>;
  env: Record<string, string>;
}

const pages: readonly Page[] = [
  {
    page: "litellm.md",
    files: {
      "config.yaml": `
model_list:
  - model_name: gpt-4o
    litellm_params: { model: openai/gpt-4o, api_base: UPSTREAM, api_key: os.environ/OPENAI_API_KEY }
router_settings: { num_retries: 1 }
general_settings: { master_key: os.environ/LITELLM_MASTER_KEY }
`,
    },
    env: { OPENAI_API_KEY: "key-of-the-provider", LITELLM_MASTER_KEY: "sk-master-0123456789abcdef" },
  },
  {
    page: "bifrost.md",
    files: {
      "config.json": JSON.stringify({
        providers: {
          openai: {
            keys: [{ name: "main", value: "env.OPENAI_API_KEY", models: ["gpt-4o"], weight: 1 }],
            network_config: { base_url: "UPSTREAM" },
          },
        },
      }),
    },
    env: { OPENAI_API_KEY: "key-of-the-provider" },
  },
  {
    page: "portkey.md",
    files: {
      "chat.json": JSON.stringify({
        strategy: { mode: "fallback" },
        targets: [
          {
            provider: "openai",
            api_key: "env.OPENAI_API_KEY",
            custom_host: "UPSTREAM",
            override_params: { model: "gpt-4o" },
          },
        ],
      }),
    },
    env: { OPENAI_API_KEY: "key-of-the-provider" },
  },
  {
    page: "envoy-ai-gateway.md",
    files: {
      "resources.yaml": `
apiVersion: v1
kind: List
items:
  - apiVersion: gateway.envoyproxy.io/v1alpha1
    kind: Backend
    metadata: { name: upstream }
    spec: { endpoints: [{ ip: { address: 127.0.0.1, port: PORT } }] }
  - apiVersion: aigateway.envoyproxy.io/v1alpha1
    kind: AIServiceBackend
    metadata: { name: openai }
    spec: { schema: { name: OpenAI, version: v1 }, backendRef: { name: upstream, kind: Backend } }
  - apiVersion: aigateway.envoyproxy.io/v1alpha1
    kind: BackendSecurityPolicy
    metadata: { name: key }
    spec: { targetRefs: [{ name: openai }], type: APIKey, apiKey: { secretRef: { name: openai } } }
  - { apiVersion: v1, kind: Secret, metadata: { name: openai }, stringData: { apiKey: key-of-the-provider } }
  - apiVersion: aigateway.envoyproxy.io/v1alpha1
    kind: AIGatewayRoute
    metadata: { name: llm }
    spec: { rules: [{ matches: [{ headers: [{ name: x-ai-eg-model, value: gpt-4o }] }], backendRefs: [{ name: openai }] }] }
`,
    },
    env: { OPENAI_API_KEY: "key-of-the-provider" },
  },
  {
    page: "agentgateway.md",
    files: {
      "config.yaml": `
llm:
  models:
  - { name: gpt-4o, provider: openAI, params: { baseUrl: UPSTREAM, apiKey: "$OPENAI_API_KEY" } }
`,
    },
    env: { OPENAI_API_KEY: "key-of-the-provider" },
  },
  {
    page: "kong.md",
    files: {
      "kong.yaml": `
_format_version: "3.0"
services:
  - name: llm
    url: http://localhost:32000
    routes:
      - name: chat
        paths: [/chat]
        plugins:
          - name: ai-proxy
            config:
              route_type: llm/v1/chat
              auth: { header_name: Authorization, header_value: 'Bearer \${{ env "DECK_OPENAI_API_KEY" }}' }
              model: { provider: openai, name: gpt-4o, options: { upstream_url: "UPSTREAM/chat/completions" } }
`,
    },
    env: { OPENAI_API_KEY: "key-of-the-provider" },
  },
  {
    page: "ai-gateway.md",
    files: {
      "ai-gateway-config.yaml": `
providers:
  - { name: primary, type: openai-compatible, endpoint: UPSTREAM, api_key: "\${OPENAI_API_KEY}", models: [gpt-4] }
routing: { strategy: priority, retry_attempts: 2 }
`,
      "rbac-config.yaml": "roles: { developer: { permissions: [use_models], max_requests_per_day: 100 } }\n",
    },
    env: { OPENAI_API_KEY: "key-of-the-provider" },
  },
];

const firstBlock = (text: string): string => /^```\n([\s\S]*?)^```/m.exec(text)?.[1] ?? "";

for (const { page, files, env } of pages)
  describe(`docs/migrate/${page}`, () => {
    let folder: string;
    let upstream: OpenAiUpstream;
    before(async () => {
      folder = await temporaryFolder("migrate");
      upstream = await startOpenAiUpstream();
      const program = `#!/bin/sh\nexec "${process.execPath}" "${join(root, "cli/main.ts")}" "$@"\n`;
      await writeFile(join(folder, "sluice"), program, { mode: 0o755 });
      for (const [name, text] of Object.entries(files))
        await writeFile(
          join(folder, name),
          text.replaceAll("UPSTREAM", upstream.baseUrl).replace("PORT", new URL(upstream.baseUrl).port),
        );
    });
    after(async () => {
      await upstream.stop();
      await removeFolder(folder);
    });

    it("needs fewer than ten commands from the file to an answer", async () => {
      const commands = firstBlock(await readFile(join(root, "docs/migrate", page), "utf8"));
      assert.ok(commands.trim().split("\n").length < 10);
      const script = [
        "set -e",
        "trap 'kill $(jobs -p)' EXIT",
        // What the cluster would print is in the file already, and keys are in the environment.
        commands
          .replace(/^(kubectl|export [A-Z_]+=sk-).*$/gm, "true")
          .replaceAll("8080", String(await freePort()))
          .replace(" &\n", " --status-port 0 > dev.log 2>&1 &\n"),
      ].join("\n");
      const { code, stdout, stderr } = await run("bash", ["-c", script], {
        cwd: folder,
        env: { ...process.env, ...env, PATH: `${folder}:${process.env["PATH"]}` },
        timeout: 120_000,
      });
      const log = await readFile(join(folder, "dev.log"), "utf8").catch(() => "");
      assert.equal(code, 0, `${stdout}\n${stderr}\n${log}`);
      assert.match(stdout, /echo: Hello!/, stderr);
      assert.ok(!Object.values(env).some((value) => `${stdout}${stderr}${log}`.includes(value)));
      assert.deepEqual(upstream.seen, [env["OPENAI_API_KEY"]]);
    });
  });

/**
 * Claude Code and Codex with their defaults, on every type of provider, which refuses what the real one refuses.
 * `make test-clients` runs them; they are too large for the tests of every change.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { complaintsOf } from "../harness/strict/provider.ts";
import { json, startUpstream, type Upstream } from "../harness/upstream.ts";
import { own } from "../proxy/providers/wire/wire.ts";
import { wires } from "../proxy/providers/wire/wires.ts";
import { finished, installedPrograms } from "./programs.ts";

const clear = "slc_real_programs_key_0001";
const words = "Hello from the stand-in.";
const said = { text: words, usage: { prompt: 20, cached: 0, completion: 9 } };
/** Models whose limits the stand-ins know. */
const upstreams: Readonly<Record<string, string>> = {
  Anthropic: "claude-opus-4-7",
  AzureOpenAI: "gpt-4o",
  Bedrock: "us.anthropic.claude-sonnet-4-5-v1:0",
  Gemini: "gemini-3-pro",
  OpenAI: "gpt-4o-mini",
};
const types = wires.map((wire) => wire.type);

describe("the real coding agents", { timeout: 1_800_000 }, () => {
  const running: Upstream[] = [];
  const refused: string[] = [];
  let gateway: TestGateway;
  let programs = "";

  before(async () => {
    programs = installedPrograms();
    const manifests = [];
    for (const wire of wires) {
      const upstream = await startUpstream((request, response) => {
        const aside = wire.aside?.(request) ?? null;
        if (aside !== null) return json(response, 200, aside);
        const complaints = complaintsOf(wire.type, request).join("; ");
        if (complaints !== "") refused.push(`${wire.type}: ${complaints}`);
        if (complaints !== "") return json(response, 400, wire.error(400, complaints));
        if (!wire.asked(request).stream) return json(response, 200, wire.whole(said));
        response.writeHead(200, { "content-type": wire.contentType });
        for (const frame of wire.frames(said)) response.write(frame);
        return void response.end();
      });
      running.push(upstream);
      const name = wire.type.toLowerCase();
      const spec = wire.spec(upstream.url);
      const options = wire.type === "OpenAICompatible" ? { responses: "Translate" } : own(spec["options"]);
      const models = [{ name, upstream: upstreams[wire.type] ?? "model-1" }];
      manifests.push(
        secret(`${name}-credentials`, wire.secret),
        provider(name, upstream.url, { type: wire.type, ...spec, options, models }),
        policy(name, { match: { models: [name] }, routing: { targets: [{ provider: { name } }], fallbackOn: [] } }),
      );
    }
    gateway = await startGateway([...manifests, ...key("agent", clear)]);
  });
  after(async () => {
    await gateway?.close();
    for (const upstream of running) await upstream.close();
  });

  for (const type of types) {
    const model = type.toLowerCase();
    it(`Claude Code on ${type}`, async () => {
      const { code, output } = await finished(`${programs}/claude`, ["-p", "Say hello", "--model", model], {
        ANTHROPIC_BASE_URL: gateway.url,
        ANTHROPIC_API_KEY: clear,
        ANTHROPIC_SMALL_FAST_MODEL: model,
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
        DISABLE_AUTOUPDATER: "1",
        DISABLE_TELEMETRY: "1",
      });
      assert.equal(code, 0, `${output}\n${refused.at(-1) ?? ""}`);
      assert.match(output, new RegExp(words));
    });
  }

  // Responses pass through to OpenAI and Azure; their stand-ins here speak chat completions only.
  for (const type of types.filter((name) => name !== "OpenAI" && name !== "AzureOpenAI")) {
    const model = type.toLowerCase();
    it(`Codex on ${type}`, async () => {
      const server = `{name="sluice",base_url="${gateway.url}/v1",env_key="SLUICE_KEY",wire_api="responses"}`;
      const settings = [`model="${model}"`, 'model_provider="sluice"', `model_providers.sluice=${server}`];
      const flags = ["exec", "--skip-git-repo-check", ...settings.flatMap((setting) => ["-c", setting]), "Say hello"];
      const { code, output } = await finished(`${programs}/codex`, flags, { SLUICE_KEY: clear });
      assert.equal(code, 0, `${output}\n${refused.at(-1) ?? ""}`);
      assert.match(output, new RegExp(words));
    });
  }
});

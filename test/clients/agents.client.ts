/**
 * Claude Code, Codex and opencode with their defaults, on every type of provider, which refuses what the real one refuses.
 * `make test-clients` runs them; they are too large for the tests of every change.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { complaintsOf } from "../harness/strict/provider.ts";
import { json, startUpstream, type Upstream } from "../harness/upstream.ts";
import { openAiResponses } from "../proxy/providers/wire/openai-responses.ts";
import { own } from "../proxy/providers/wire/wire.ts";
import { wires } from "../proxy/providers/wire/wires.ts";
import { connectedHome, finished, installedPrograms } from "./programs.ts";

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
  "OpenAI-Responses": "gpt-5.6",
};
const stands = [
  ...wires.map((wire) => ({ title: wire.type, wire })),
  // Functions along with reasoning are taken only there.
  { title: "OpenAI-Responses", wire: openAiResponses },
];
const types = stands.map(({ title }) => title);

/** Each as `sluice connect` sets it up, with the command that its page in docs/clients has. */
const agents = [
  {
    client: "claude-code",
    program: "claude",
    flags: ["-p", "Say hello"],
    on: types,
    env: { CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1", DISABLE_AUTOUPDATER: "1", DISABLE_TELEMETRY: "1" },
  },
  {
    client: "codex",
    program: "codex",
    flags: ["exec", "--skip-git-repo-check", "--profile", "sluice", "Say hello"],
    // Responses pass through to OpenAI and Azure; their stand-ins here speak chat completions only.
    on: types.filter((name) => name !== "OpenAI" && name !== "AzureOpenAI"),
    env: {},
  },
  {
    client: "opencode",
    program: "opencode",
    flags: ["run", "Say hello"],
    on: types,
    env: { OPENCODE_DISABLE_AUTOUPDATE: "1", OPENCODE_DISABLE_MODELS_FETCH: "1" },
  },
];

describe("the real coding agents", { timeout: 1_800_000 }, () => {
  const running: Upstream[] = [];
  const refused: string[] = [];
  let gateway: TestGateway;
  let programs = "";

  before(async () => {
    programs = installedPrograms();
    const manifests = [];
    for (const { title, wire } of stands) {
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
      const name = title.toLowerCase();
      const spec = wire.spec(upstream.url);
      const options = wire.type === "OpenAICompatible" ? { responses: "Translate" } : own(spec["options"]);
      const models = [{ name, upstream: upstreams[title] ?? "model-1" }];
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

  for (const { client, program, flags, on, env } of agents) {
    for (const type of on) {
      const model = type.toLowerCase();
      it(`${client} on ${type}`, async () => {
        const home = await connectedHome(client, gateway.url, clear, model);
        const { code, output } = await finished(`${programs}/${program}`, flags, home, {
          SLUICE_API_KEY: clear,
          ...env,
        });
        assert.equal(code, 0, `${output}\n${refused.at(-1) ?? ""}`);
        assert.match(output, new RegExp(words));
        const call = gateway.logs.filter(({ msg }) => msg === "call").at(-1);
        assert.match(String(call?.["session"]), /^[\w-]{8,}$/, "its session is known");
      });
    }
  }
});

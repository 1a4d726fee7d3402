/** A gateway with something on every page of the console: traffic, a failed provider, a used-up budget, a canary. */
import type { LedgerRow } from "../../proxy/config/ledger.ts";
import { key, type Manifest, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { json, startUpstream, type Upstream } from "../harness/upstream.ts";

export interface Scene {
  gateway: TestGateway;
  /** Where the console is. */
  url: string;
  close(): Promise<void>;
}

const price = { inputPerMillion: "2.50", outputPerMillion: "10" };

const keys: readonly (readonly [string, string, string])[] = [
  ["alice", "search", "developer"],
  ["bruno", "search", "developer"],
  ["chen", "support", "data-scientist"],
  ["dana", "support", "developer"],
  ["ci", "platform", "admin"],
];

export const clearKey = (name: string): string => `slc_console_test_key_of_${name}_0123456789`;

const budget = (name: string, spec: Record<string, unknown>): Manifest => ({
  kind: "Budget",
  metadata: { name },
  spec,
});

function manifests(good: string, slow: string, bad: string): Manifest[] {
  const models = [
    { name: "gpt-4o", price },
    { name: "gpt-4o-mini", price: { inputPerMillion: "0.15", outputPerMillion: "0.60" } },
  ];
  return [
    provider("openai-eu", good, {
      region: "eu-west",
      models,
      quota: { requestsPerMinute: 600, tokensPerMinute: 200_000 },
    }),
    provider("azure-se", slow, { region: "eu-north", models }),
    provider("mistral-fr", bad, {
      models: [{ name: "mistral-large", price, sunset: "2027-01-15" }],
      circuitBreaker: { failureThreshold: 2, openFor: "10m" },
    }),
    ...["openai-eu", "azure-se", "mistral-fr"].map((name) => secret(`${name}-credentials`, { apiKey: "upstream-key" })),
    policy("chat", {
      match: { models: ["gpt-4o", "gpt-4o-mini"] },
      guard: { mask: { detect: ["Email"] }, deny: ["(?i)project nightingale"] },
      access: { residency: { regions: ["eu-west", "eu-north"] } },
      cache: { ttl: "10m" },
      routing: {
        strategy: "Weighted",
        targets: [
          { provider: { name: "openai-eu" }, weight: 80 },
          { provider: { name: "azure-se" }, weight: 20 },
        ],
      },
    }),
    policy("translate", {
      match: { models: ["mistral-large"] },
      routing: {
        targets: [
          { provider: { name: "mistral-fr" } },
          { provider: { name: "openai-eu" }, model: "gpt-4o", priority: 1 },
        ],
      },
    }),
    policy("summaries", {
      match: { pathPrefix: "/summaries" },
      routing: {
        targets: [
          { name: "stable", provider: { name: "openai-eu" }, model: "gpt-4o" },
          { name: "candidate", provider: { name: "azure-se" }, model: "gpt-4o-mini" },
        ],
        canary: {
          target: "candidate",
          percent: 20,
          for: "1h",
          minimumRequests: 1000,
          succeedWhen: { errorRate: "<1%" },
          rollBackWhen: { errorRate: ">50%" },
        },
      },
    }),
    policy("broken", { match: { models: ["o9"] }, routing: { targets: [{ provider: { name: "nowhere" } }] } }),
    budget("company", { amount: "500", period: "Monthly", enforcement: "Soft" }),
    budget("support-daily", { amount: "0.002", period: "Daily", enforcement: "Hard", scope: { teams: ["support"] } }),
    budget("each-user", { amount: "25", period: "Monthly", enforcement: "Hard", per: "User" }),
    ...keys.flatMap(([name, team, role]) => key(name, clearKey(name), { team, role })),
    ...key("retired", clearKey("retired"), { team: "search", revoked: true }),
  ];
}

async function call(gateway: TestGateway, name: string, path: string, body: Record<string, unknown>): Promise<void> {
  const response = await fetch(`${gateway.url}${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${name === "" ? "wrong" : clearKey(name)}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  await response.arrayBuffer();
}

const say = (model: string, content: string): Record<string, unknown> => ({
  model,
  max_tokens: 60,
  messages: [{ role: "user", content }],
});

async function traffic(gateway: TestGateway): Promise<void> {
  const callers = ["alice", "bruno", "alice", "ci", "alice", "bruno"];
  const chat = Array.from({ length: 60 }, (_, at) =>
    call(
      gateway,
      callers[at % callers.length] ?? "",
      "/v1/chat/completions",
      say(at % 3 === 0 ? "gpt-4o-mini" : "gpt-4o", `Question ${at}`),
    ),
  );
  await Promise.all(chat);
  await call(gateway, "alice", "/v1/chat/completions", say("gpt-4o", "Question 1"));
  await call(gateway, "alice", "/v1/chat/completions", say("gpt-4o", "Write to jane.doe@example.com about it"));
  for (let at = 0; at < 4; at++)
    await call(gateway, "bruno", "/v1/chat/completions", say("mistral-large", `Translate ${at}`));
  for (let at = 0; at < 8; at++)
    await call(gateway, "ci", "/summaries/chat/completions", say("gpt-4o", `Summary ${at}`));
  for (let at = 0; at < 4; at++) await call(gateway, "chen", "/v1/chat/completions", say("gpt-4o", `Ticket ${at}`));
  await call(gateway, "alice", "/v1/chat/completions", say("gpt-4o", "Tell me about Project Nightingale"));
  await call(gateway, "bruno", "/v1/chat/completions", say("gpt-9", "Hello"));
  await call(gateway, "retired", "/v1/chat/completions", say("gpt-4o", "Hello"));
  await call(gateway, "", "/v1/chat/completions", say("gpt-4o", "Hello"));
}

/** A week of the usage ledger, the same each time, up to the hour before this one. */
function historyBatches(nowMs: number): { hourMs: number; seq: number; rows: LedgerRow[] }[] {
  const hourMs = 3_600_000;
  return Array.from({ length: 7 * 24 }, (_, back) => {
    const hour = Math.floor(nowMs / hourMs) * hourMs - (back + 1) * hourMs;
    const busy = 1 + Math.sin(((new Date(hour).getUTCHours() - 6) / 24) * 2 * Math.PI);
    const rows = keys.map(([name, team, role], at): LedgerRow => {
      const requests = Math.round(busy * (18 - 3 * at));
      const model = at % 2 === 0 ? "gpt-4o" : "gpt-4o-mini";
      return {
        ...{ hourMs: hour, namespace: "default", user: `${name}@example.com`, team, role, key: `default/${name}` },
        ...{ route: "default/chat", model, provider: at === 1 ? "default/azure-se" : "default/openai-eu", requests },
        ...{
          errors: at === 3 ? Math.round(requests / 20) : 0,
          promptTokens: requests * 900,
          cachedTokens: requests * 120,
        },
        ...{ cacheWriteTokens: 0, completionTokens: requests * 220, reasoningTokens: 0, estimated: 0, unpriced: 0 },
        costNanoUsd: requests * (at % 2 === 0 ? 4_450_000 : 267_000),
      };
    });
    return { hourMs: hour, seq: 7 * 24 - back, rows };
  }).reverse();
}

function answering(upstream: Upstream, delayMs: number): void {
  let answers = 0;
  upstream.answer(({ json: body }, response) => {
    answers++;
    const usage = {
      prompt_tokens: 400 + (answers % 7) * 90,
      completion_tokens: 60 + (answers % 5) * 25,
      total_tokens: 0,
    };
    const message = { role: "assistant", content: `Answer ${answers}`, refusal: null };
    setTimeout(
      () =>
        json(response, 200, {
          ...{ id: `chatcmpl-${answers}`, object: "chat.completion", created: 1, model: body["model"] },
          choices: [{ index: 0, message, logprobs: null, finish_reason: "stop" }],
          usage: { ...usage, total_tokens: usage.prompt_tokens + usage.completion_tokens },
        }),
      delayMs + (answers % 9) * 8,
    );
  });
}

export async function startScene(): Promise<Scene> {
  const [good, slow, bad] = [await startUpstream(), await startUpstream(), await startUpstream()];
  answering(good, 20);
  answering(slow, 90);
  bad.answer((_request, response) => json(response, 503, { error: { message: "overloaded", type: "server_error" } }));
  const gateway = await startGateway(manifests(good.url, slow.url, bad.url));
  await gateway.state.store.addToLedger("history", historyBatches(Date.now()));
  await traffic(gateway);
  return {
    gateway,
    url: `${gateway.statusUrl}/console/`,
    async close() {
      await gateway.close();
      await Promise.all([good.close(), slow.close(), bad.close()]);
    },
  };
}

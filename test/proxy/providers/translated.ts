/** What each type of provider is sent for a body in a client's format. */
import assert from "node:assert/strict";
import { isRefusal } from "../../../proxy/dialects/canonical.ts";
import { dialects } from "../../../proxy/dialects/registry.ts";
import type { Provider } from "../../../proxy/providers/provider.ts";
import { providers } from "../../../proxy/providers/registry.generated.ts";
import { translatedChat } from "../../../proxy/providers/translated-chat.ts";
import type { Json } from "../../harness/strict/json.ts";
import type { Format } from "./documented.ts";
import { accountOf, modelOf } from "./drive.ts";

export const targets: readonly [type: string, upstream: string, options?: Record<string, string>][] = [
  ["Anthropic", "claude-sonnet-4-5"],
  ["Anthropic", "claude-opus-5-5"],
  ["AzureOpenAI", "gpt-4o"],
  ["AzureAIFoundry", "claude-sonnet-4-5"],
  ["Bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0"],
  ["Bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0", { api: "InvokeModel" }],
  ["Bedrock", "amazon.nova-2-lite-v1:0"],
  ["Bedrock", "openai.gpt-oss-120b-1:0"],
  ["Cohere", "command-a-03-2025"],
  ["Gemini", "gemini-2.5-flash"],
  ["Gemini", "gemini-3-pro"],
  ["Mistral", "mistral-large-latest"],
  ["OpenAI", "gpt-4o"],
  ["OpenAI", "gpt-5"],
  ["OpenAI", "gpt-5-pro"],
  ["OpenAICompatible", "qwen3"],
  ["VertexAI", "gemini-2.5-pro"],
  ["VertexAI", "claude-sonnet-4-5"],
  ["Watsonx", "meta-llama/llama-4"],
];

interface Sent {
  body: string;
  named: string[];
}

/** null if it is refused. */
export function sent(target: (typeof targets)[number], format: Format, body: Json): Sent | null {
  const [type, upstream, options = {}] = target;
  const dialect = dialects[format];
  const request = dialect?.decode({ model: "m", ...body });
  assert.ok(request !== undefined);
  if (isRefusal(request)) return null;
  const own = { projectId: "p", project: "p", location: "us-east5", ...options };
  const to = { account: accountOf({ options: own }), model: modelOf({ upstream }) };
  const call = translatedChat(providers[type as keyof typeof providers] as Provider, request, to, {
    stream: false,
    deadlineMs: 1,
    seed: "s",
  });
  if (call === null || isRefusal(call)) return null;
  return { body: `${call.path} ${call.body}`, named: [...(dialect?.dropped?.(body) ?? []), ...call.dropped] };
}

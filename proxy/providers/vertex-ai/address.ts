/** Which of Vertex AI's APIs serves a model, and where. */
import type { ProviderAccount, ProviderModel } from "../provider.ts";

export type VertexApi = "Gemini" | "Claude" | "OpenAI" | "Ranking";

export function apiOf({ config }: ProviderAccount, model: ProviderModel): VertexApi {
  const { api } = config.options;
  if (api === "Gemini" || api === "Claude" || api === "OpenAI" || api === "Ranking") return api;
  const { upstream } = model.config;
  if (upstream.startsWith("claude")) return "Claude";
  return upstream.includes("/") && !upstream.startsWith("models/") ? "OpenAI" : "Gemini";
}

export const locationPath = ({ config, basePath }: ProviderAccount): string =>
  `${basePath.replace(/\/v1$/, "")}/v1/projects/${config.options["project"] ?? ""}/locations/${config.options["location"] ?? ""}`;

export const geminiBase = (account: ProviderAccount): string => `${locationPath(account)}/publishers/google`;

/** https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/use-claude */
export function claudePath(account: ProviderAccount, model: ProviderModel, stream: boolean): string {
  const name = encodeURIComponent(model.config.upstream).replaceAll("%40", "@");
  return `${locationPath(account)}/publishers/anthropic/models/${name}:${stream ? "streamRawPredict" : "rawPredict"}`;
}

/** https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/count-tokens */
export const claudeCountPath = (account: ProviderAccount): string =>
  `${locationPath(account)}/publishers/anthropic/models/count-tokens:rawPredict`;

/** https://cloud.google.com/vertex-ai/generative-ai/docs/start/openai */
export const openAiBase = (account: ProviderAccount): string => `${locationPath(account)}/endpoints/openapi`;

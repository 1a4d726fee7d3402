/** What tests of documented forms share. */
export const upstreams = {
  Anthropic: "claude-sonnet-4-5",
  Bedrock: "anthropic.claude-sonnet-4-5-20250929-v1:0",
  Cohere: "command-a",
  Gemini: "gemini-2.5-flash",
  Mistral: "mistral-large-latest",
  OpenAI: "gpt-4o",
  OpenAICompatible: "qwen3",
  VertexAI: "gemini-2.5-pro",
  Watsonx: "meta-llama/llama-4",
} as const;
export type Type = keyof typeof upstreams;
export type Format = "openai.chat" | "openai.responses" | "anthropic.messages";

export const options = { projectId: "p", apiVersion: "2024-05-31" };

export const at = (value: unknown, path: string): unknown =>
  path.split(".").reduce<unknown>((part, name) => (part as Record<string, unknown> | undefined)?.[name], value);

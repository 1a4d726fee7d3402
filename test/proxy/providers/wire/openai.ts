import type { UpstreamRequest } from "../../../harness/upstream.ts";
import { type Asked, type Json, list, own, type Said, type Wire, words } from "./wire.ts";

const usageOf = ({ usage }: Said): Json => ({
  prompt_tokens: usage.prompt,
  completion_tokens: usage.completion,
  total_tokens: usage.prompt + usage.completion,
  prompt_tokens_details: { cached_tokens: usage.cached },
});

const callsOf = (said: Said): Json[] =>
  (said.calls ?? []).map(({ id, name, args }) => ({
    id,
    type: "function",
    function: { name, arguments: JSON.stringify(args) },
  }));

export function openaiAsked({ json, path }: UpstreamRequest): Asked {
  const messages = list(json["messages"]);
  const of = (role: string): Json[] => messages.filter((message) => message["role"] === role);
  const user = of("user").at(-1);
  const parts = list(user?.["content"]);
  return {
    system:
      of("system")
        .concat(of("developer"))
        .map((message) => words(message["content"]))
        .join("\n") || null,
    prompt: user === undefined ? null : words(user["content"]),
    image: parts.some((part) => part["type"] === "image_url"),
    tools: list(json["tools"]).map((tool) => String(own(tool["function"])["name"])),
    toolResults: of("tool").map((message) => words(message["content"])),
    schema: own(json["response_format"])["type"] === "json_schema",
    stream: json["stream"] === true || path.includes("chat_stream"),
  };
}

export function openaiWhole(said: Said): Json {
  const calls = callsOf(said);
  const message = {
    role: "assistant",
    content: said.text ?? null,
    refusal: null,
    ...(calls.length > 0 ? { tool_calls: calls } : {}),
  };
  const finish = calls.length > 0 ? "tool_calls" : "stop";
  return {
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 1,
    model: "model-1",
    choices: [{ index: 0, message, logprobs: null, finish_reason: finish }],
    usage: usageOf(said),
  };
}

export function openaiChunks(said: Said): Json[] {
  const chunk = (choices: unknown[], more: Json = {}): Json => ({
    id: "chatcmpl-1",
    object: "chat.completion.chunk",
    created: 1,
    model: "model-1",
    choices,
    ...more,
  });
  const delta = (value: Json, finish: string | null = null): Json =>
    chunk([{ index: 0, delta: value, finish_reason: finish }]);
  const calls = callsOf(said).flatMap((call, index) => {
    const fn = own(call["function"]);
    const args = String(fn["arguments"]);
    const half = Math.ceil(args.length / 2);
    return [
      delta({
        tool_calls: [{ index, id: call["id"], type: "function", function: { name: fn["name"], arguments: "" } }],
      }),
      delta({ tool_calls: [{ index, function: { arguments: args.slice(0, half) } }] }),
      delta({ tool_calls: [{ index, function: { arguments: args.slice(half) } }] }),
    ];
  });
  return [
    delta({ role: "assistant", content: "" }),
    ...[...(said.text ?? "")].map((content) => delta({ content })),
    ...calls,
    delta({}, calls.length > 0 ? "tool_calls" : "stop"),
    chunk([], { usage: usageOf(said) }),
  ];
}

const data = (chunk: Json): string => `data: ${JSON.stringify(chunk)}\n\n`;

const common = {
  contentType: "text/event-stream",
  sse: true,
  asked: openaiAsked,
  whole: openaiWhole,
  frames: (said: Said) => [...openaiChunks(said).map(data), "data: [DONE]\n\n"],
  error: (status: number, message: string) => ({
    error: { message, type: "some_error", param: null, code: status === 404 ? "model_not_found" : null },
  }),
};

const bearer = ({ headers }: UpstreamRequest): boolean => headers.authorization === "Bearer sk-test";

export const openai: Wire = {
  ...common,
  type: "OpenAI",
  secret: { apiKey: "sk-test" },
  spec: (url) => ({ endpoint: `${url}/v1` }),
  authorized: bearer,
};
export const openaiCompatible: Wire = { ...openai, type: "OpenAICompatible" };

/** Azure's first chunk has no choice and an empty id. */
export const azure: Wire = {
  ...common,
  type: "AzureOpenAI",
  secret: { apiKey: "azure-key" },
  spec: (url) => ({ endpoint: url }),
  authorized: ({ headers, path }) => headers["api-key"] === "azure-key" && path === "/openai/v1/chat/completions",
  frames: (said) => [
    data({ id: "", object: "", created: 0, model: "", choices: [], prompt_filter_results: [{ prompt_index: 0 }] }),
    ...common.frames(said),
  ],
  error: (status, message) => ({ error: { code: String(status), message } }),
};

/** Ids of nine characters; errors are flat objects. */
export const mistral: Wire = {
  ...common,
  type: "Mistral",
  secret: { apiKey: "sk-test" },
  spec: (url) => ({ endpoint: `${url}/v1` }),
  authorized: bearer,
  error: (status, message) =>
    status === 422 || status === 400
      ? { object: "error", message, type: "invalid_request_error", param: null, code: "1" }
      : { message, request_id: "r" },
};

/** Events with ids, an IBM token, no end marker. */
export const watsonx: Wire = {
  ...common,
  type: "Watsonx",
  secret: { apiKey: "ibm-key" },
  spec: (url) => ({ endpoint: url, options: { projectId: "p-1", iamUrl: url } }),
  aside: (request) => {
    if (request.path !== "/identity/token") return null;
    return new URLSearchParams(request.text).get("apikey") === "ibm-key"
      ? { access_token: "iam-1", expires_in: 3600 }
      : {};
  },
  authorized: ({ headers, path, json }) =>
    headers.authorization === "Bearer iam-1" &&
    path.includes("version=2024-10-08") &&
    json["project_id"] === "p-1" &&
    !("stream" in json) &&
    !("model" in json),
  whole: (said) => ({ ...openaiWhole(said), model_id: "model-1", model_version: "1", system: { warnings: [] } }),
  frames: (said) =>
    openaiChunks(said).map((chunk, index) => `id: ${index}\nevent: message\ndata: ${JSON.stringify(chunk)}\n\n`),
  error: (status, message) => ({
    errors: [{ code: "some_code", message, more_info: "https://example.com" }],
    trace: "t-1",
    status_code: status,
  }),
};

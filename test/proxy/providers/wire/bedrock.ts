import { Buffer } from "node:buffer";
import { EventStreamCodec } from "@smithy/core/event-streams";
import type { UpstreamRequest } from "../../../harness/upstream.ts";
import { anthropic } from "./anthropic.ts";
import { openaiCompatible } from "./openai.ts";
import { type Json, list, own, type Said, type Wire, words } from "./wire.ts";

const codec = new EventStreamCodec(
  (bytes) => Buffer.from(bytes as Uint8Array).toString("utf8"),
  (text) => Buffer.from(text, "utf8"),
);

export const frame = (type: string, body: Json): Buffer =>
  Buffer.from(
    codec.encode({
      headers: {
        ":event-type": { type: "string", value: type },
        ":content-type": { type: "string", value: "application/json" },
        ":message-type": { type: "string", value: "event" },
      },
      body: Buffer.from(JSON.stringify(body)),
    }),
  );

const usageOf = ({ usage }: Said): Json => ({
  inputTokens: usage.prompt - usage.cached,
  cacheReadInputTokens: usage.cached,
  outputTokens: usage.completion,
  totalTokens: usage.prompt + usage.completion,
});

const blocksOf = (said: Said): Json[] => [
  ...(said.text === undefined ? [] : [{ text: said.text }]),
  ...(said.calls ?? []).map(({ id, name, args }) => ({ toolUse: { toolUseId: id, name, input: args } })),
];

function blockFrames(block: Json, contentBlockIndex: number): Buffer[] {
  const stop = frame("contentBlockStop", { contentBlockIndex });
  const delta = (value: Json): Buffer => frame("contentBlockDelta", { contentBlockIndex, delta: value });
  if ("text" in block) return [...[...String(block["text"])].map((text) => delta({ text })), stop];
  const { toolUseId, name, input } = own(block["toolUse"]);
  const args = JSON.stringify(input);
  const half = Math.ceil(args.length / 2);
  const start = frame("contentBlockStart", { contentBlockIndex, start: { toolUse: { toolUseId, name } } });
  return [
    start,
    delta({ toolUse: { input: args.slice(0, half) } }),
    delta({ toolUse: { input: args.slice(half) } }),
    stop,
  ];
}

const names: Readonly<Record<number, string>> = {
  400: "ValidationException",
  401: "UnrecognizedClientException",
  404: "ResourceNotFoundException",
  429: "ThrottlingException",
  500: "InternalServerException",
  503: "ServiceUnavailableException",
};

const signed = ({ headers }: UpstreamRequest): boolean =>
  /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/us-east-1\/bedrock\/aws4_request, /.test(
    headers.authorization ?? "",
  );

/** Claude by InvokeModel: Anthropic's events, each in a frame. */
export const invokeModel: Wire = {
  ...anthropic,
  type: "Bedrock",
  variant: "InvokeModel",
  secret: { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI" },
  spec: (url) => ({ endpoint: url, options: { region: "us-east-1", api: "InvokeModel" } }),
  contentType: "application/vnd.amazon.eventstream",
  sse: false,
  authorized: (request) =>
    signed(request) &&
    /^\/model\/model-1\/invoke(-with-response-stream)?$/.test(request.path) &&
    request.json["anthropic_version"] === "bedrock-2023-05-31" &&
    !("model" in request.json) &&
    !("stream" in request.json),
  asked: (request) => ({ ...anthropic.asked(request), stream: request.path.endsWith("-stream") }),
  frames: (said) =>
    anthropic.frames(said).map((event) => {
      const data = /^data: (.*)$/m.exec(String(event))?.[1] ?? "";
      return frame("chunk", { bytes: Buffer.from(data).toString("base64"), p: "abcdef" });
    }),
  error: (status, message) => ({ __type: names[status] ?? "Unknown", message }),
};

/** Claude by Anthropic's own API. */
export const bedrockMessages: Wire = {
  ...anthropic,
  type: "Bedrock",
  variant: "Messages",
  upstream: "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
  secret: { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI" },
  spec: (url) => ({ endpoint: url, options: { region: "us-east-1", api: "Messages" } }),
  authorized: (request) =>
    signed(request) &&
    request.path === "/anthropic/v1/messages" &&
    request.headers["anthropic-version"] === "2023-06-01",
};

export const bedrockOpenAi: Wire = {
  ...openaiCompatible,
  type: "Bedrock",
  variant: "OpenAI",
  secret: { apiKey: "bedrock-key" },
  spec: (url) => ({ endpoint: url, options: { region: "us-east-1", api: "OpenAI" } }),
  authorized: ({ headers, path }) =>
    headers.authorization === "Bearer bedrock-key" && path === "/openai/v1/chat/completions",
};

export const bedrock: Wire = {
  type: "Bedrock",
  secret: { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI" },
  spec: (url) => ({ endpoint: url, options: { region: "us-east-1" } }),
  contentType: "application/vnd.amazon.eventstream",
  sse: false,
  authorized: ({ headers, path }) =>
    /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/us-east-1\/bedrock\/aws4_request, SignedHeaders=[a-z0-9;-]+, Signature=[0-9a-f]{64}$/.test(
      headers.authorization ?? "",
    ) && path.startsWith("/model/model-1/converse"),
  asked({ json, path }) {
    const users = list(json["messages"]).filter((message) => message["role"] === "user");
    const parts = list(users.at(-1)?.["content"]);
    return {
      system: words(json["system"]) || null,
      prompt: words(parts.filter((part) => "text" in part)),
      image: parts.some((part) => "image" in part),
      tools: list(own(json["toolConfig"])["tools"]).map((tool) => String(own(tool["toolSpec"])["name"])),
      toolResults: parts.flatMap((part) => ("toolResult" in part ? [words(own(part["toolResult"])["content"])] : [])),
      schema: "textFormat" in own(json["outputConfig"]),
      stream: path.endsWith("converse-stream"),
    };
  },
  whole: (said) => ({
    output: { message: { role: "assistant", content: blocksOf(said) } },
    stopReason: said.calls ? "tool_use" : "end_turn",
    usage: usageOf(said),
    metrics: { latencyMs: 1 },
  }),
  frames: (said) => [
    frame("messageStart", { role: "assistant" }),
    ...blocksOf(said).flatMap(blockFrames),
    frame("messageStop", { stopReason: said.calls ? "tool_use" : "end_turn" }),
    frame("metadata", { usage: usageOf(said), metrics: { latencyMs: 1 } }),
  ],
  error: (status, message) => ({ __type: names[status] ?? "Unknown", message }),
};

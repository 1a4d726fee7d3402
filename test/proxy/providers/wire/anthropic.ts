import { type Json, list, own, type Said, type Wire, words } from "./wire.ts";

const usageOf = ({ usage }: Said, output = usage.completion): Json => ({
  input_tokens: usage.prompt - usage.cached,
  cache_read_input_tokens: usage.cached,
  cache_creation_input_tokens: 0,
  output_tokens: output,
});

const blocksOf = (said: Said): Json[] => [
  ...(said.text === undefined ? [] : [{ type: "text", text: said.text }]),
  ...(said.calls ?? []).map(({ id, name, args }) => ({ type: "tool_use", id, name, input: args })),
];

const event = (type: string, more: Json): string => `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`;

function blockFrames(block: Json, index: number): string[] {
  const stop = event("content_block_stop", { index });
  if (block["type"] === "text") {
    const pieces = [...String(block["text"])].map((text) =>
      event("content_block_delta", { index, delta: { type: "text_delta", text } }),
    );
    return [event("content_block_start", { index, content_block: { type: "text", text: "" } }), ...pieces, stop];
  }
  const args = JSON.stringify(block["input"]);
  const half = Math.ceil(args.length / 2);
  return [
    event("content_block_start", { index, content_block: { ...block, input: {} } }),
    ...["", args.slice(0, half), args.slice(half)].map((partial_json) =>
      event("content_block_delta", { index, delta: { type: "input_json_delta", partial_json } }),
    ),
    stop,
  ];
}

export const anthropic: Wire = {
  type: "Anthropic",
  secret: { apiKey: "sk-ant" },
  spec: (url) => ({ endpoint: url }),
  contentType: "text/event-stream",
  sse: true,
  authorized: ({ headers, path }) =>
    headers["x-api-key"] === "sk-ant" && headers["anthropic-version"] === "2023-06-01" && path === "/v1/messages",
  asked({ json }) {
    const users = list(json["messages"]).filter((message) => message["role"] === "user");
    const last = users.at(-1)?.["content"];
    const parts = list(last);
    return {
      system: words(json["system"]) || null,
      prompt: typeof last === "string" ? last : words(parts.filter((part) => part["type"] === "text")),
      image: parts.some((part) => part["type"] === "image"),
      tools: list(json["tools"]).map((tool) => String(tool["name"])),
      toolResults: parts.filter((part) => part["type"] === "tool_result").map((part) => words(part["content"])),
      schema: own(own(json["output_config"])["format"])["type"] === "json_schema",
      stream: json["stream"] === true,
    };
  },
  whole: (said) => ({
    id: "msg_1",
    type: "message",
    role: "assistant",
    model: "model-1",
    content: blocksOf(said),
    stop_reason: said.calls ? "tool_use" : "end_turn",
    stop_sequence: null,
    usage: usageOf(said),
  }),
  frames: (said) => [
    event("message_start", {
      message: {
        id: "msg_1",
        type: "message",
        role: "assistant",
        model: "model-1",
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: usageOf(said, 1),
      },
    }),
    event("ping", {}),
    ...blocksOf(said).flatMap(blockFrames),
    event("message_delta", {
      delta: { stop_reason: said.calls ? "tool_use" : "end_turn", stop_sequence: null },
      usage: { output_tokens: said.usage.completion },
    }),
    event("message_stop", {}),
  ],
  error: (status, message) => ({
    type: "error",
    error: { type: status === 404 ? "not_found_error" : "some_error", message },
  }),
};

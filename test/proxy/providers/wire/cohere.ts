import { type Json, list, own, type Said, type Wire, words } from "./wire.ts";

const usageOf = ({ usage }: Said): Json => ({
  billed_units: { input_tokens: 1, output_tokens: 1 },
  tokens: { input_tokens: usage.prompt, output_tokens: usage.completion },
  cached_tokens: usage.cached,
});

const callsOf = (said: Said): Json[] =>
  (said.calls ?? []).map(({ id, name, args }) => ({
    id,
    type: "function",
    function: { name, arguments: JSON.stringify(args) },
  }));

const event = (type: string, more: Json): string => `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`;

function callFrames(call: Json, index: number): string[] {
  const fn = own(call["function"]);
  const args = String(fn["arguments"]);
  const half = Math.ceil(args.length / 2);
  const piece = (part: string): string =>
    event("tool-call-delta", { index, delta: { message: { tool_calls: { function: { arguments: part } } } } });
  const start = { ...call, function: { name: fn["name"], arguments: "" } };
  return [
    event("tool-call-start", { index, delta: { message: { tool_calls: start } } }),
    piece(args.slice(0, half)),
    piece(args.slice(half)),
    event("tool-call-end", { index }),
  ];
}

export const cohere: Wire = {
  type: "Cohere",
  secret: { apiKey: "co-key" },
  spec: (url) => ({ endpoint: `${url}/v2` }),
  contentType: "text/event-stream",
  sse: true,
  authorized: ({ headers, path }) => headers.authorization === "Bearer co-key" && path === "/v2/chat",
  asked({ json }) {
    const messages = list(json["messages"]);
    const of = (role: string): Json[] => messages.filter((message) => message["role"] === role);
    const user = of("user").at(-1);
    return {
      system:
        of("system")
          .map((message) => words(message["content"]))
          .join("\n") || null,
      prompt: user === undefined ? null : words(user["content"]),
      image: list(user?.["content"]).some((part) => part["type"] === "image_url"),
      tools: list(json["tools"]).map((tool) => String(own(tool["function"])["name"])),
      toolResults: of("tool").map((message) => words(message["content"])),
      schema: "json_schema" in own(json["response_format"]) || "schema" in own(json["response_format"]),
      stream: json["stream"] === true,
    };
  },
  whole(said) {
    const calls = callsOf(said);
    return {
      id: "c-1",
      finish_reason: calls.length > 0 ? "TOOL_CALL" : "COMPLETE",
      message: {
        role: "assistant",
        ...(said.text === undefined ? {} : { content: [{ type: "text", text: said.text }] }),
        ...(calls.length > 0 ? { tool_calls: calls } : {}),
      },
      usage: usageOf(said),
    };
  },
  frames: (said) => [
    event("message-start", {
      id: "c-1",
      delta: { message: { role: "assistant", content: [], tool_plan: "", tool_calls: [], citations: [] } },
    }),
    ...(said.text === undefined
      ? []
      : [
          event("content-start", { index: 0, delta: { message: { content: { type: "text", text: "" } } } }),
          ...[...said.text].map((text) =>
            event("content-delta", { index: 0, delta: { message: { content: { text } } } }),
          ),
          event("content-end", { index: 0 }),
        ]),
    ...callsOf(said).flatMap(callFrames),
    event("message-end", {
      id: "c-1",
      delta: { finish_reason: said.calls ? "TOOL_CALL" : "COMPLETE", usage: usageOf(said) },
    }),
  ],
  error: (_status, message) => ({ id: "e-1", message }),
};

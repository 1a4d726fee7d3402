/** Models of OpenAI that only have its Responses: all dialects reach them in that form. */
import type { UpstreamRequest } from "../../../harness/upstream.ts";
import { openai } from "./openai.ts";
import { type Asked, type Json, list, own, type Said, type Wire, words } from "./wire.ts";

function asked({ json }: UpstreamRequest): Asked {
  const input: Json[] =
    typeof json["input"] === "string" ? [{ role: "user", content: json["input"] }] : list(json["input"]);
  const of = (role: string): Json[] => input.filter((item) => item["role"] === role);
  const system = [json["instructions"], ...[...of("system"), ...of("developer")].map((item) => words(item["content"]))];
  const user = of("user").at(-1);
  return {
    system: system.filter((text) => typeof text === "string" && text !== "").join("\n") || null,
    prompt: user === undefined ? null : words(user["content"]),
    image: list(user?.["content"]).some((part) => part["type"] === "input_image"),
    tools: list(json["tools"]).map((tool) => String(tool["name"])),
    toolResults: input.filter((item) => item["type"] === "function_call_output").map((item) => words(item["output"])),
    schema: own(own(json["text"])["format"])["type"] === "json_schema",
    stream: json["stream"] === true,
  };
}

const usageOf = ({ usage }: Said): Json => ({
  input_tokens: usage.prompt,
  input_tokens_details: { cached_tokens: usage.cached },
  output_tokens: usage.completion,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: usage.prompt + usage.completion,
});

const outputOf = (said: Said): Json[] => [
  ...(said.text === undefined
    ? []
    : [
        {
          id: "msg_0a",
          type: "message",
          status: "completed",
          role: "assistant",
          content: [{ type: "output_text", text: said.text, annotations: [] }],
        },
      ]),
  ...(said.calls ?? []).map(({ id, name, args }, index) => ({
    id: `fc_0${index}`,
    type: "function_call",
    status: "completed",
    call_id: id,
    name,
    arguments: JSON.stringify(args),
  })),
];

const response = (said: Said, more: Json = {}): Json => ({
  id: "resp_0a",
  object: "response",
  created_at: 1,
  model: "gpt-5-pro",
  status: "completed",
  error: null,
  incomplete_details: null,
  output: outputOf(said),
  usage: usageOf(said),
  ...more,
});

function eventsOf(said: Said): Json[] {
  const begun = { response: response(said, { status: "in_progress", output: [], usage: null }) };
  const items = outputOf(said).flatMap((item, at): Json[] => {
    const place = { item_id: item["id"], output_index: at };
    const [own, pieces, empty] =
      item["type"] === "message"
        ? ["response.output_text.delta", [...String(said.text)], { content: [] }]
        : ["response.function_call_arguments.delta", String(item["arguments"]).split(/(?<=,)/), { arguments: "" }];
    const part = { type: "output_text", text: "", annotations: [] };
    return [
      { type: "response.output_item.added", output_index: at, item: { ...item, status: "in_progress", ...empty } },
      ...(item["type"] === "message"
        ? [{ type: "response.content_part.added", ...place, content_index: 0, part }]
        : []),
      ...pieces.map((delta) => ({ type: own, ...place, content_index: 0, delta })),
      { type: "response.output_item.done", output_index: at, item },
    ];
  });
  return [
    { type: "response.created", ...begun },
    { type: "response.in_progress", ...begun },
    ...items,
    { type: "response.completed", response: response(said) },
  ].map((event, sequence_number) => ({ ...event, sequence_number }));
}

export const openAiResponses: Wire = {
  ...openai,
  variant: "Responses",
  upstream: "gpt-5-pro",
  asked,
  whole: (said) => response(said),
  frames: (said) =>
    eventsOf(said).map((event) => `event: ${String(event["type"])}\ndata: ${JSON.stringify(event)}\n\n`),
};

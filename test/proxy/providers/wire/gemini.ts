import { type Json, list, own, type Said, type Wire, words } from "./wire.ts";

const usageOf = ({ usage }: Said): Json => ({
  promptTokenCount: usage.prompt,
  cachedContentTokenCount: usage.cached,
  candidatesTokenCount: usage.completion,
  totalTokenCount: usage.prompt + usage.completion,
});

const partsOf = (said: Said): Json[] => [
  ...(said.text === undefined ? [] : [{ text: said.text }]),
  ...(said.calls ?? []).map(({ id, name, args }) => ({ functionCall: { id, name, args } })),
];

const body = (parts: Json[], more: Json = {}, end: Json = {}): Json => ({
  candidates: [{ content: { role: "model", parts }, index: 0, ...more }],
  modelVersion: "model-1",
  responseId: "r-1",
  ...end,
});

const names: Readonly<Record<number, string>> = {
  400: "INVALID_ARGUMENT",
  401: "UNAUTHENTICATED",
  404: "NOT_FOUND",
  429: "RESOURCE_EXHAUSTED",
  500: "INTERNAL",
  503: "UNAVAILABLE",
};

export const gemini: Wire = {
  type: "Gemini",
  secret: { apiKey: "g-key" },
  spec: (url) => ({ endpoint: `${url}/v1beta` }),
  contentType: "text/event-stream",
  sse: true,
  authorized: ({ headers, path }) =>
    headers["x-goog-api-key"] === "g-key" && path.startsWith("/v1beta/models/model-1:"),
  asked({ json, path }) {
    const contents = list(json["contents"]);
    const parts = list(contents.filter((content) => content["role"] !== "model").at(-1)?.["parts"]);
    const generation = own(json["generationConfig"]);
    return {
      system: words(list(own(json["systemInstruction"])["parts"])) || null,
      prompt: words(parts.filter((part) => "text" in part)),
      image: parts.some((part) => "inlineData" in part),
      tools: list(json["tools"]).flatMap((tool) =>
        list(tool["functionDeclarations"]).map((declared) => String(declared["name"])),
      ),
      toolResults: parts.flatMap((part) =>
        "functionResponse" in part
          ? [
              Object.values(own(own(part["functionResponse"])["response"]))
                .map(String)
                .join(""),
            ]
          : [],
      ),
      schema: "responseJsonSchema" in generation || "responseSchema" in generation,
      stream: path.includes("streamGenerateContent"),
    };
  },
  whole: (said) => body(partsOf(said), { finishReason: "STOP" }, { usageMetadata: usageOf(said) }),
  frames(said) {
    const pieces = partsOf(said).flatMap((part) =>
      "text" in part ? [...String(part["text"])].map((text) => ({ text })) : [part],
    );
    return pieces.map((part, index) => {
      const last = index === pieces.length - 1;
      return `data: ${JSON.stringify(body([part], last ? { finishReason: "STOP" } : {}, { usageMetadata: usageOf(said) }))}\n\n`;
    });
  },
  error: (status, message) => ({ error: { code: status, message, status: names[status] ?? "UNKNOWN" } }),
};

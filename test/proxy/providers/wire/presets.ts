/** Servers of OpenAI's format with the habits that presets are for: each refuses what its documentation says it refuses. */
import { presets } from "../../../../proxy/providers/openai-compatible/presets.generated.ts";
import type { UpstreamRequest } from "../../../harness/upstream.ts";
import { openaiCompatible } from "./openai.ts";
import { list, type Wire } from "./wire.ts";

/** Servers whose newer or only name of the limit is OpenAI's. */
const newerLimit: ReadonlySet<string> = new Set(["Groq", "Cerebras"]);
const eitherLimit: ReadonlySet<string> = new Set(["XAI", "GitHubModels"]);
/** Servers that take the role `developer`, or whose models do. */
const knowsDeveloper: ReadonlySet<string> = new Set(["OpenRouter", "GitHubModels", "VLLM"]);
/** Servers that take stop sequences only as a list. */
const listsStops: ReadonlySet<string> = new Set(["HuggingFace", "TGI"]);
/** Parameters that a server's documentation says it refuses. */
const refused: Readonly<Record<string, readonly string[]>> = {
  Groq: ["logprobs", "top_logprobs", "logit_bias"],
  SambaNova: ["logit_bias", "seed"],
  XAI: ["logit_bias", "frequency_penalty", "presence_penalty"],
};

/** Servers that refuse the name of a message: https://console.groq.com/docs/openai */
const refusesNames: ReadonlySet<string> = new Set(["Groq"]);

function accepts(name: string, path: string, request: UpstreamRequest): boolean {
  const { json } = request;
  const limit = newerLimit.has(name) ? "max_completion_tokens" : "max_tokens";
  const other = newerLimit.has(name) ? "max_tokens" : "max_completion_tokens";
  return (
    request.path === `${path}/chat/completions` &&
    (eitherLimit.has(name) || (limit in json && !(other in json))) &&
    !(listsStops.has(name) && typeof json["stop"] === "string") &&
    !(refused[name] ?? []).some((parameter) => parameter in json) &&
    !(refusesNames.has(name) && list(json["messages"]).some((message) => "name" in message)) &&
    (knowsDeveloper.has(name) || list(json["messages"]).every((message) => message["role"] !== "developer"))
  );
}

export const presetWires: readonly Wire[] = presets.map(({ name, endpoint, example }): Wire => {
  const { pathname } = new URL(endpoint ?? example ?? "");
  const path = pathname === "/" ? "" : pathname;
  return {
    ...openaiCompatible,
    variant: name,
    spec: (url) => ({ preset: name, endpoint: url + path }),
    authorized: (request) => openaiCompatible.authorized(request) && accepts(name, path, request),
  };
});

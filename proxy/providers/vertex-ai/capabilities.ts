import type { Capabilities } from "../../config/capabilities.ts";
import { claudeOptions } from "../anthropic/shared-options.ts";

export const capabilities: Capabilities = {
  type: "VertexAI",
  title: "Google Vertex AI (Gemini, Claude, models behind its OpenAI-compatible endpoint, and rankers)",
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the compiler fills options in
  defaultEndpoint: "https://${location}-aiplatform.googleapis.com",
  // https://cloud.google.com/vertex-ai/generative-ai/docs/learn/locations
  defaultEndpoints: [
    // https://cloud.google.com/generative-ai-app-builder/docs/locations
    { options: { api: "Ranking", location: "global" }, endpoint: "https://discoveryengine.googleapis.com" },
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the compiler fills options in
    { options: { api: "Ranking" }, endpoint: "https://${location}-discoveryengine.googleapis.com" },
    { options: { location: "global" }, endpoint: "https://aiplatform.googleapis.com" },
    { options: { location: "us" }, endpoint: "https://aiplatform.us.rep.googleapis.com" },
    { options: { location: "eu" }, endpoint: "https://aiplatform.eu.rep.googleapis.com" },
  ],
  example: { options: { project: "my-project", location: "europe-west4" }, model: { name: "gemini-2.5-flash" } },
  passthrough: [],
  translated: [
    "openai.chat",
    "openai.completions",
    "openai.embeddings",
    "openai.responses",
    "anthropic.messages",
    "cohere.rerank",
  ],
  options: {
    project: {
      required: true,
      description: "Id of the Google Cloud project.",
      pattern: "^[a-z][a-z0-9-]{4,28}[a-z0-9]$",
      form: "the id of a project, such as my-project",
    },
    location: {
      required: true,
      description: "Region, multi-region (us, eu) or global: part of the default endpoint and of the path.",
      pattern: "^(global|us|eu|[a-z]{2,12}-[a-z]{2,12}[0-9]{1,2})$",
      form: "a location of Vertex AI, such as europe-west4 or global",
    },
    api: {
      required: false,
      description:
        "Auto: Claude for names that begin with claude, OpenAI for names with a publisher before a /, such as meta/llama-3.3-70b-instruct-maas, Gemini otherwise. Set it for names that don't show the API. Ranking: models that rerank, such as semantic-ranker-default-004, in an LLMProvider of their own; location is global, us or eu.",
      default: "Auto",
      pattern: "^(Auto|Gemini|Claude|OpenAI|Ranking)$",
    },
    schemas: {
      required: false,
      description:
        "Gemini: how schemas of tools and answers are sent. JsonSchema: unchanged, for Gemini 2.5 and later. OpenApi: reduced to the older OpenAPI subset. If not set, decided by the model's name.",
      pattern: "^(JsonSchema|OpenApi)$",
    },
    thinking: {
      required: false,
      description:
        "How reasoning_effort is sent. Gemini: Level (3 and later) or Budget (2.5); if not set, decided by the model's name. Claude: Adaptive (4.6 and later, the default) or Budget.",
      pattern: "^(Level|Adaptive|Budget)$",
    },
    ...claudeOptions,
    tokenUrl: {
      required: false,
      default: "https://oauth2.googleapis.com",
      pattern: "^https?://[^/?#@]+$",
      form: "a URL without a path and without a trailing slash, such as https://oauth2.googleapis.com",
      description: "Google's token service, for keys of service accounts.",
    },
  },
  credentials: [
    {
      name: "serviceAccountJson",
      required: false,
      description: "Key of a service account, as JSON. Prefer workloadIdentity.google where the proxies run on GKE.",
    },
    { name: "apiKey", required: false, description: "API key, sent as x-goog-api-key, for Gemini models." },
  ],
  credentialSets: [
    { credentials: ["serviceAccountJson"], options: [] },
    { credentials: ["apiKey"], options: [] },
  ],
  credentialsRequired: true,
  sets: { headers: ["anthropic-beta"], credential: ["authorization", "x-goog-api-key"], query: ["alt", "key"] },
  // Members of Claude's own format.
  steering: { region: ["inference_geo"], price: { speed: ["fast"] } },
  identity: "google",
  tokenServiceOption: "tokenUrl",
  discovers: true,
  parameters: {
    max_tokens: "mapped",
    temperature: "native",
    top_p: "mapped",
    n: "mapped",
    stop: "mapped",
    seed: "native",
    presence_penalty: "mapped",
    frequency_penalty: "mapped",
    logit_bias: "dropped",
    logprobs: "mapped",
    tools: "mapped",
    tool_choice: "mapped",
    parallel_tool_calls: "mapped",
    "response_format.json_object": "mapped",
    "response_format.json_schema": "mapped",
    reasoning_effort: "mapped",
    user: "dropped",
    image_data: "mapped",
    image_url: "mapped",
    input_audio: "mapped",
    metadata: "dropped",
    store: "dropped",
    service_tier: "dropped",
  },
  resources: false,
  pricesFrom: "google",
  // https://cloud.google.com/generative-ai-app-builder/pricing
  measuredPrices: [{ models: "^semantic-ranker-", perThousandSearchUnits: 1 }],
  // https://cloud.google.com/vertex-ai/generative-ai/pricing
  priceModes: { usual: { batch: 500_000, flex: 500_000, priority: 1_800_000 } },
  // Accepted by both Gemini and Claude. Ids of calls to Gemini carry thought signatures.
  bounds: { toolName: { characters: "A-Za-z0-9_-", first: "A-Za-z_", longest: 64 } },
};

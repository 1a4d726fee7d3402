/** Model services by the names that other gateways use, as types and presets of LLMProviders. */
import type { presetNames, providerTypes } from "../../crds/types/provider-types.generated.ts";

export interface Service {
  type: (typeof providerTypes)[number];
  preset?: (typeof presetNames)[number];
  /** The endpoint of a compatible service without a preset. */
  endpoint?: string;
  /** The usual environment variable for its key. */
  variable: string;
  /** Whether it also answers calls without a key. */
  keyless?: boolean;
}

type Preset = NonNullable<Service["preset"]>;

const preset = (name: Preset, variable: string, keyless = false): Service => ({
  type: "OpenAICompatible",
  preset: name,
  variable,
  ...(keyless ? { keyless } : {}),
});
const compatible = (variable: string, endpoint?: string): Service => ({
  type: "OpenAICompatible",
  variable,
  ...(endpoint === undefined ? { keyless: true } : { endpoint }),
});

/** By name, without case and punctuation. */
const byName: Readonly<Record<string, Service>> = {
  ai21: compatible("AI21_API_KEY", "https://api.ai21.com/studio/v1"),
  anthropic: { type: "Anthropic", variable: "ANTHROPIC_API_KEY" },
  azureaifoundry: { type: "AzureAIFoundry", variable: "AZURE_AI_API_KEY" },
  azureopenai: { type: "AzureOpenAI", variable: "AZURE_API_KEY" },
  baseten: compatible("BASETEN_API_KEY", "https://inference.baseten.co/v1"),
  bedrock: { type: "Bedrock", variable: "AWS_BEARER_TOKEN_BEDROCK" },
  cerebras: preset("Cerebras", "CEREBRAS_API_KEY"),
  cohere: { type: "Cohere", variable: "COHERE_API_KEY" },
  compatible: compatible("OPENAI_API_KEY"),
  dashscope: compatible("DASHSCOPE_API_KEY", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"),
  deepinfra: compatible("DEEPINFRA_API_KEY", "https://api.deepinfra.com/v1/openai"),
  deepseek: preset("DeepSeek", "DEEPSEEK_API_KEY"),
  featherlessai: compatible("FEATHERLESS_AI_API_KEY", "https://api.featherless.ai/v1"),
  fireworks: preset("Fireworks", "FIREWORKS_AI_API_KEY"),
  gemini: { type: "Gemini", variable: "GEMINI_API_KEY" },
  github: preset("GitHubModels", "GITHUB_API_KEY"),
  groq: preset("Groq", "GROQ_API_KEY"),
  huggingface: preset("HuggingFace", "HUGGINGFACE_API_KEY"),
  hyperbolic: compatible("HYPERBOLIC_API_KEY", "https://api.hyperbolic.xyz/v1"),
  lambdaai: compatible("LAMBDA_API_KEY", "https://api.lambda.ai/v1"),
  llamacpp: preset("LlamaCpp", "LLAMA_API_KEY", true),
  metallama: compatible("LLAMA_API_KEY", "https://api.llama.com/compat/v1"),
  mistral: { type: "Mistral", variable: "MISTRAL_API_KEY" },
  moonshot: compatible("MOONSHOT_API_KEY", "https://api.moonshot.ai/v1"),
  nebius: compatible("NEBIUS_API_KEY", "https://api.studio.nebius.com/v1"),
  novita: compatible("NOVITA_API_KEY", "https://api.novita.ai/v3/openai"),
  nvidianim: preset("NvidiaNIM", "NVIDIA_NIM_API_KEY"),
  ollama: preset("Ollama", "OLLAMA_API_KEY", true),
  openai: { type: "OpenAI", variable: "OPENAI_API_KEY" },
  openrouter: preset("OpenRouter", "OPENROUTER_API_KEY"),
  perplexity: preset("Perplexity", "PERPLEXITYAI_API_KEY"),
  sambanova: preset("SambaNova", "SAMBANOVA_API_KEY"),
  sglang: preset("SGLang", "SGLANG_API_KEY", true),
  tgi: preset("TGI", "TGI_API_KEY", true),
  together: preset("Together", "TOGETHERAI_API_KEY"),
  vertexai: { type: "VertexAI", variable: "GOOGLE_APPLICATION_CREDENTIALS" },
  vllm: preset("VLLM", "VLLM_API_KEY", true),
  volcengine: compatible("VOLCENGINE_API_KEY", "https://ark.cn-beijing.volces.com/api/v3"),
  watsonx: { type: "Watsonx", variable: "WATSONX_API_KEY" },
  xai: preset("XAI", "XAI_API_KEY"),
  zai: compatible("ZAI_API_KEY", "https://api.z.ai/api/paas/v4"),
};

/** Alternative names. */
const aliases: Readonly<Record<string, string>> = {
  amazonbedrock: "bedrock",
  aws: "bedrock",
  awsbedrock: "bedrock",
  azure: "azureopenai",
  azureai: "azureaifoundry",
  azurefoundry: "azureaifoundry",
  azuretext: "azureopenai",
  bedrockconverse: "bedrock",
  codestral: "mistral",
  coherechat: "cohere",
  customopenai: "compatible",
  fireworksai: "fireworks",
  gcpvertexai: "vertexai",
  githubmodels: "github",
  google: "gemini",
  googleaistudio: "gemini",
  googlegemini: "gemini",
  googlevertexai: "vertexai",
  hostedvllm: "vllm",
  huggingfaceinference: "huggingface",
  ibmwatsonx: "watsonx",
  litellmproxy: "compatible",
  llamafile: "llamacpp",
  lmstudio: "compatible",
  mistralai: "mistral",
  ollamachat: "ollama",
  openaicompatible: "compatible",
  openailike: "compatible",
  openaitextcompletion: "openai",
  perplexityai: "perplexity",
  textcompletionopenai: "openai",
  togetherai: "together",
  vertex: "vertexai",
  vertexaibeta: "vertexai",
  watsonxai: "watsonx",
  xinference: "compatible",
};

/** Returns null if no type or preset matches it. */
export function serviceNamed(name: string): Service | null {
  const plain = name.toLowerCase().replace(/[^a-z0-9]/g, "");
  const canonical = Object.hasOwn(aliases, plain) ? aliases[plain] : plain;
  return canonical !== undefined && Object.hasOwn(byName, canonical) ? (byName[canonical] ?? null) : null;
}

export function serviceOf(name: string): Service {
  const service = serviceNamed(name);
  if (service === null) throw new RangeError(`no service ${name}`);
  return service;
}

const byModel: readonly (readonly [RegExp, string])[] = [
  [/^(gpt-|chatgpt-|o[1-9](-|$)|text-embedding-|davinci|babbage|ft:|dall-e|tts-|whisper|omni-moderation)/, "openai"],
  [/^claude-/, "anthropic"],
  [/^(gemini-|text-bison|chat-bison)/, "vertexai"],
  [/^(command|embed-(english|multilingual))/, "cohere"],
  [/^(mistral-|ministral|codestral|pixtral|open-mi)/, "mistral"],
  [
    /^((us|eu|apac|global)\.)?(anthropic|amazon|meta|cohere|mistral|ai21|deepseek)\.|^arn:aws[a-z-]*:bedrock:/,
    "bedrock",
  ],
];

/** The service of a model that is named without one. */
export function serviceOfModel(model: string): Service | null {
  const match = byModel.find(([pattern]) => pattern.test(model));
  return match === undefined ? null : serviceNamed(match[1]);
}

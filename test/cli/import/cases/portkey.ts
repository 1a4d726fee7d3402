/** Our own texts, with the settings and values that public configurations of Portkey have. */
import type { ImportCase } from "../check.ts";

const source = "portkey";
const file = (config: unknown): Record<string, string> => ({ "team-chat.json": JSON.stringify(config, null, 2) });

export const cases: readonly ImportCase[] = [
  {
    title: "fallback between virtual keys on statuses",
    source,
    files: file({
      strategy: { mode: "fallback", on_status_codes: [429, 500, 503, 418] },
      request_timeout: 30000,
      retry: { attempts: 2, on_status_codes: [429, 503] },
      targets: [
        { virtual_key: "openai-key", override_params: { model: "gpt-4o", temperature: 0.2 } },
        { virtual_key: "anthropic-key", override_params: { model: "claude-sonnet-4-5" } },
        { virtual_key: "main-258f4d", override_params: { model: "gemini-2.5-pro" } },
      ],
    }),
    says: [
      "NotImported strategy.on_status_codes[3]: Sluice has no class of failures for it",
      "Secret targets[0].virtual_key: Portkey stores the key: put it into the variable OPENAI_API_KEY",
    ],
    want: [
      "LLMProvider openai: OpenAI gpt-4o credentials={secretRef:{name:openai}} timeouts={response:30s,firstToken:30s} retry={attempts:3}",
      "LLMProvider anthropic: Anthropic claude-sonnet-4-5 credentials={secretRef:{name:anthropic}} timeouts={response:30s,firstToken:30s} retry={attempts:3}",
      "LLMProvider gemini: Gemini gemini-2.5-pro credentials={secretRef:{name:gemini}} timeouts={response:30s,firstToken:30s} retry={attempts:3}",
      "RoutingPolicy team-chat: {pathPrefix:/team-chat} Priority openai/gpt-4o#1 anthropic/claude-sonnet-4-5#2 gemini/gemini-2.5-pro#3 fallbackOn=[RateLimited,ServerError,Unavailable] request={overrides:{temperature:0.2}}",
      "Secret openai: apiKey=$OPENAI_API_KEY",
      "Secret anthropic: apiKey=$ANTHROPIC_API_KEY",
      "Secret gemini: apiKey=$GEMINI_API_KEY",
    ],
  },
  {
    title: "shares below one, a clear key and a cache",
    source,
    files: file({
      strategy: { mode: "loadbalance" },
      cache: { mode: "semantic", max_age: 3600 },
      targets: [
        { provider: "openai", api_key: "sk-live-a1b2c3d4e5f60718", weight: 0.7, override_params: { model: "gpt-4o" } },
        {
          provider: "azure-openai",
          resource_name: "contoso",
          deployment_id: "gpt-4o-eu",
          api_version: "2024-10-21",
          api_key: "${AZURE_KEY}",
          weight: 0.3,
        },
      ],
    }),
    secrets: ["sk-live-a1b2c3d4e5f60718"],
    says: ["Changed cache.mode: calls must be equal"],
    want: [
      "LLMProvider openai: OpenAI gpt-4o credentials={secretRef:{name:openai}}",
      "LLMProvider azure-contoso: AzureOpenAI gpt-4o-eu endpoint=https://contoso.openai.azure.com credentials={secretRef:{name:azure-contoso}} options={apiVersion:2024-10-21,surface:Deployments}",
      "RoutingPolicy team-chat: {pathPrefix:/team-chat} Weighted openai/gpt-4o*700 azure-contoso/gpt-4o-eu*300 cache={ttl:3600s}",
      "Secret openai: apiKey=***",
      "Secret azure-contoso: apiKey=$AZURE_KEY",
    ],
  },
  {
    title: "slugs in models, nested targets and local servers, in camelCase",
    source,
    files: file({
      strategy: { mode: "fallback" },
      targets: [
        {
          strategy: { mode: "loadbalance" },
          targets: [
            { overrideParams: { model: "@groq-main/llama-3.3-70b-versatile" }, weight: 1 },
            {
              provider: "ollama",
              apiKey: "dummy-key-not-needed",
              customHost: "http://ollama:11434",
              overrideParams: { model: "llama3" },
              weight: 1,
            },
          ],
        },
        {
          provider: "bedrock",
          aws_access_key_id: "AKIAIOSFODNN7EXAMPLE",
          aws_secret_access_key: "wJalrXUtnFEMIK7MDENGbPxRfiCY",
          aws_region: "eu-central-1",
          override_params: { model: "anthropic.claude-3-5-sonnet-20241022-v2:0" },
        },
      ],
    }),
    secrets: ["wJalrXUtnFEMIK7MDENGbPxRfiCY", "AKIAIOSFODNN7EXAMPLE"],
    says: ["Changed targets[0].strategy.mode: nested targets became one list"],
    want: [
      "LLMProvider groq: OpenAICompatible/Groq llama-3.3-70b-versatile credentials={secretRef:{name:groq}}",
      "LLMProvider ollama: OpenAICompatible/Ollama llama3 endpoint=http://ollama:11434/v1 allowPrivateEndpoint=true",
      "LLMProvider bedrock: Bedrock anthropic.claude-3-5-sonnet-20241022-v2:0 credentials={secretRef:{name:bedrock}} options={region:eu-central-1}",
      "RoutingPolicy team-chat: {pathPrefix:/team-chat} Priority groq/llama-3.3-70b-versatile#1 ollama/llama3#2 bedrock/anthropic.claude-3-5-sonnet-20241022-v2:0#3 fallbackOn=[RateLimited,Unavailable,Timeout,ServerError,Unauthorized]",
      "Secret groq: apiKey=$GROQ_API_KEY",
      "Secret bedrock: accessKeyId=*** secretAccessKey=***",
    ],
  },
  {
    title: "what the API returns, conditions, and targets that can't be known",
    source,
    files: file({
      success: true,
      data: {
        name: "Premium Users",
        slug: "pc-premium-1",
        config: {
          strategy: {
            mode: "conditional",
            conditions: [JSON.parse('{"query": {"metadata.plan": {"$eq": "paid"}}, "then": "big"}')],
            default: "small",
          },
          input_guardrails: [{ "default.contains": { operator: "none", words: ["secret"] }, deny: true }],
          targets: [
            { name: "big", provider: "openai", override_params: { model: "gpt-4o" } },
            { name: "small", provider: "openai", override_params: { model: "gpt-4o-mini" } },
            { name: "odd", virtual_key: "main-258f4d" },
          ],
        },
      },
    }),
    says: [
      "Changed data.config.strategy.mode: the first target that works answers",
      "NotImported data.config.targets[2].virtual_key: provider, virtual_key and model don't identify the provider",
      "NotImported data.config.strategy.default: no counterpart is known",
    ],
    want: [
      "LLMProvider openai: OpenAI gpt-4o gpt-4o-mini credentials={secretRef:{name:openai}}",
      "RoutingPolicy pc-premium-1: {pathPrefix:/pc-premium-1} Priority openai/gpt-4o#1 openai/gpt-4o-mini#2",
      "Secret openai: apiKey=$OPENAI_API_KEY",
    ],
  },
  {
    title: "a single provider without targets",
    source,
    files: file({
      provider: "mistral-ai",
      api_key: "env.MISTRAL_API_KEY",
      override_params: { model: "mistral-large-latest", max_tokens: 256 },
    }),
    want: [
      "LLMProvider mistral: Mistral mistral-large-latest credentials={secretRef:{name:mistral}}",
      "RoutingPolicy team-chat: {pathPrefix:/team-chat} Priority mistral/mistral-large-latest request={overrides:{max_tokens:256}}",
      "Secret mistral: apiKey=$MISTRAL_API_KEY",
    ],
  },
];

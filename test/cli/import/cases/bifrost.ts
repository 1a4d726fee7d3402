/** Our own texts, with the settings and values that public configurations of Bifrost have. */
import type { ImportCase } from "../check.ts";

const source = "bifrost";
const file = (config: unknown): Record<string, string> => ({ "config.json": JSON.stringify(config, null, 2) });
const secretKey = "sk-bf-0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";

export const cases: readonly ImportCase[] = [
  {
    title: "two keys of one provider by weight, and another provider with one of the models",
    source,
    files: file({
      $schema: "https://www.getbifrost.ai/schema",
      client: { enable_logging: false, initial_pool_size: 5000 },
      providers: {
        openai: {
          keys: [
            { name: "main", value: "env.OPENAI_API_KEY", models: ["gpt-4o", "gpt-4o-mini"], weight: 0.7 },
            { name: "second", value: "sk-live-0a1b2c3d4e5f6a7b8c", models: ["gpt-4o"], weight: 0.3 },
          ],
          network_config: {
            default_request_timeout_in_seconds: 30,
            max_retries: 2,
            retry_backoff_initial: 500,
            retry_backoff_max: 5000,
          },
          concurrency_and_buffer_size: { concurrency: 3, buffer_size: 10 },
        },
        openrouter: { keys: [{ name: "or", value: "env.OPENROUTER_API_KEY", models: ["gpt-4o", "*"], weight: 1 }] },
      },
    }),
    secrets: ["sk-live-0a1b2c3d4e5f6a7b8c"],
    says: [
      "NotImported providers.openrouter.keys[0].models[1]: an LLMProvider lists its models",
      "NotImported client: Helm values set up the proxies",
    ],
    want: [
      "LLMProvider openai: OpenAI gpt-4o gpt-4o-mini credentials={secretRef:{name:openai}} timeouts={response:30s,firstToken:30s} retry={attempts:3,initialDelay:500ms,maxDelay:5s}",
      "LLMProvider openai-2: OpenAI gpt-4o credentials={secretRef:{name:openai-2}} timeouts={response:30s,firstToken:30s} retry={attempts:3,initialDelay:500ms,maxDelay:5s}",
      "LLMProvider openrouter: OpenAICompatible/OpenRouter gpt-4o credentials={secretRef:{name:openrouter}}",
      "RoutingPolicy openai-gpt-4o: {models:[openai/gpt-4o]} Weighted openai/gpt-4o*700 openai-2/gpt-4o*300",
      "RoutingPolicy openai-gpt-4o-mini: {models:[openai/gpt-4o-mini,gpt-4o-mini]} Priority openai/gpt-4o-mini",
      "RoutingPolicy openrouter-gpt-4o: {models:[openrouter/gpt-4o]} Priority openrouter/gpt-4o",
      "Secret openai: apiKey=$OPENAI_API_KEY",
      "Secret openai-2: apiKey=***",
      "Secret openrouter: apiKey=$OPENROUTER_API_KEY",
    ],
  },
  {
    title: "clouds and local servers",
    source,
    files: file({
      providers: {
        azure: {
          keys: [
            {
              name: "a",
              value: "",
              models: ["gpt-4o"],
              weight: 1,
              azure_key_config: {
                endpoint: "env.AZURE_ENDPOINT",
                client_id: "env.AZURE_CLIENT_ID",
                client_secret: "env.AZURE_CLIENT_SECRET",
                tenant_id: "11111111-2222-3333-4444-555555555555",
                deployments: { "gpt-4o": "gpt-4o-deployment" },
                api_version: "2024-08-01-preview",
              },
            },
          ],
        },
        bedrock: {
          keys: [
            {
              name: "b",
              models: ["claude"],
              aliases: { claude: "anthropic.claude-3-5-sonnet-20241022-v2:0" },
              bedrock_key_config: { access_key: "env.AWS_KEY", secret_key: "env.AWS_SECRET", region: "eu-central-1" },
            },
          ],
        },
        vertex: {
          keys: [
            {
              name: "v",
              models: ["gemini-2.5-flash"],
              vertex_key_config: {
                project_id: "my-project-1",
                region: "europe-west4",
                auth_credentials: "env.VERTEX_CREDENTIALS",
              },
            },
          ],
        },
        ollama: {
          keys: [{ name: "o", value: "dummy", models: ["llama3"] }],
          network_config: { base_url: "http://ollama:11434" },
        },
        inhouse: {
          custom_provider_config: { base_provider_type: "openai" },
          keys: [{ name: "i", value: "env.IN_HOUSE", models: ["qwen3"] }],
          network_config: { base_url: "https://llm.example.com", stream_idle_timeout_in_seconds: 300 },
        },
      },
    }),
    says: [
      "Changed providers.azure.keys[0].azure_key_config.endpoint: set spec.endpoint: the variable AZURE_ENDPOINT is not set",
    ],
    want: [
      "LLMProvider azure-azure-endpoint: AzureOpenAI gpt-4o-deployment endpoint=https://azure-endpoint.invalid credentials={secretRef:{name:azure-azure-endpoint}} options={surface:Deployments,apiVersion:2024-08-01-preview,clientId:00000000-0000-0000-0000-000000000000,tenantId:11111111-2222-3333-4444-555555555555}",
      "LLMProvider bedrock: Bedrock anthropic.claude-3-5-sonnet-20241022-v2:0 credentials={secretRef:{name:bedrock}} options={region:eu-central-1}",
      "LLMProvider vertexai: VertexAI gemini-2.5-flash credentials={secretRef:{name:vertexai}} options={project:my-project-1,location:europe-west4}",
      "LLMProvider ollama: OpenAICompatible/Ollama llama3 endpoint=http://ollama:11434/v1 allowPrivateEndpoint=true",
      "LLMProvider inhouse: OpenAICompatible qwen3 endpoint=https://llm.example.com/v1 credentials={secretRef:{name:inhouse}} timeouts={idle:300s}",
      "RoutingPolicy azure-gpt-4o: {models:[azure/gpt-4o,gpt-4o]} Priority azure-azure-endpoint/gpt-4o-deployment",
      "RoutingPolicy bedrock-claude: {models:[bedrock/claude,claude]} Priority bedrock/anthropic.claude-3-5-sonnet-20241022-v2:0",
      "RoutingPolicy vertex-gemini-2.5-flash: {models:[vertex/gemini-2.5-flash,gemini-2.5-flash]} Priority vertexai/gemini-2.5-flash",
      "RoutingPolicy ollama-llama3: {models:[ollama/llama3,llama3]} Priority ollama/llama3",
      "RoutingPolicy inhouse-qwen3: {models:[inhouse/qwen3,qwen3]} Priority inhouse/qwen3",
      "Secret azure-azure-endpoint: clientSecret=$AZURE_CLIENT_SECRET",
      "Secret bedrock: accessKeyId=$AWS_KEY secretAccessKey=$AWS_SECRET",
      "Secret vertexai: serviceAccountJson=$VERTEX_CREDENTIALS",
      "Secret inhouse: apiKey=$IN_HOUSE",
    ],
  },
  {
    title: "virtual keys, teams, budgets and limits",
    source,
    files: file({
      providers: {
        anthropic: { keys: [{ name: "a", value: "env.ANTHROPIC_API_KEY", models: ["claude-sonnet-4-5"] }] },
      },
      governance: {
        budgets: [
          { id: "b1", max_limit: 10, reset_duration: "1d", current_usage: 2 },
          { id: "b2", max_limit: 500, reset_duration: "1M" },
        ],
        rate_limits: [
          {
            id: "r1",
            request_max_limit: 100,
            request_reset_duration: "1m",
            token_max_limit: 100000,
            token_reset_duration: "1h",
          },
        ],
        teams: [{ id: "t1", name: "Web Team", budget_id: "b2" }],
        virtual_keys: [
          {
            id: "v1",
            name: "web",
            value: secretKey,
            is_active: true,
            team_id: "t1",
            budget_id: "b1",
            rate_limit_id: "r1",
            provider_configs: [{ provider: "anthropic", weight: 1, allowed_models: ["claude-sonnet-4-5"] }],
          },
          {
            id: "v2",
            name: "old",
            value: "vk-short",
            is_active: false,
            provider_configs: [{ provider: "anthropic", allowed_models: ["*"] }],
          },
        ],
      },
      mcp: { client_configs: [{ name: "files", connection_string: "http://mcp?token=tok-secret-99887766" }] },
    }),
    secrets: [secretKey, "tok-secret-99887766"],
    says: [
      "Changed governance.virtual_keys[1].value: the ApiKey gets a new key",
      "NotImported mcp: only calls of models are served",
    ],
    want: [
      "LLMProvider anthropic: Anthropic claude-sonnet-4-5 credentials={secretRef:{name:anthropic}}",
      "RoutingPolicy anthropic-claude-sonnet-4-5: {models:[anthropic/claude-sonnet-4-5,claude-sonnet-4-5]} Priority anthropic/claude-sonnet-4-5",
      "ApiKey web: user=web team=Web-Team models=[anthropic/claude-sonnet-4-5,claude-sonnet-4-5] limits=[{requests:100,window:60s},{tokens:100000,window:3600s}] writeTo={name:web-llm-key}",
      "Budget key-web: amount=10 period=Daily scope={apiKeys:[web]}",
      "ApiKey old: user=old models=[anthropic/claude-sonnet-4-5,claude-sonnet-4-5] revoked=true writeTo={name:old-llm-key}",
      "Budget team-web-team: amount=500 period=Monthly scope={teams:[Web-Team]}",
      "Secret anthropic: apiKey=$ANTHROPIC_API_KEY",
      "Secret web-llm-key: apiKey=***",
    ],
  },
  {
    title: "providers that can't be imported",
    source,
    files: file({
      providers: {
        teapot: { keys: [{ name: "t", value: "x", models: ["earl-grey"] }] },
        groq: { keys: [{ name: "g", value: "env.GROQ_API_KEY", models: ["*"] }] },
      },
    }),
    says: [
      "NotImported providers.teapot.keys[0].name: the provider is not known",
      "NotImported providers.groq.keys[0].name: an LLMProvider lists its models",
    ],
    want: [],
  },
];

/** Our own texts, with the settings and values that public configurations of LiteLLM have. */
import type { ImportCase } from "../check.ts";

const source = "litellm";

export const cases: readonly ImportCase[] = [
  {
    title: "one model, its key in a variable",
    source,
    files: {
      "config.yaml": `
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: openai/gpt-4o
      api_key: os.environ/OPENAI_API_KEY
`,
    },
    want: [
      "LLMProvider openai: OpenAI gpt-4o credentials={secretRef:{name:openai}}",
      "RoutingPolicy gpt-4o: {models:[gpt-4o]} Priority openai/gpt-4o",
      "Secret openai: apiKey=$OPENAI_API_KEY",
    ],
  },
  {
    title: "two Azure deployments by rpm, and a key that only the environment has",
    source,
    files: {
      "config.yaml": `
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o-eu
      api_base: https://contoso-eu.openai.azure.com/
      api_key: "os.environ/AZURE_API_KEY_EU"
      api_version: "2024-05-01-preview"
      rpm: 6
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o-ca
      api_base: https://contoso-ca.openai.azure.com/openai/deployments/gpt-4o-ca
      api_key: os.environ/AZURE_API_KEY_CA
      api_version: latest
      rpm: 1440
    model_info:
      base_model: azure/gpt-4o-2024-08-06
  - model_name: gpt-4o-mini
    litellm_params:
      model: gpt-4o-mini
router_settings:
  routing_strategy: simple-shuffle
  model_group_alias: {"gpt-4": "gpt-4o"}
  num_retries: 2
  timeout: 30
  redis_host: redis.example.com
  redis_password: hunter2-and-more
  redis_port: 1992
`,
    },
    secrets: ["hunter2-and-more"],
    says: [
      "Changed model_list[1].litellm_params.api_version: calls go to /openai/v1",
      "its key is in the variable OPENAI_API_KEY",
      "Changed router_settings.redis_password: set Helm's state.url",
    ],
    want: [
      "LLMProvider azure-contoso-eu: AzureOpenAI gpt-4o-eu{quota:{requestsPerMinute:6}} endpoint=https://contoso-eu.openai.azure.com credentials={secretRef:{name:azure-contoso-eu}} options={surface:Deployments,apiVersion:2024-05-01-preview} timeouts={response:30s,firstToken:30s} retry={attempts:3}",
      "LLMProvider azure-contoso-ca: AzureOpenAI gpt-4o-ca{priceAs:gpt-4o-2024-08-06,quota:{requestsPerMinute:1440}} endpoint=https://contoso-ca.openai.azure.com credentials={secretRef:{name:azure-contoso-ca}} timeouts={response:30s,firstToken:30s} retry={attempts:3}",
      "LLMProvider openai: OpenAI gpt-4o-mini credentials={secretRef:{name:openai}} timeouts={response:30s,firstToken:30s} retry={attempts:3}",
      "RoutingPolicy gpt-4o: {models:[gpt-4o,gpt-4]} Weighted azure-contoso-eu/gpt-4o-eu*6 azure-contoso-ca/gpt-4o-ca*1440",
      "RoutingPolicy gpt-4o-mini: {models:[gpt-4o-mini]} Priority openai/gpt-4o-mini",
      "Secret azure-contoso-eu: apiKey=$AZURE_API_KEY_EU",
      "Secret azure-contoso-ca: apiKey=$AZURE_API_KEY_CA",
      "Secret openai: apiKey=$OPENAI_API_KEY",
    ],
  },
  {
    title: "tiers from local to cloud with fallbacks of both kinds",
    source,
    files: {
      "config.yaml": `
model_list:
  - model_name: fast-local
    litellm_params: { model: ollama/qwen3:8b, api_base: "http://localhost:11434", rpm: 60, timeout: 30 }
  - model_name: smart-local
    litellm_params: { model: ollama/qwen3:32b, api_base: "http://localhost:11434", rpm: 30, timeout: 120 }
  - model_name: cloud-fallback
    litellm_params: { model: openai/gpt-4o-mini, api_key: os.environ/OPENAI_API_KEY, rpm: 200, timeout: 60 }
  - model_name: cloud-heavy
    litellm_params: { model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY, rpm: 60, timeout: 180 }
router_settings:
  routing_strategy: usage-based-routing
  num_retries: 2
  timeout: 30
  allowed_fails: 3
  cooldown_time: 60
litellm_settings:
  fallbacks:
    - fast-local: ["smart-local", "cloud-fallback"]
    - smart-local: ["cloud-fallback"]
    - cloud-fallback: ["cloud-heavy"]
  context_window_fallbacks:
    - fast-local: ["smart-local", "cloud-heavy"]
  num_retries: 2
  request_timeout: 30
`,
    },
    says: [
      "NotImported litellm_settings.request_timeout: the value of router_settings.timeout takes precedence",
      "Changed router_settings.routing_strategy: routing.strategy of each policy with several deployments; usage isn't compared",
    ],
    want: [
      "LLMProvider ollama: OpenAICompatible/Ollama qwen3:8b{quota:{requestsPerMinute:60}} endpoint=http://localhost:11434/v1 allowPrivateEndpoint=true timeouts={response:30s,firstToken:30s} retry={attempts:3} circuitBreaker={failureThreshold:4,openFor:60s}",
      "LLMProvider ollama-2: OpenAICompatible/Ollama qwen3:32b{quota:{requestsPerMinute:30}} endpoint=http://localhost:11434/v1 allowPrivateEndpoint=true timeouts={response:120s,firstToken:120s} retry={attempts:3} circuitBreaker={failureThreshold:4,openFor:60s}",
      "LLMProvider openai: OpenAI gpt-4o-mini{quota:{requestsPerMinute:200}} credentials={secretRef:{name:openai}} timeouts={response:60s,firstToken:60s} retry={attempts:3} circuitBreaker={failureThreshold:4,openFor:60s}",
      "LLMProvider openai-2: OpenAI gpt-4o{quota:{requestsPerMinute:60}} credentials={secretRef:{name:openai}} timeouts={response:180s,firstToken:180s} retry={attempts:3} circuitBreaker={failureThreshold:4,openFor:60s}",
      "RoutingPolicy fast-local: {models:[fast-local]} Priority ollama/qwen3:8b#1 ollama-2/qwen3:32b#2 openai/gpt-4o-mini#3 openai-2/gpt-4o#4 fallbackOn=[RateLimited,Unavailable,Timeout,ServerError,Unauthorized,ContextLength]",
      "RoutingPolicy smart-local: {models:[smart-local]} Priority ollama-2/qwen3:32b#1 openai/gpt-4o-mini#2 openai-2/gpt-4o#3 fallbackOn=[RateLimited,Unavailable,Timeout,ServerError,Unauthorized]",
      "RoutingPolicy cloud-fallback: {models:[cloud-fallback]} Priority openai/gpt-4o-mini#1 openai-2/gpt-4o#2 fallbackOn=[RateLimited,Unavailable,Timeout,ServerError,Unauthorized]",
      "RoutingPolicy cloud-heavy: {models:[cloud-heavy]} Priority openai-2/gpt-4o",
      "Secret openai: apiKey=$OPENAI_API_KEY",
    ],
  },
  {
    title: "names of OpenAI's models served by Ollama, with parameters",
    source,
    files: {
      "config.yaml": `
model_list:
  - model_name: gpt-4
    litellm_params:
      model: ollama/llama2
  - model_name: gpt-3.5-turbo
    litellm_params:
      model: ollama/llama2
      temperature: 0.1
      max_tokens: 20
`,
    },
    want: [
      "LLMProvider ollama: OpenAICompatible/Ollama llama2 endpoint=http://localhost:11434/v1 allowPrivateEndpoint=true",
      "RoutingPolicy gpt-4: {models:[gpt-4]} Priority ollama/llama2",
      "RoutingPolicy gpt-3.5-turbo: {models:[gpt-3.5-turbo]} Priority ollama/llama2 request={defaults:{temperature:0.1,max_tokens:20}}",
    ],
  },
  {
    title: "Azure with short time limits and tpm",
    source,
    files: {
      "azure.yaml": `
model_list:
  - model_name: team1
    litellm_params:
      model: azure/chatgpt-v-2
      api_base: https://llm-test-1.openai.azure.com/
      api_version: "2023-05-15"
      api_key: os.environ/AZURE_API_KEY
      tpm: 20_000
      timeout: 5
      stream_timeout: 0.5
      max_retries: 4
`,
    },
    want: [
      "LLMProvider azure-llm-test-1: AzureOpenAI chatgpt-v-2{quota:{tokensPerMinute:20000}} endpoint=https://llm-test-1.openai.azure.com credentials={secretRef:{name:azure-llm-test-1}} options={surface:Deployments,apiVersion:2023-05-15} timeouts={response:5s,firstToken:500ms} retry={attempts:5}",
      "RoutingPolicy team1: {models:[team1]} Priority azure-llm-test-1/chatgpt-v-2",
      "Secret azure-llm-test-1: apiKey=$AZURE_API_KEY",
    ],
  },
  {
    title: "Bedrock with keys, with a role, and with the proxy's own identity",
    source,
    files: {
      "config.yaml": `
model_list:
  - model_name: claude
    litellm_params:
      model: bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0
      aws_access_key_id: os.environ/AWS_ACCESS_KEY_ID
      aws_secret_access_key: os.environ/AWS_SECRET_ACCESS_KEY
      aws_region_name: us-west-2
  - model_name: claude
    litellm_params:
      model: bedrock/converse/anthropic.claude-3-5-sonnet-20241022-v2:0
      aws_role_name: arn:aws:iam::123456789012:role/llm
      aws_session_name: litellm
      aws_region_name: os.environ/AWS_REGION
  - model_name: nova
    litellm_params: { model: bedrock/eu-central-1/amazon.nova-pro-v1:0 }
`,
    },
    env: { AWS_REGION: "eu-west-1" },
    want: [
      "LLMProvider bedrock: Bedrock us.anthropic.claude-sonnet-4-5-20250929-v1:0 credentials={secretRef:{name:bedrock}} options={region:us-west-2}",
      "LLMProvider bedrock-2: Bedrock anthropic.claude-3-5-sonnet-20241022-v2:0 credentials={workloadIdentity:{aws:{roleArn:arn:aws:iam::123456789012:role/llm}}} options={region:eu-west-1}",
      "LLMProvider bedrock-3: Bedrock amazon.nova-pro-v1:0 credentials={workloadIdentity:{aws:{}}} options={region:eu-central-1}",
      "RoutingPolicy claude: {models:[claude]} Weighted bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0*1 bedrock-2/anthropic.claude-3-5-sonnet-20241022-v2:0*1",
      "RoutingPolicy nova: {models:[nova]} Priority bedrock-3/amazon.nova-pro-v1:0",
      "Secret bedrock: accessKeyId=$AWS_ACCESS_KEY_ID secretAccessKey=$AWS_SECRET_ACCESS_KEY",
    ],
  },
  {
    title: "Vertex AI: a file of credentials, a variable of a project, and none",
    source,
    files: {
      "config.yaml": `
model_list:
  - model_name: gemini-2.5-pro
    litellm_params:
      model: vertex_ai/gemini-2.5-pro
      vertex_project: my-project-1
      vertex_location: us-central1
      vertex_credentials: /etc/gcp/sa.json
  - model_name: gemini-2.5-pro
    litellm_params:
      model: vertex_ai/gemini-2.5-pro
      vertex_project: my-project-1
      vertex_location: europe-west4
      vertex_credentials: /etc/gcp/sa.json
  - model_name: claude-sonnet
    litellm_params: { model: vertex_ai/claude-sonnet-4-5, vertex_project: os.environ/VERTEX_PROJECT, vertex_location: us-east5 }
router_settings: { routing_strategy: latency-based-routing, routing_strategy_args: { ttl: 60 } }
`,
    },
    says: [
      "kubectl create secret generic vertexai --from-file=serviceAccountJson=FILE",
      "Changed model_list[2].litellm_params.vertex_project: set spec.options.project: the variable VERTEX_PROJECT is not set",
    ],
    want: [
      "LLMProvider vertexai: VertexAI gemini-2.5-pro credentials={secretRef:{name:vertexai}} options={project:my-project-1,location:us-central1}",
      "LLMProvider vertexai-2: VertexAI gemini-2.5-pro credentials={secretRef:{name:vertexai}} options={project:my-project-1,location:europe-west4}",
      "LLMProvider vertexai-3: VertexAI claude-sonnet-4-5 credentials={workloadIdentity:{google:{}}} options={project:my-project,location:us-east5}",
      "RoutingPolicy gemini-2.5-pro: {models:[gemini-2.5-pro]} LeastLatency vertexai/gemini-2.5-pro vertexai-2/gemini-2.5-pro",
      "RoutingPolicy claude-sonnet: {models:[claude-sonnet]} Priority vertexai-3/claude-sonnet-4-5",
      "Secret vertexai: serviceAccountJson=?",
    ],
  },
  {
    title: "prices by token and the cheapest first",
    source,
    files: {
      "config.yaml": `
model_list:
  - model_name: claude-any
    litellm_params:
      model: anthropic/claude-sonnet-4-5
      api_key: os.environ/ANTHROPIC_API_KEY
      input_cost_per_token: 0.000003
      output_cost_per_token: 0.000015
  - model_name: claude-any
    litellm_params:
      model: bedrock/anthropic.claude-3-5-sonnet-20241022-v2:0
      input_cost_per_token: 0.0000024
      output_cost_per_token: 0.000012
router_settings: { routing_strategy: cost-based-routing }
`,
    },
    want: [
      "LLMProvider anthropic: Anthropic claude-sonnet-4-5{price:{inputPerMillion:3,outputPerMillion:15}} credentials={secretRef:{name:anthropic}}",
      "LLMProvider bedrock: Bedrock anthropic.claude-3-5-sonnet-20241022-v2:0{price:{inputPerMillion:2.4,outputPerMillion:12}} credentials={workloadIdentity:{aws:{}}} options={region:us-east-1}",
      "RoutingPolicy claude-any: {models:[claude-any]} LeastCost anthropic/claude-sonnet-4-5 bedrock/anthropic.claude-3-5-sonnet-20241022-v2:0",
      "Secret anthropic: apiKey=$ANTHROPIC_API_KEY",
    ],
  },
  {
    title: "budgets of providers, models, tags and all calls, with Slack",
    source,
    files: {
      "config.yaml": `
model_list:
  - model_name: gpt-4o
    litellm_params: { model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY, max_budget: 10.0, budget_duration: 1d }
  - model_name: claude
    litellm_params: { model: anthropic/claude-sonnet-4-5, api_key: os.environ/ANTHROPIC_API_KEY }
general_settings:
  master_key: sk-hive-master-2024
  database_url: postgresql://llm:very-secret-word@db/litellm
  alerting: ["slack"]
  proxy_batch_write_at: 60
litellm_settings:
  max_budget: 500
  budget_duration: 30d
  max_internal_user_budget: 5
  internal_user_budget_duration: 24h
  tag_budget_config:
    "product:chat-bot": { max_budget: 50.0, budget_duration: 10d }
router_settings:
  provider_budget_config:
    openai: { budget_limit: 100.0, time_period: 1d }
    anthropic: { budget_limit: 300.0, time_period: 90d }
    mistral: { budget_limit: 1, time_period: 1d }
`,
    },
    secrets: ["sk-hive-master-2024", "very-secret-word"],
    says: [
      "Changed general_settings.master_key: ApiKey litellm-master gets a new key",
      "NotImported router_settings.provider_budget_config.mistral: no LLMProvider of mistral was imported",
      "10d became the next longer period",
      "90d became a month with its share of the amount",
    ],
    want: [
      "LLMProvider openai: OpenAI gpt-4o credentials={secretRef:{name:openai}}",
      "LLMProvider anthropic: Anthropic claude-sonnet-4-5 credentials={secretRef:{name:anthropic}}",
      "RoutingPolicy gpt-4o: {models:[gpt-4o]} Priority openai/gpt-4o",
      "RoutingPolicy claude: {models:[claude]} Priority anthropic/claude-sonnet-4-5",
      "Budget all-calls: amount=500 period=Monthly alerts=[{slack:{secretRef:{name:litellm-alerts,key:slackWebhook}}}]",
      "Budget each-user: amount=5 period=Daily per=User alerts=[{slack:{secretRef:{name:litellm-alerts,key:slackWebhook}}}]",
      "Budget provider-openai: amount=100 period=Daily scope={providers:[openai]} alerts=[{slack:{secretRef:{name:litellm-alerts,key:slackWebhook}}}]",
      "Budget provider-anthropic: amount=100 period=Monthly scope={providers:[anthropic]} alerts=[{slack:{secretRef:{name:litellm-alerts,key:slackWebhook}}}]",
      "Budget tag-product-chat-bot: amount=50 period=Monthly scope={tags:[product:chat-bot]} alerts=[{slack:{secretRef:{name:litellm-alerts,key:slackWebhook}}}]",
      "Budget model-gpt-4o: amount=10 period=Daily scope={models:[gpt-4o]} alerts=[{slack:{secretRef:{name:litellm-alerts,key:slackWebhook}}}]",
      "ApiKey litellm-master: user=litellm-master role=admin writeTo={name:litellm-master-key}",
      "Secret openai: apiKey=$OPENAI_API_KEY",
      "Secret anthropic: apiKey=$ANTHROPIC_API_KEY",
      "Secret litellm-alerts: slackWebhook=$SLACK_WEBHOOK_URL",
    ],
  },
  {
    title: "keys in clear text",
    source,
    files: {
      "config.yaml": `
environment_variables:
  GROQ_API_KEY: gsk_2b7f1c9d8e4a6f3b5c7d
model_list:
  - model_name: llama
    litellm_params: { model: groq/llama-3.3-70b-versatile, api_key: os.environ/GROQ_API_KEY }
  - model_name: gpt-4o
    litellm_params: { model: gpt-4o, api_key: sk-proj-3f9a2c7e1b5d8f4a6c }
  - model_name: local
    litellm_params: { model: openai/my-model, api_base: "http://vllm.models.svc:8000/v1", api_key: none }
general_settings:
  master_key: sk-5e8d1f4b7a2c9e6d3f0b8a5c
`,
    },
    secrets: ["gsk_2b7f1c9d8e4a6f3b5c7d", "sk-proj-3f9a2c7e1b5d8f4a6c", "sk-5e8d1f4b7a2c9e6d3f0b8a5c"],
    says: [
      "Secret environment_variables.GROQ_API_KEY: clear value moved",
      "Secret general_settings.master_key: clear value moved to Secret litellm-master-key, key apiKey",
    ],
    want: [
      "LLMProvider groq: OpenAICompatible/Groq llama-3.3-70b-versatile credentials={secretRef:{name:groq}}",
      "LLMProvider openai: OpenAI gpt-4o credentials={secretRef:{name:openai}}",
      "LLMProvider vllm: OpenAICompatible my-model endpoint=http://vllm.models.svc:8000/v1 allowPrivateEndpoint=true",
      "RoutingPolicy llama: {models:[llama]} Priority groq/llama-3.3-70b-versatile",
      "RoutingPolicy gpt-4o: {models:[gpt-4o]} Priority openai/gpt-4o",
      "RoutingPolicy local: {models:[local]} Priority vllm/my-model",
      "ApiKey litellm-master: user=litellm-master role=admin writeTo={name:litellm-master-key}",
      "Secret groq: apiKey=***",
      "Secret openai: apiKey=***",
      "Secret litellm-master-key: apiKey=***",
    ],
  },
  {
    title: "a named credential, and an address that only a variable has",
    source,
    files: {
      "config.yaml": `
model_list:
  - model_name: gpt-4o-mini
    litellm_params: { model: azure/gpt-4o-mini, litellm_credential_name: azure_default, rpm: 6 }
    model_info: { supported_environments: [production] }
  - model_name: gpt-4o
    litellm_params: { model: azure/gpt-4o, litellm_credential_name: azure_default }
credential_list:
  - credential_name: azure_default
    credential_values: { api_key: os.environ/AZURE_API_KEY, api_base: os.environ/AZURE_API_BASE, api_version: "2024-10-21" }
    credential_info: { description: for all }
`,
    },
    says: ["https://azure-api-base.invalid stands for it"],
    want: [
      "LLMProvider azure-azure-api-base: AzureOpenAI gpt-4o-mini{quota:{requestsPerMinute:6}} gpt-4o endpoint=https://azure-api-base.invalid credentials={secretRef:{name:azure-azure-api-base}} options={surface:Deployments,apiVersion:2024-10-21}",
      "RoutingPolicy gpt-4o-mini: {models:[gpt-4o-mini]} Priority azure-azure-api-base/gpt-4o-mini",
      "RoutingPolicy gpt-4o: {models:[gpt-4o]} Priority azure-azure-api-base/gpt-4o",
      "Secret azure-azure-api-base: apiKey=$AZURE_API_KEY",
    ],
  },
  {
    title: "wildcards and what has no counterpart",
    source,
    files: {
      "config.yaml": `
model_list:
  - model_name: "*"
    litellm_params: { model: openai/*, api_key: os.environ/OPENAI_API_KEY }
  - model_name: "anthropic/*"
    litellm_params: { model: "anthropic/*", api_key: os.environ/ANTHROPIC_API_KEY }
  - model_name: dall-e
    litellm_params: { model: openai/dall-e-3, api_key: os.environ/OPENAI_API_KEY }
    model_info: { mode: image_generation }
  - model_name: odd
    litellm_params: { model: replicate/meta/llama-2-70b-chat }
  - model_name: ranks
    litellm_params: { model: anthropic/claude-sonnet-4-5, api_key: os.environ/ANTHROPIC_API_KEY }
    model_info: { mode: rerank }
  - model_name: films
    litellm_params: { model: openai/sora-2, api_key: os.environ/OPENAI_API_KEY }
    model_info: { mode: video_generation }
  - model_name: gpt-5-mini
    litellm_params: { model: gpt-5-mini, region_name: eu }
    model_info: { id: "1" }
litellm_settings:
  drop_params: true
  telemetry: false
  default_team_settings:
    - team_id: team-1
      success_callback: ["langfuse"]
      langfuse_secret: os.environ/LANGFUSE_SECRET
finetune_settings:
  - custom_llm_provider: azure
    api_key: os.environ/AZURE_API_KEY
mcp_servers: { github: { url: "https://mcp.example.com", auth_value: top-secret-value } }
`,
    },
    secrets: ["top-secret-value"],
    says: [
      "NotImported model_list[0]: an LLMProvider lists its models",
      "NotImported model_list[4]: mode rerank: calls of such models are not served by type Anthropic",
      "NotImported model_list[5]: calls of mode video_generation aren't served",
      "NotImported model_list[3]: the service replicate is not known",
      "NotImported mcp_servers: only calls of models are served",
    ],
    want: [
      "LLMProvider openai: OpenAI dall-e-3 gpt-5-mini credentials={secretRef:{name:openai}}",
      "RoutingPolicy dall-e: {models:[dall-e]} Priority openai/dall-e-3",
      "RoutingPolicy gpt-5-mini: {models:[gpt-5-mini]} Priority openai/gpt-5-mini",
      "Secret openai: apiKey=$OPENAI_API_KEY",
    ],
  },
  {
    title: "masking and filters",
    source,
    files: {
      "config.yaml": `
model_list:
  - model_name: gpt-4o
    litellm_params: { model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY }
guardrails:
  - guardrail_name: pii
    litellm_params:
      guardrail: presidio
      mode: [pre_call, post_call]
      default_on: true
      output_parse_pii: true
      pii_entities_config: { EMAIL_ADDRESS: MASK, CREDIT_CARD: BLOCK, PERSON: MASK }
  - guardrail_name: words
    litellm_params:
      guardrail: litellm_content_filter
      mode: pre_call
      default_on: true
      patterns:
        - { pattern_type: prebuilt, pattern_name: us_ssn, action: BLOCK }
        - { pattern_type: regex, name: employee id, pattern: "EMP-[0-9]{6}", action: MASK }
        - { pattern_type: regex, name: look, pattern: "(?=secret)", action: BLOCK }
      blocked_words:
        - { keyword: "project x+y", action: BLOCK }
  - guardrail_name: lakera
    litellm_params: { guardrail: lakera_v2, mode: pre_call, api_key: os.environ/LAKERA_API_KEY, default_on: true }
  - guardrail_name: on-demand
    litellm_params: { guardrail: presidio, mode: pre_call }
`,
    },
    says: [
      "NotImported guardrails[0].litellm_params.pii_entities_config.PERSON",
      "such texts are masked and not refused",
      "it is not a pattern of RE2",
      "NotImported guardrails[3]: it applies to calls that ask for it",
    ],
    want: [
      "LLMProvider openai: OpenAI gpt-4o credentials={secretRef:{name:openai}}",
      "RoutingPolicy gpt-4o: {models:[gpt-4o]} Priority openai/gpt-4o guard={deny:[(?i)\\bproject x\\+y\\b],mask:{detect:[Email,CreditCard,SSN],custom:[{name:EmployeeId,pattern:EMP-[0-9]{6}}],mode:Placeholder,answers:true}}",
      "Secret openai: apiKey=$OPENAI_API_KEY",
    ],
  },
  {
    title: "a cache by meaning",
    source,
    files: {
      "config.yaml": `
model_list:
  - model_name: gpt-4o
    litellm_params: { model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY }
  - model_name: openai-embedding
    litellm_params: { model: openai/text-embedding-3-small, api_key: os.environ/OPENAI_API_KEY }
litellm_settings:
  cache: true
  cache_params:
    type: qdrant-semantic
    qdrant_semantic_cache_embedding_model: openai-embedding
    qdrant_collection_name: llm
    similarity_threshold: 0.88
    ttl: 600
  success_callback: ["prometheus", "otel"]
`,
    },
    want: [
      "LLMProvider openai: OpenAI gpt-4o text-embedding-3-small credentials={secretRef:{name:openai}}",
      "RoutingPolicy gpt-4o: {models:[gpt-4o]} Priority openai/gpt-4o cache={ttl:600s,semantic:{embeddings:{provider:{name:openai},model:text-embedding-3-small},threshold:0.88}}",
      "RoutingPolicy openai-embedding: {models:[openai-embedding]} Priority openai/text-embedding-3-small cache={ttl:600s,semantic:{embeddings:{provider:{name:openai},model:text-embedding-3-small},threshold:0.88}}",
      "Secret openai: apiKey=$OPENAI_API_KEY",
    ],
  },
  {
    title: "services of many kinds",
    source,
    files: {
      "config.yaml": `
model_list:
  - { model_name: deepseek, litellm_params: { model: deepseek/deepseek-chat } }
  - { model_name: router, litellm_params: { model: openrouter/anthropic/claude-sonnet-4.5, api_key: os.environ/OPENROUTER_API_KEY } }
  - { model_name: together, litellm_params: { model: together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo } }
  - { model_name: vllm, litellm_params: { model: hosted_vllm/Qwen/Qwen3-32B, api_base: "http://gpu_box:8000/v1" } }
  - { model_name: gemini, litellm_params: { model: gemini/gemini-2.5-flash } }
  - { model_name: mistral, litellm_params: { model: mistral/mistral-large-latest } }
  - { model_name: command, litellm_params: { model: cohere_chat/command-a-03-2025 } }
  - { model_name: granite, litellm_params: { model: watsonx/ibm/granite-3-8b-instruct, project_id: 11111111-2222-3333-4444-555555555555, api_base: "https://eu-de.ml.cloud.ibm.com" } }
  - { model_name: infra, litellm_params: { model: deepinfra/Qwen/Qwen3-32B } }
  - { model_name: foundry, litellm_params: { model: azure_ai/claude-sonnet-4-5, api_base: "https://contoso.services.ai.azure.com/anthropic", api_key: os.environ/AZURE_AI_API_KEY } }
  - { model_name: proxy, litellm_params: { model: litellm_proxy/gpt-4o, api_base: "https://litellm.example.com", api_key: os.environ/OTHER_KEY } }
  - { model_name: sf, litellm_params: { model: siliconflow/Qwen/Qwen2.5-72B-Instruct, api_base: "https://api.siliconflow.cn/v1", api_key: os.environ/SF_KEY } }
`,
    },
    says: ["_ in the host became -", "the service is treated as an OpenAI-compatible server"],
    want: [
      "LLMProvider deepseek: OpenAICompatible/DeepSeek deepseek-chat credentials={secretRef:{name:deepseek}}",
      "LLMProvider openrouter: OpenAICompatible/OpenRouter anthropic/claude-sonnet-4.5 credentials={secretRef:{name:openrouter}}",
      "LLMProvider together: OpenAICompatible/Together meta-llama/Llama-3.3-70B-Instruct-Turbo credentials={secretRef:{name:together}}",
      "LLMProvider vllm: OpenAICompatible/VLLM Qwen/Qwen3-32B endpoint=http://gpu-box:8000/v1 allowPrivateEndpoint=true",
      "LLMProvider gemini: Gemini gemini-2.5-flash credentials={secretRef:{name:gemini}}",
      "LLMProvider mistral: Mistral mistral-large-latest credentials={secretRef:{name:mistral}}",
      "LLMProvider cohere: Cohere command-a-03-2025 credentials={secretRef:{name:cohere}}",
      "LLMProvider watsonx: Watsonx ibm/granite-3-8b-instruct endpoint=https://eu-de.ml.cloud.ibm.com credentials={secretRef:{name:watsonx}} options={projectId:11111111-2222-3333-4444-555555555555}",
      "LLMProvider deepinfra: OpenAICompatible Qwen/Qwen3-32B endpoint=https://api.deepinfra.com/v1/openai credentials={secretRef:{name:deepinfra}}",
      "LLMProvider azure-contoso: AzureAIFoundry claude-sonnet-4-5 endpoint=https://contoso.services.ai.azure.com credentials={secretRef:{name:azure-contoso}}",
      "LLMProvider litellm: OpenAICompatible gpt-4o endpoint=https://litellm.example.com credentials={secretRef:{name:litellm}}",
      "LLMProvider siliconflow: OpenAICompatible siliconflow/Qwen/Qwen2.5-72B-Instruct endpoint=https://api.siliconflow.cn/v1 credentials={secretRef:{name:siliconflow}}",
      "RoutingPolicy deepseek: {models:[deepseek]} Priority deepseek/deepseek-chat",
      "RoutingPolicy router: {models:[router]} Priority openrouter/anthropic/claude-sonnet-4.5",
      "RoutingPolicy together: {models:[together]} Priority together/meta-llama/Llama-3.3-70B-Instruct-Turbo",
      "RoutingPolicy vllm: {models:[vllm]} Priority vllm/Qwen/Qwen3-32B",
      "RoutingPolicy gemini: {models:[gemini]} Priority gemini/gemini-2.5-flash",
      "RoutingPolicy mistral: {models:[mistral]} Priority mistral/mistral-large-latest",
      "RoutingPolicy command: {models:[command]} Priority cohere/command-a-03-2025",
      "RoutingPolicy granite: {models:[granite]} Priority watsonx/ibm/granite-3-8b-instruct",
      "RoutingPolicy infra: {models:[infra]} Priority deepinfra/Qwen/Qwen3-32B",
      "RoutingPolicy foundry: {models:[foundry]} Priority azure-contoso/claude-sonnet-4-5",
      "RoutingPolicy proxy: {models:[proxy]} Priority litellm/gpt-4o",
      "RoutingPolicy sf: {models:[sf]} Priority siliconflow/siliconflow/Qwen/Qwen2.5-72B-Instruct",
      "Secret deepseek: apiKey=$DEEPSEEK_API_KEY",
      "Secret openrouter: apiKey=$OPENROUTER_API_KEY",
      "Secret together: apiKey=$TOGETHERAI_API_KEY",
      "Secret gemini: apiKey=$GEMINI_API_KEY",
      "Secret mistral: apiKey=$MISTRAL_API_KEY",
      "Secret cohere: apiKey=$COHERE_API_KEY",
      "Secret watsonx: apiKey=$WATSONX_API_KEY",
      "Secret deepinfra: apiKey=$DEEPINFRA_API_KEY",
      "Secret azure-contoso: apiKey=$AZURE_AI_API_KEY",
      "Secret litellm: apiKey=$OTHER_KEY",
      "Secret siliconflow: apiKey=$SF_KEY",
    ],
  },
  {
    title: "priorities, weights below one, and fallbacks for everybody",
    source,
    files: {
      "config.yaml": `
model_list:
  - { model_name: chat, litellm_params: { model: openai/gpt-4o, order: 1 } }
  - { model_name: chat, litellm_params: { model: azure/gpt-4o, api_base: "https://contoso.openai.azure.com", order: 2 } }
  - { model_name: split, litellm_params: { model: openai/gpt-4o-mini, weight: 0.7 } }
  - { model_name: split, litellm_params: { model: anthropic/claude-haiku-4-5, weight: 0.3 } }
  - { model_name: rescue, litellm_params: { model: mistral/mistral-small-latest } }
litellm_settings:
  default_fallbacks: [rescue]
  content_policy_fallbacks: [{ split: [chat] }]
  fallbacks: [{ unknown: [chat] }, { chat: [{ model: split, messages: [] }] }]
`,
    },
    says: ["NotImported litellm_settings.fallbacks[0].unknown: no deployment of unknown was imported"],
    want: [
      "LLMProvider openai: OpenAI gpt-4o gpt-4o-mini credentials={secretRef:{name:openai}}",
      "LLMProvider azure-contoso: AzureOpenAI gpt-4o endpoint=https://contoso.openai.azure.com credentials={secretRef:{name:azure-contoso}}",
      "LLMProvider anthropic: Anthropic claude-haiku-4-5 credentials={secretRef:{name:anthropic}}",
      "LLMProvider mistral: Mistral mistral-small-latest credentials={secretRef:{name:mistral}}",
      "RoutingPolicy chat: {models:[chat]} Priority openai/gpt-4o#1 azure-contoso/gpt-4o#2 openai/gpt-4o-mini#3 anthropic/claude-haiku-4-5#3 mistral/mistral-small-latest#4 fallbackOn=[RateLimited,Unavailable,Timeout,ServerError,Unauthorized]",
      "RoutingPolicy split: {models:[split]} Weighted openai/gpt-4o-mini*700 anthropic/claude-haiku-4-5*300 mistral/mistral-small-latest*0 openai/gpt-4o*0 azure-contoso/gpt-4o*0 fallbackOn=[RateLimited,Unavailable,Timeout,ServerError,Unauthorized,ContentPolicy]",
      "RoutingPolicy rescue: {models:[rescue]} Priority mistral/mistral-small-latest",
      "Secret openai: apiKey=$OPENAI_API_KEY",
      "Secret azure-contoso: apiKey=$AZURE_API_KEY",
      "Secret anthropic: apiKey=$ANTHROPIC_API_KEY",
      "Secret mistral: apiKey=$MISTRAL_API_KEY",
    ],
  },
  {
    title: "tables of the database as JSON",
    source,
    files: {
      "tables.json": JSON.stringify({
        LiteLLM_VerificationToken: [
          {
            token: "3f2a7c1e9b5d8046a1c3e5f7092b4d6e8fa0c2e4163758697b8d9faebcd0f1e2",
            key_name: "sk-...Ab12",
            key_alias: "frontend-team-key",
            user_id: "u-1",
            team_id: "t-1",
            models: ["gpt-4o", "gemini-flash"],
            max_budget: 500,
            soft_budget: 400,
            budget_duration: "30d",
            rpm_limit: 100,
            tpm_limit: 50000,
            max_parallel_requests: 8,
            expires: "2027-03-01T00:00:00+00:00",
            metadata: { tags: ["widget"] },
            spend: 12.5,
            blocked: null,
            created_at: "2026-01-01T00:00:00Z",
          },
          {
            token: "4b1fd5a6c3e2908f7d6a5b4c3d2e1f0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e",
            team_id: "t-2",
            models: ["all-team-models"],
            budget_id: "b-1",
          },
        ],
        LiteLLM_TeamTable: [
          {
            team_id: "t-1",
            team_alias: "Front End",
            models: [],
            max_budget: 1000,
            budget_duration: "7d",
            blocked: false,
          },
          { team_id: "t-2", team_alias: "data", models: ["claude"], blocked: true, members_with_roles: [] },
        ],
        LiteLLM_UserTable: [
          { user_id: "u-1", user_email: "alice@example.com", user_role: "proxy_admin", max_budget: 20 },
        ],
        LiteLLM_BudgetTable: [{ budget_id: "b-1", max_budget: 3, budget_duration: "1d", rpm_limit: 5 }],
      }),
    },
    want: [
      "ApiKey frontend-team-key: user=alice@example.com team=Front-End role=admin tags=[widget] models=[gpt-4o,gemini-flash] limits=[{requests:100,window:1m},{tokens:50000,window:1m},{concurrency:8}] expiresAt=2027-03-01T00:00:00Z digests=[{algorithm:sha256,value:3f2a7c1e9b5d8046a1c3e5f7092b4d6e8fa0c2e4163758697b8d9faebcd0f1e2}]",
      "Budget key-frontend-team-key: amount=500 period=Monthly thresholds=[80,100] scope={apiKeys:[frontend-team-key]}",
      "ApiKey key-4b1fd5a6c3: user=key-4b1fd5a6c3 team=data models=[claude] limits=[{requests:5,window:1m}] revoked=true digests=[{algorithm:sha256,value:4b1fd5a6c3e2908f7d6a5b4c3d2e1f0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e}]",
      "Budget key-key-4b1fd5a6c3: amount=3 period=Daily scope={apiKeys:[key-4b1fd5a6c3]}",
      "Budget team-front-end: amount=1000 period=Weekly scope={teams:[Front-End]}",
      "Budget user-alice-example.com: amount=20 period=Total scope={users:[alice@example.com]}",
    ],
  },
  {
    title: "keys as CSV of Postgres",
    source,
    files: {
      "keys.csv": `token,key_name,key_alias,spend,expires,models,aliases,user_id,team_id,metadata,blocked,tpm_limit,rpm_limit,max_budget,budget_duration
9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08,sk-...1a,"mobile, app",0.25,2027-01-31 12:00:00,"{gpt-4o,""my model""}",{},bob@example.com,,"{""tags"": [""mobile"", ""eu""]}",f,,,2.5,1mo
a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90,sk-...2b,,0,,{},{},,,{},t,1000,,,
`,
    },
    says: ["Changed [0].token: this is the hash of an example key", "Imported [1].token: digests"],
    want: [
      "ApiKey mobile-app: user=bob@example.com tags=[mobile,eu] models=[gpt-4o,my-model] expiresAt=2027-01-31T12:00:00Z writeTo={name:mobile-app-llm-key}",
      "Budget key-mobile-app: amount=2.5 period=Monthly scope={apiKeys:[mobile-app]}",
      "ApiKey key-a1b2c3d4e5: user=key-a1b2c3d4e5 limits=[{tokens:1000,window:1m}] revoked=true digests=[{algorithm:sha256,value:a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90}]",
    ],
  },
];

/** The operations guide's configuration, in our own words with its names and values. */
import type { ImportCase } from "../check.ts";

const source = "ai-gateway";

/** Three providers by priority, as the guide begins. */
export const guideConfig = `providers:
  - name: primary
    type: openai
    endpoint: https://api.openai.com/v1
    api_key: \${OPENAI_API_KEY}
    models: [gpt-4, gpt-3.5-turbo]
    priority: 1
    max_requests_per_minute: 100
  - name: secondary
    type: azure-openai
    endpoint: https://your-resource.openai.azure.com
    api_key: \${AZURE_OPENAI_API_KEY}
    models: [gpt-4, gpt-35-turbo]
    priority: 2
    max_requests_per_minute: 200
  - name: fallback
    type: watsonx
    endpoint: https://us-south.ml.cloud.ibm.com
    api_key: \${WATSONX_API_KEY}
    models: [ibm/granite-13b-chat-v2]
    priority: 3
    max_requests_per_minute: 50
routing:
  strategy: priority
  fallback_enabled: true
  fallback_on_errors: [rate_limit_exceeded, service_unavailable, timeout]
  retry_attempts: 3
  retry_delay: 1s
`;

export const rbacConfig = `roles:
  - name: admin
    permissions: [manage_providers, manage_budgets, view_all_requests, use_models, view_costs]
  - name: developer
    permissions: [use_models, view_own_requests, view_costs]
    max_requests_per_day: 1000
    max_cost_per_day: 10.0
    allowed_models: [gpt-4, gpt-3.5-turbo]
  - name: data-scientist
    permissions: [use_models, view_own_requests, fine_tune_models, write_poems]
    max_cost_per_day: "50"
  - name: readonly
    permissions: [view_own_requests, view_costs]
users:
  - email: alice@example.com
    role: developer
    team: web
    tags: [internal]
  - email: bob@example.com
    role: readonly
access_control:
  ip_whitelist: [10.0.0.0/8, 127.0.0.0/8]
  allowed_countries: [US, JP]
  time_restrictions: { start: "06:00", end: "22:00", timezone: Asia/Tokyo }
`;

const configMap = (name: string, key: string, text: string): string =>
  `apiVersion: v1
kind: ConfigMap
metadata:
  name: ${name}
  namespace: ai-gateway
data:
  ${key}: |
${text.replace(/^(?=.)/gm, "    ")}`;

export const cases: readonly ImportCase[] = [
  {
    title: "the guide's providers, as a ConfigMap",
    source,
    files: { "ai-gateway-config.yaml": configMap("ai-gateway-config", "config.yaml", guideConfig) },
    env: { WATSONX_PROJECT_ID: "11111111-2222-3333-4444-555555555555" },
    want: [
      "LLMProvider primary: OpenAI gpt-4 gpt-3.5-turbo credentials={secretRef:{name:primary}} retry={attempts:3,initialDelay:1s} quota={requestsPerMinute:100}",
      "LLMProvider secondary: AzureOpenAI gpt-4 gpt-35-turbo endpoint=https://your-resource.openai.azure.com credentials={secretRef:{name:secondary}} retry={attempts:3,initialDelay:1s} quota={requestsPerMinute:200}",
      "LLMProvider fallback: Watsonx ibm/granite-13b-chat-v2 endpoint=https://us-south.ml.cloud.ibm.com credentials={secretRef:{name:fallback}} options={projectId:11111111-2222-3333-4444-555555555555,region:us-south} retry={attempts:3,initialDelay:1s} quota={requestsPerMinute:50}",
      "RoutingPolicy gpt-4: {models:[gpt-4]} Priority primary/gpt-4#1 secondary/gpt-4#2 fallback/ibm/granite-13b-chat-v2#3 fallbackOn=[RateLimited,Unavailable,Timeout]",
      "RoutingPolicy gpt-3.5-turbo: {models:[gpt-3.5-turbo,gpt-35-turbo]} Priority primary/gpt-3.5-turbo#1 secondary/gpt-35-turbo#2 fallback/ibm/granite-13b-chat-v2#3 fallbackOn=[RateLimited,Unavailable,Timeout]",
      "RoutingPolicy ibm-granite-13b-chat-v2: {models:[ibm/granite-13b-chat-v2]} Priority fallback/ibm/granite-13b-chat-v2#3 fallbackOn=[RateLimited,Unavailable,Timeout]",
      "Secret primary: apiKey=$OPENAI_API_KEY",
      "Secret secondary: apiKey=$AZURE_OPENAI_API_KEY",
      "Secret fallback: apiKey=$WATSONX_API_KEY",
    ],
  },
  {
    title: "the guide's roles and users, with the providers as plain files",
    source,
    files: { "ai-gateway-config.yaml": guideConfig, "rbac-config.yaml": rbacConfig },
    says: [
      "Changed roles[0].permissions[0]: who may manage objects is decided by Kubernetes' RBAC",
      "NotImported roles[2].permissions[3]: permissions are use_models",
    ],
    want: [
      "LLMProvider primary: OpenAI gpt-4 gpt-3.5-turbo credentials={secretRef:{name:primary}} retry={attempts:3,initialDelay:1s} quota={requestsPerMinute:100}",
      "LLMProvider secondary: AzureOpenAI gpt-4 gpt-35-turbo endpoint=https://your-resource.openai.azure.com credentials={secretRef:{name:secondary}} retry={attempts:3,initialDelay:1s} quota={requestsPerMinute:200}",
      "LLMProvider fallback: Watsonx ibm/granite-13b-chat-v2 endpoint=https://us-south.ml.cloud.ibm.com credentials={secretRef:{name:fallback}} options={projectId:PROJECT-ID,region:us-south} retry={attempts:3,initialDelay:1s} quota={requestsPerMinute:50}",
      "ApiKey alice-example.com: user=alice@example.com role=developer team=web tags=[internal] writeTo={name:alice-example.com-llm-key}",
      "ApiKey bob-example.com: user=bob@example.com role=readonly writeTo={name:bob-example.com-llm-key}",
      "RoutingPolicy gpt-4: {models:[gpt-4]} Priority primary/gpt-4#1 secondary/gpt-4#2 fallback/ibm/granite-13b-chat-v2#3 fallbackOn=[RateLimited,Unavailable,Timeout] access={networks:[10.0.0.0/8,127.0.0.0/8],countries:{allow:[US,JP]},hours:{from:06:00,to:22:00,timeZone:Asia/Tokyo}}",
      "RoutingPolicy gpt-3.5-turbo: {models:[gpt-3.5-turbo,gpt-35-turbo]} Priority primary/gpt-3.5-turbo#1 secondary/gpt-35-turbo#2 fallback/ibm/granite-13b-chat-v2#3 fallbackOn=[RateLimited,Unavailable,Timeout] access={networks:[10.0.0.0/8,127.0.0.0/8],countries:{allow:[US,JP]},hours:{from:06:00,to:22:00,timeZone:Asia/Tokyo}}",
      "RoutingPolicy ibm-granite-13b-chat-v2: {models:[ibm/granite-13b-chat-v2]} Priority fallback/ibm/granite-13b-chat-v2#3 fallbackOn=[RateLimited,Unavailable,Timeout] access={networks:[10.0.0.0/8,127.0.0.0/8],countries:{allow:[US,JP]},hours:{from:06:00,to:22:00,timeZone:Asia/Tokyo}}",
      "Secret primary: apiKey=$OPENAI_API_KEY",
      "Secret secondary: apiKey=$AZURE_OPENAI_API_KEY",
      "Secret fallback: apiKey=$WATSONX_API_KEY",
      "Helm {roles:{admin:{permissions:[view_all_requests,use_models,view_costs]},developer:{permissions:[use_models,view_own_requests,view_costs],models:[gpt-4,gpt-3.5-turbo],limits:{requestsPerDay:1000,costPerDay:10}},data-scientist:{permissions:[use_models,view_own_requests,fine_tune_models],limits:{costPerDay:50}},readonly:{permissions:[view_own_requests,view_costs]}}}",
    ],
  },
  {
    title: "limits, money, cache and masking",
    source,
    files: {
      "config.yaml": `${guideConfig}
timeouts: { connect: 5s, read: 30s, write: 10, request: 2m }
circuit_breaker: { failure_threshold: 5, success_threshold: 2, timeout: 60s, half_open_requests: 3 }
cost_management:
  budgets:
    daily: 100
    monthly: 2000
    per_user: { daily: 10 }
    teams:
      engineering: { monthly: 500.5 }
  alert_thresholds: [0.5, 80%, 100]
  auto_throttle: { threshold: 0.9, pass_percent: 50 }
rate_limits:
  per_user: { requests_per_minute: 60, tokens_per_hour: 100000 }
  global: { concurrent_requests: 50 }
cache:
  enabled: true
  ttl: 3600
  max_entries: 10000
  key_components: [model, prompt_hash, temperature, max_tokens]
  conditions: ["temperature: 0", "max_tokens < 1000"]
security:
  pii_masking:
    enabled: true
    mask_responses: true
    patterns:
      - { type: email, replacement: "[EMAIL]" }
      - credit_card
      - { name: employee_id, pattern: "EMP-[0-9]{6}", replacement: "[EMPLOYEE]" }
monitoring: { instana: { enabled: true, agent_key: aVerySecretAgentKey01 } }
`,
    },
    secrets: ["aVerySecretAgentKey01"],
    says: [
      "Changed providers[2].type: set spec.options.projectId",
      "NotImported monitoring.instana.agent_key: no counterpart is known",
      "Changed security.pii_masking.patterns[0]: guard.mask.detect has Email, with Sluice's own pattern",
    ],
    want: [
      "LLMProvider primary: OpenAI gpt-4 gpt-3.5-turbo credentials={secretRef:{name:primary}} timeouts={connect:5s,write:10s,idle:30s,total:120s} retry={attempts:3,initialDelay:1s} circuitBreaker={failureThreshold:5,successThreshold:2,openFor:60s,halfOpenRequests:3} quota={requestsPerMinute:100}",
      "LLMProvider secondary: AzureOpenAI gpt-4 gpt-35-turbo endpoint=https://your-resource.openai.azure.com credentials={secretRef:{name:secondary}} timeouts={connect:5s,write:10s,idle:30s,total:120s} retry={attempts:3,initialDelay:1s} circuitBreaker={failureThreshold:5,successThreshold:2,openFor:60s,halfOpenRequests:3} quota={requestsPerMinute:200}",
      "LLMProvider fallback: Watsonx ibm/granite-13b-chat-v2 endpoint=https://us-south.ml.cloud.ibm.com credentials={secretRef:{name:fallback}} options={projectId:PROJECT-ID,region:us-south} timeouts={connect:5s,write:10s,idle:30s,total:120s} retry={attempts:3,initialDelay:1s} circuitBreaker={failureThreshold:5,successThreshold:2,openFor:60s,halfOpenRequests:3} quota={requestsPerMinute:50}",
      "RoutingPolicy gpt-4: {models:[gpt-4]} Priority primary/gpt-4#1 secondary/gpt-4#2 fallback/ibm/granite-13b-chat-v2#3 fallbackOn=[RateLimited,Unavailable,Timeout] guard={mask:{detect:[Email,CreditCard],custom:[{name:EmployeeId,pattern:EMP-[0-9]{6},replacement:[EMPLOYEE]}],answers:true}} cache={ttl:3600s,maxEntries:10000,key:[Model,Prompt,Temperature,MaxTokens],when:{temperatureAtMost:0,maxTokensBelow:1000}}",
      "RoutingPolicy gpt-3.5-turbo: {models:[gpt-3.5-turbo,gpt-35-turbo]} Priority primary/gpt-3.5-turbo#1 secondary/gpt-35-turbo#2 fallback/ibm/granite-13b-chat-v2#3 fallbackOn=[RateLimited,Unavailable,Timeout] guard={mask:{detect:[Email,CreditCard],custom:[{name:EmployeeId,pattern:EMP-[0-9]{6},replacement:[EMPLOYEE]}],answers:true}} cache={ttl:3600s,maxEntries:10000,key:[Model,Prompt,Temperature,MaxTokens],when:{temperatureAtMost:0,maxTokensBelow:1000}}",
      "RoutingPolicy ibm-granite-13b-chat-v2: {models:[ibm/granite-13b-chat-v2]} Priority fallback/ibm/granite-13b-chat-v2#3 fallbackOn=[RateLimited,Unavailable,Timeout] guard={mask:{detect:[Email,CreditCard],custom:[{name:EmployeeId,pattern:EMP-[0-9]{6},replacement:[EMPLOYEE]}],answers:true}} cache={ttl:3600s,maxEntries:10000,key:[Model,Prompt,Temperature,MaxTokens],when:{temperatureAtMost:0,maxTokensBelow:1000}}",
      "Budget limits-per-user: per=User limits=[{requests:60,window:1m},{tokens:100000,window:1h}]",
      "Budget limits-global: limits=[{concurrency:50}]",
      "Budget all-daily: amount=100 period=Daily thresholds=[50,80,100] throttle={atPercent:90,passPercent:50}",
      "Budget all-monthly: amount=2000 period=Monthly thresholds=[50,80,100] throttle={atPercent:90,passPercent:50}",
      "Budget each-user-daily: amount=10 period=Daily per=User thresholds=[50,80,100] throttle={atPercent:90,passPercent:50}",
      "Budget team-engineering-monthly: amount=500.5 period=Monthly scope={teams:[engineering]} thresholds=[50,80,100] throttle={atPercent:90,passPercent:50}",
      "Secret primary: apiKey=$OPENAI_API_KEY",
      "Secret secondary: apiKey=$AZURE_OPENAI_API_KEY",
      "Secret fallback: apiKey=$WATSONX_API_KEY",
    ],
  },
  {
    title: "least latency, without fallback, and prices by thousand tokens",
    source,
    files: {
      "config.yaml": `
providers:
  - name: fast
    type: openai
    api_key: sk-clear-0123456789abcdef
    models:
      - { name: gpt-4o, cost: { input_per_1k_tokens: 0.0025, output_per_1k_tokens: 0.01 } }
    health_check: { path: /models, interval: 30s, timeout: 5s, expected_status: 200 }
    region: us-east
  - name: local
    type: vllm
    endpoint: http://vllm:8000/v1
    models: [gpt-4o]
    weight: 3
  - { name: odd, type: teapot, models: [a] }
routing:
  strategy: least-latency
  least_latency: { window: 5m, sample_size: 100 }
  fallback_enabled: false
  session_affinity: true
  latency_threshold: 3s
`,
    },
    secrets: ["sk-clear-0123456789abcdef"],
    want: [
      "LLMProvider fast: OpenAI gpt-4o{price:{inputPerMillion:2.5,outputPerMillion:10}} credentials={secretRef:{name:fast}} healthCheck={path:/models,interval:30s,timeout:5s,expectedStatus:200} region=us-east",
      "LLMProvider local: OpenAICompatible/VLLM gpt-4o endpoint=http://vllm:8000/v1 allowPrivateEndpoint=true",
      "RoutingPolicy gpt-4o: {models:[gpt-4o]} LeastLatency fast/gpt-4o local/gpt-4o fallbackOn=[] leastLatency={window:300s,samples:100} slowAfter=3s affinity={by:User}",
      "Secret fast: apiKey=***",
    ],
  },
];

/** Our own texts, with the settings and values that public configurations of agentgateway have. */
import type { ImportCase } from "../check.ts";

const source = "agentgateway";
const file = (text: string): Record<string, string> => ({ "config.yaml": text });

export const cases: readonly ImportCase[] = [
  {
    title: "models by name, a wildcard, and a self-hosted server",
    source,
    files: file(`
llm:
  port: 4000
  models:
  - { name: gpt-4o-mini, provider: openAI, params: { apiKey: "$OPENAI_API_KEY" } }
  - name: claude
    provider: anthropic
    params: { model: claude-sonnet-4-0, apiKey: sk-ant-0a1b2c3d4e5f6a7b }
    defaults: { max_tokens: 1024 }
    overrides: { temperature: 0.2, messages: [x] }
  - { name: "llama-*", provider: ollama, params: { model: llama3.2, baseUrl: "http://192.168.1.20:11434/v1" } }
  - { name: "*", provider: gemini, params: { apiKey: { file: /etc/keys/gemini } } }
  - { name: qwen, provider: { custom: { formats: [{ type: completions }] } }, params: { baseUrl: "http://vllm.internal:8000/v1", model: Qwen/Qwen3-32B } }
  - { name: nova, provider: bedrock, params: { model: amazon.nova-lite-v1:0, awsRegion: eu-central-1 } }
  - { name: pro, provider: vertex, params: { model: gemini-2.5-pro, vertexProject: my-project-1, vertexRegion: europe-west4 } }
  - { name: eu, provider: azure, params: { model: gpt-4o, azureResourceName: contoso, azureApiVersion: 2024-10-21, apiKey: "$AZURE_KEY" } }
  - { name: pilot, provider: copilot }
`),
    secrets: ["sk-ant-0a1b2c3d4e5f6a7b"],
    says: [
      "NotImported llm.models[3].name: an LLMProvider lists its models",
      "NotImported llm.models[8].provider: no type of LLMProvider is known for copilot",
      "NotImported llm.models[1].overrides.messages",
      "Secret llm.models[1].params.apiKey: clear value moved to Secret",
      "Changed llm.models[4].provider.custom: calls are made in OpenAI's format",
    ],
    want: [
      "LLMProvider openai: OpenAI gpt-4o-mini credentials={secretRef:{name:openai}}",
      "RoutingPolicy gpt-4o-mini: {models:[gpt-4o-mini]} Priority openai/gpt-4o-mini",
      "LLMProvider anthropic: Anthropic claude-sonnet-4-0 credentials={secretRef:{name:anthropic}}",
      "RoutingPolicy claude: {models:[claude]} Priority anthropic/claude-sonnet-4-0 request={defaults:{max_tokens:1024},overrides:{temperature:0.2}}",
      "LLMProvider ollama: OpenAICompatible/Ollama llama3.2 endpoint=http://192.168.1.20:11434/v1 allowPrivateEndpoint=true",
      "RoutingPolicy llama3.2: {models:[llama3.2]} Priority ollama/llama3.2",
      "LLMProvider custom: OpenAICompatible Qwen/Qwen3-32B endpoint=http://vllm.internal:8000/v1 allowPrivateEndpoint=true",
      "RoutingPolicy qwen: {models:[qwen]} Priority custom/Qwen/Qwen3-32B",
      "LLMProvider bedrock: Bedrock amazon.nova-lite-v1:0 credentials={workloadIdentity:{aws:{}}} options={region:eu-central-1}",
      "RoutingPolicy nova: {models:[nova]} Priority bedrock/amazon.nova-lite-v1:0",
      "LLMProvider vertex: VertexAI gemini-2.5-pro credentials={workloadIdentity:{google:{}}} options={project:my-project-1,location:europe-west4}",
      "RoutingPolicy pro: {models:[pro]} Priority vertex/gemini-2.5-pro",
      "LLMProvider azure: AzureOpenAI gpt-4o endpoint=https://contoso.openai.azure.com credentials={secretRef:{name:azure}} options={apiVersion:2024-10-21,surface:Deployments}",
      "RoutingPolicy eu: {models:[eu]} Priority azure/gpt-4o",
      "Secret openai: apiKey=$OPENAI_API_KEY",
      "Secret anthropic: apiKey=***",
      "Secret azure: apiKey=$AZURE_KEY",
    ],
  },
  {
    title: "virtual models: shares, failover with groups, conditions and a callout",
    source,
    files: file(`
llm:
  models:
  - { name: primary, visibility: internal, provider: openAI, params: { model: gpt-4o, apiKey: "$OPENAI_API_KEY" }, health: { eviction: { duration: 60s, consecutiveFailures: 1 } } }
  - { name: backup, visibility: internal, provider: openAI, params: { model: gpt-4o-mini, apiKey: "$OPENAI_API_KEY" } }
  - { name: other, visibility: public, provider: anthropic, params: { model: claude-3-5-haiku-latest, apiKey: "$ANTHROPIC_API_KEY" } }
  virtualModels:
  - name: smart
    routing: { weighted: { targets: [{ model: primary, weight: 90 }, { model: backup, weight: 10 }] } }
  - name: resilient
    routing: { failover: { targets: [{ model: primary, priority: 0 }, { model: backup, priority: 1 }, { model: other, priority: 1 }, { model: gone, priority: 2 }] } }
  - name: adaptive
    routing: { conditional: { targets: [{ model: backup, when: 'request.headers["x-tier"] == "free"' }, { model: primary, when: "true" }] } }
  - name: auto
    routing: { callout: { host: "http://127.0.0.1:8000/route", failureMode: { fallback: other } } }
`),
    says: [
      "NotImported llm.virtualModels[1].routing.failover.targets[3].model: there is no model gone",
      "NotImported llm.virtualModels[2].routing.conditional.targets[0].when: write a rule of routing.rules",
      "Changed llm.virtualModels[2].routing.conditional.targets[0].model: every call goes to this model",
      "NotImported llm.virtualModels[3].routing.callout.host",
      "Changed llm.models[0].health",
    ],
    want: [
      "LLMProvider anthropic: Anthropic claude-3-5-haiku-latest credentials={secretRef:{name:anthropic}}",
      "RoutingPolicy other: {models:[other]} Priority anthropic/claude-3-5-haiku-latest",
      "LLMProvider openai: OpenAI gpt-4o gpt-4o-mini credentials={secretRef:{name:openai}}",
      "RoutingPolicy smart: {models:[smart]} Weighted openai/gpt-4o*90 openai/gpt-4o-mini*10",
      "RoutingPolicy resilient: {models:[resilient]} Priority openai/gpt-4o#1 openai/gpt-4o-mini#2 anthropic/claude-3-5-haiku-latest#2",
      "RoutingPolicy adaptive: {models:[adaptive]} Priority openai/gpt-4o-mini",
      "RoutingPolicy auto: {models:[auto]} Priority anthropic/claude-3-5-haiku-latest",
      "Secret anthropic: apiKey=$ANTHROPIC_API_KEY",
      "Secret openai: apiKey=$OPENAI_API_KEY",
    ],
  },
  {
    title: "providers by reference, virtual keys with budgets, and limits",
    source,
    files: file(`
llm:
  providers:
  - { name: corp, provider: openAI, params: { apiKey: "$CORP_KEY", baseUrl: "https://llm.corp.example.com/v1" } }
  models:
  - { name: fast, provider: { reference: corp }, params: { model: small } }
  - { name: lost, provider: { reference: nowhere } }
  - { name: fast, provider: openAI, params: { model: gpt-4o }, matches: [{ headers: [{ name: x-tier, value: { exact: pro } }] }] }
  policies:
    apiKey:
      mode: strict
      keys:
      - keyHash: "sha256:1311f8fc80a7ea28d78dd7723f09c44c1754cd35160ca8e7133ae3d7f636a19a"
        metadata: { name: Sales Bot, group: sales }
        allowedModels: [fast]
        budgets:
        - { name: usd, limit: { unit: USD, amount: 5 }, window: { rolling: 24h }, onBudgetExceeded: Block }
        - { name: tokens, limit: { unit: Tokens, amount: 100000 }, window: { rolling: 1h } }
        - { name: watch, limit: { unit: Tokens, amount: 5 }, window: { rolling: 1h }, onBudgetExceeded: Audit }
      - { key: sk-virtual-0123456789abcdef, metadata: { user: ann@example.com } }
      - { key: k-short, allowedModels: ["gpt-*"] }
    localRateLimit:
    - { maxTokens: 10, tokensPerFill: 10, fillInterval: 60s, type: requests }
    - { tokensPerFill: 50000, maxTokens: 60000, fillInterval: 1h, type: tokens, key: jwt.sub }
    jwtAuth: { issuer: example, audiences: [a], jwks: { file: k } }
`),
    secrets: ["sk-virtual-0123456789abcdef", "k-short"],
    says: [
      "NotImported llm.models[1].provider.reference: there is no such provider",
      "NotImported llm.models[2]: a policy is chosen by model",
      "NotImported llm.policies.apiKey.keys[2].allowedModels: models of an ApiKey are names",
      "Changed llm.policies.apiKey.keys[2].key: the ApiKey gets a new key",
      "Imported llm.policies.apiKey.keys[0].keyHash: digests: the key keeps working",
      "NotImported llm.policies.jwtAuth",
      "NotImported llm.policies.localRateLimit[1].key",
      "Changed llm.policies.localRateLimit: each policy has these limits of its own",
    ],
    want: [
      "LLMProvider corp: OpenAICompatible small endpoint=https://llm.corp.example.com/v1 credentials={secretRef:{name:corp}}",
      "RoutingPolicy fast: {models:[fast]} Priority corp/small limits=[{per:Route,requests:10,window:60s},{per:Route,tokens:50000,window:3600s}]",
      "ApiKey sales-bot: user=Sales-Bot team=sales models=[fast] digests=[{algorithm:sha256,value:1311f8fc80a7ea28d78dd7723f09c44c1754cd35160ca8e7133ae3d7f636a19a}]",
      "Budget key-sales-bot: amount=5 period=Daily enforcement=Hard scope={apiKeys:[sales-bot]}",
      "Budget key-sales-bot-tokens: scope={apiKeys:[sales-bot]} limits=[{tokens:100000,window:3600s}]",
      "ApiKey ann-example.com: user=ann@example.com writeTo={name:ann-example.com-llm-key}",
      "ApiKey key-3: user=key-3 writeTo={name:key-3-llm-key}",
      "Secret corp: apiKey=$CORP_KEY",
      "Secret ann-example.com-llm-key: apiKey=***",
    ],
  },
  {
    title: "routes of binds, with a guard, prompts, aliases and listed models",
    source,
    files: file(`
config: { tracing: { otlpEndpoint: "http://localhost:4317" } }
binds:
- port: 3000
  listeners:
  - name: default
    protocol: HTTP
    routes:
    - name: chat
      matches: [{ path: { pathPrefix: /openai } }]
      policies:
        backendAuth: { key: "$OPENAI_API_KEY" }
        cors: { allowOrigins: ["*"] }
        retry: { attempts: 2, backoff: 500ms, codes: [429, 503] }
        timeout: { requestTimeout: 90s }
        localRateLimit: [{ maxTokens: 50, tokensPerFill: 50, fillInterval: 1s }]
        ai:
          defaults: { temperature: 0.5 }
          modelAliases: { cheap: gpt-4o-mini, "best-*": gpt-4o }
          prompts: { prepend: [{ role: system, content: Be brief. }], append: [{ role: assistant, content: x }] }
          promptGuard:
            request:
            - regex: { action: reject, rules: [{ pattern: "(?i)internal only" }, { pattern: "(?=x)y" }] }
              rejection: { status: 400, body: no }
            - regex: { action: mask, rules: [{ builtin: email }, { builtin: caSin }] }
            - webhook: { host: 127.0.0.1:8000 }
            response:
            - regex: { rules: [{ builtin: ssn }] }
      backends: [{ ai: { name: openai, provider: { openAI: { model: gpt-4o } } } }]
    - policies: { backendAuth: { key: sk-second-0a1b2c3d4e5f }, ai: { models: [{ id: gpt-4.1, ownedBy: openai }, { id: o3 }], routes: { "/v1/models": Models } } }
      backends: [{ ai: { name: second, provider: { openAI: {} } } }]
    - { backends: [{ mcp: { targets: [{ name: everything, stdio: { cmd: npx } }] } }], policies: { mcpAuthorization: { rules: [a] } } }
    - backends: [{ ai: { name: free, provider: { anthropic: {} } } }]
`),
    secrets: ["sk-second-0a1b2c3d4e5f"],
    says: [
      "NotImported config: Helm values set up the proxies",
      "Changed binds[0].listeners[0].routes[0].matches[0].path: callers use /v1 of the gateway",
      "NotImported binds[0].listeners[0].routes[0].policies.ai.promptGuard.request[0].regex.rules[1].pattern: it is not a pattern of RE2",
      "NotImported binds[0].listeners[0].routes[0].policies.ai.modelAliases.best-*: an alias is a name",
      "NotImported binds[0].listeners[0].routes[0].policies.ai.prompts.append[0]",
      "NotImported binds[0].listeners[0].routes[2].backends[0]: only calls of models are served",
      "NotImported binds[0].listeners[0].routes[3].backends[0].ai.provider: an LLMProvider lists its models",
      "NotImported binds[0].listeners[0].routes[0].policies.cors",
    ],
    want: [
      "LLMProvider openai: OpenAI gpt-4o gpt-4o-mini credentials={secretRef:{name:openai}} timeouts={total:90s} retry={attempts:3,initialDelay:500ms}",
      "RoutingPolicy chat: {models:[gpt-4o]} Priority openai/gpt-4o request={defaults:{temperature:0.5},prompts:[{role:system,position:Prepend,content:Be brief.}]} guard={deny:[(?i)internal only],mask:{detect:[Email]}} limits=[{per:Route,requests:50,window:1s}]",
      "RoutingPolicy chat-cheap: {models:[cheap]} Priority openai/gpt-4o-mini request={defaults:{temperature:0.5},prompts:[{role:system,position:Prepend,content:Be brief.}]} guard={deny:[(?i)internal only],mask:{detect:[Email]}} limits=[{per:Route,requests:50,window:1s}]",
      "LLMProvider second: OpenAI gpt-4.1 o3 credentials={secretRef:{name:second}}",
      "RoutingPolicy llm-2-gpt-4.1: {models:[gpt-4.1]} Priority second/gpt-4.1",
      "RoutingPolicy llm-2-o3: {models:[o3]} Priority second/o3",
      "Secret openai: apiKey=$OPENAI_API_KEY",
      "Secret second: apiKey=***",
    ],
  },
  {
    title: "backends by weight and in groups, and clouds by their own identity",
    source,
    files: file(`
gateways: { default: { port: 8080 } }
routes:
- name: shares
  backends:
  - { weight: 80, ai: { name: a, provider: { azureOpenAI: { host: contoso.openai.azure.com, model: gpt-4o, apiVersion: 2024-10-21 } } }, policies: { backendAuth: { azure: {} } } }
  - { weight: 20, ai: { name: b, provider: { openAI: { model: gpt-4o } }, hostOverride: "vllm.internal:8000", pathPrefix: /v1 }, policies: { backendAuth: { key: none } } }
- name: tiers
  backends:
  - ai:
      groups:
      - providers:
        - { name: sonnet, provider: { bedrock: { model: us.anthropic.claude-sonnet-4-20250514-v1:0, region: us-west-2 } }, policies: { backendAuth: { aws: {} } } }
      - providers:
        - { name: gemini, provider: { vertex: { model: gemini-2.5-flash, projectId: p-12345, region: us-central1 } }, policies: { backendAuth: { gcp: {} } } }
        - { name: direct, provider: { anthropic: { model: claude-sonnet-4-0 } }, policies: { backendAuth: { passthrough: {} } } }
`),
    want: [
      "LLMProvider a: AzureOpenAI gpt-4o endpoint=https://contoso.openai.azure.com credentials={workloadIdentity:{azure:{}}} options={apiVersion:2024-10-21,surface:Deployments}",
      "LLMProvider b: OpenAICompatible gpt-4o endpoint=http://vllm.internal:8000/v1 allowPrivateEndpoint=true",
      "RoutingPolicy shares: {models:[gpt-4o]} Weighted a/gpt-4o*80 b/gpt-4o*20",
      "LLMProvider sonnet: Bedrock us.anthropic.claude-sonnet-4-20250514-v1:0 credentials={workloadIdentity:{aws:{}}} options={region:us-west-2}",
      "LLMProvider gemini: VertexAI gemini-2.5-flash credentials={workloadIdentity:{google:{}}} options={project:p-12345,location:us-central1}",
      "LLMProvider direct: Anthropic claude-sonnet-4-0 credentials={secretRef:{name:direct}}",
      "RoutingPolicy tiers: {models:[us.anthropic.claude-sonnet-4-20250514-v1:0,gemini-2.5-flash,claude-sonnet-4-0]} Priority sonnet/us.anthropic.claude-sonnet-4-20250514-v1:0#1 gemini/gemini-2.5-flash#2 direct/claude-sonnet-4-0#2",
      "Secret direct: apiKey=$ANTHROPIC_API_KEY",
    ],
  },
  {
    title: "resources of a cluster: a backend, its Secret, a route and policies",
    source,
    files: file(`
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: agentgateway-proxy }
spec: { gatewayClassName: agentgateway, listeners: [{ name: http, port: 80 }] }
---
apiVersion: v1
kind: Secret
metadata: { name: openai-secret }
type: Opaque
stringData: { Authorization: Bearer sk-live-0123456789abcdef }
---
apiVersion: agentgateway.dev/v1alpha1
kind: AgentgatewayBackend
metadata: { name: openai }
spec: { ai: { provider: { openai: { model: gpt-4o-mini } } }, policies: { auth: { secretRef: { name: openai-secret } }, ai: { routes: { "/v1/chat/completions": Completions } } } }
---
apiVersion: agentgateway.dev/v1alpha1
kind: AgentgatewayBackend
metadata: { name: vllm }
spec: { ai: { provider: { openai: { model: Qwen/Qwen3 }, host: vllm.models.svc.cluster.local, port: 8000 } } }
---
apiVersion: agentgateway.dev/v1alpha1
kind: AgentgatewayBackend
metadata: { name: tools }
spec: { mcp: { targets: [{ name: t, static: { host: t, port: 80 } }] } }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: openai }
spec:
  parentRefs: [{ name: agentgateway-proxy }]
  rules:
  - matches: [{ path: { type: PathPrefix, value: /openai } }]
    filters: [{ type: URLRewrite, urlRewrite: { hostname: x } }, { type: RequestHeaderModifier, requestHeaderModifier: { remove: [a] } }]
    backendRefs: [{ name: openai, group: agentgateway.dev, kind: AgentgatewayBackend }]
    timeouts: { request: 120s }
  - backendRefs:
    - { name: openai, group: agentgateway.dev, kind: AgentgatewayBackend, weight: 9 }
    - { name: vllm, group: agentgateway.dev, kind: AgentgatewayBackend, weight: 1 }
    - { name: gone, group: agentgateway.dev, kind: AgentgatewayBackend }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: tools }
spec: { parentRefs: [{ name: agentgateway-proxy }], rules: [{ backendRefs: [{ name: tools, kind: AgentgatewayBackend }] }] }
---
apiVersion: agentgateway.dev/v1alpha1
kind: AgentgatewayPolicy
metadata: { name: openai-policy }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: openai }]
  traffic:
    retry: { attempts: 3, backoff: 500ms, codes: [429, 502] }
    rateLimit: { local: [{ tokens: 5000000, unit: Hours }, { requests: 10, unit: Seconds, burst: 5 }] }
    apiKeyAuthentication: { mode: Strict, secretSelector: { matchLabels: { a: b } } }
  backend: { ai: { prompt: { prepend: [{ role: SYSTEM, content: Answer in French. }] }, promptGuard: { request: [{ regex: { action: Mask, builtins: [Email, PhoneNumber] } }] } } }
`),
    secrets: ["sk-live-0123456789abcdef"],
    says: [
      "NotImported spec: the chart installs the proxies and their Service",
      "NotImported spec.rules[1].backendRefs[2].name: the AgentgatewayBackend is not part of the import",
      "NotImported spec.traffic.apiKeyAuthentication",
      "NotImported spec.rules[0].filters[1]",
      "NotImported spec.ai.provider.openai.model: another policy serves gpt-4o-mini",
      "Secret stringData.Authorization: moved to the Secret of the LLMProvider",
      "NotImported spec.mcp.targets[0].name",
    ],
    want: [
      "LLMProvider openai: OpenAI gpt-4o-mini credentials={secretRef:{name:openai}} retry={attempts:4,initialDelay:500ms} timeouts={total:120s}",
      "RoutingPolicy openai-1: {models:[gpt-4o-mini]} Priority openai/gpt-4o-mini request={prompts:[{role:system,position:Prepend,content:Answer in French.}]} guard={mask:{detect:[Email,Phone]}} limits=[{per:Route,tokens:5000000,window:1h},{per:Route,requests:10,window:1s}]",
      "LLMProvider openai-2: OpenAI gpt-4o-mini credentials={secretRef:{name:openai}} retry={attempts:4,initialDelay:500ms}",
      "LLMProvider vllm: OpenAICompatible Qwen/Qwen3 endpoint=http://vllm.models.svc.cluster.local:8000/v1 allowPrivateEndpoint=true retry={attempts:4,initialDelay:500ms}",
      "RoutingPolicy openai-2: {models:[Qwen/Qwen3]} Weighted openai-2/gpt-4o-mini*9 vllm/Qwen/Qwen3*1 request={prompts:[{role:system,position:Prepend,content:Answer in French.}]} guard={mask:{detect:[Email,Phone]}} limits=[{per:Route,tokens:5000000,window:1h},{per:Route,requests:10,window:1s}]",
      "Secret openai: apiKey=***",
    ],
  },
  {
    title: "models of a cluster, virtual ones, and groups of a backend",
    source,
    files: file(`
apiVersion: v1
kind: List
items:
- { apiVersion: agentgateway.dev/v1alpha1, kind: AgentgatewayModel, metadata: { name: gpt-4o-mini }, spec: { parentRefs: [{ name: gw }], provider: OpenAI } }
- { apiVersion: agentgateway.dev/v1alpha1, kind: AgentgatewayModel, metadata: { name: qwen-workload }, spec: { parentRefs: [{ name: gw }], match: { model: Qwen/Qwen3-8B }, visibility: Internal, provider: Custom, baseURL: "http://qwen.models.svc.cluster.local:8000/v1", custom: { formats: [Completions] } } }
- { apiVersion: agentgateway.dev/v1alpha1, kind: AgentgatewayModel, metadata: { name: resilient }, spec: { virtualModel: { failover: { targets: [{ modelRef: { name: qwen-workload }, priority: 0 }, { modelRef: { name: gpt-4o-mini }, priority: 1 }, { modelRef: { name: gone } }] } } } }
- apiVersion: agentgateway.dev/v1alpha1
  kind: AgentgatewayBackend
  metadata: { name: tiers }
  spec:
    ai:
      groups:
      - providers: [{ name: azure, azureopenai: { endpoint: contoso.openai.azure.com, deploymentName: gpt-4o-eu, apiVersion: 2024-10-21 }, policies: { auth: { secretRef: { name: azure-key } } } }]
      - providers: [{ name: claude, anthropic: { model: claude-sonnet-4-0 }, policies: { auth: { key: "$ANTHROPIC_API_KEY" } } }, { name: odd, somethingelse: { model: x } }]
- { apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: { name: tiers }, spec: { rules: [{ backendRefs: [{ name: tiers, kind: AgentgatewayBackend }] }] } }
`),
    says: [
      "NotImported items[2].spec.virtualModel.failover.targets[2].modelRef.name: there is no such model",
      "Secret items[3].spec.ai.groups[0].providers[0].policies.auth.secretRef: make Secret azure",
      "NotImported items[3].spec.ai.groups[1].providers[1].name: no type of LLMProvider is known for somethingelse",
    ],
    want: [
      "LLMProvider azure: AzureOpenAI gpt-4o-eu endpoint=https://contoso.openai.azure.com credentials={secretRef:{name:azure}} options={apiVersion:2024-10-21,surface:Deployments}",
      "LLMProvider claude: Anthropic claude-sonnet-4-0 credentials={secretRef:{name:claude}}",
      "RoutingPolicy tiers: {models:[gpt-4o-eu,claude-sonnet-4-0]} Priority azure/gpt-4o-eu#1 claude/claude-sonnet-4-0#2",
      "LLMProvider openai: OpenAI gpt-4o-mini credentials={secretRef:{name:openai}}",
      "RoutingPolicy gpt-4o-mini: {models:[gpt-4o-mini]} Priority openai/gpt-4o-mini",
      "LLMProvider custom: OpenAICompatible Qwen/Qwen3-8B endpoint=http://qwen.models.svc.cluster.local:8000/v1 allowPrivateEndpoint=true",
      "RoutingPolicy resilient: {models:[resilient]} Priority custom/Qwen/Qwen3-8B#1 openai/gpt-4o-mini#2",
      "Secret azure: apiKey=?",
      "Secret claude: apiKey=$ANTHROPIC_API_KEY",
      "Secret openai: apiKey=$OPENAI_API_KEY",
    ],
  },
  {
    title: "a configuration of nothing, and one that is odd",
    source,
    files: {
      "a.yaml": "llm: {}\n",
      "b.yaml":
        "llm: { models: [{ name: a }, { provider: openAI }, 7], virtualModels: [{ name: v, routing: {} }], policies: { localRateLimit: [{ type: tokens }] } }\nbinds: [{ listeners: [{ routes: [{ backends: [{ ai: { name: x, provider: 3 } }] }] }] }]\n",
    },
    says: [
      "NotImported llm.policies.localRateLimit[0]: limits have a number",
      "NotImported llm.models[0].name",
      "NotImported binds[0].listeners[0].routes[0].backends[0].ai.provider",
    ],
    want: [],
  },
];

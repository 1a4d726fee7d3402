/** Our own texts, with the settings and values that public configurations of Kong have. */
import type { ImportCase } from "../check.ts";

const source = "kong";

export const cases: readonly ImportCase[] = [
  {
    title: "two routes of one service, to Ollama and to OpenAI",
    source,
    files: {
      "ai-proxy.yaml": `
_format_version: "3.0"
_konnect: { control_plane_name: workshop }
_info: { select_tags: [llm] }
services:
  - name: service1
    host: localhost
    port: 32000
    routes:
      - name: ollama-route
        paths: [/ollama-route]
        plugins:
          - name: ai-proxy
            instance_name: ai-proxy-ollama
            config:
              route_type: llm/v1/chat
              model:
                provider: llama2
                name: llama3.2:1b
                options: { llama2_format: ollama, upstream_url: "http://ollama.ollama:11434/api/chat" }
      - name: openai-route
        paths: [/openai-route]
        plugins:
          - name: ai-proxy
            config:
              route_type: llm/v1/chat
              auth: { header_name: Authorization, header_value: 'Bearer \${{ env "DECK_OPENAI_API_KEY" }}' }
              model: { provider: openai, name: gpt-5, options: { temperature: 1.0 } }
`,
    },
    want: [
      "LLMProvider ollama: OpenAICompatible/Ollama llama3.2:1b endpoint=http://ollama.ollama:11434/v1 allowPrivateEndpoint=true",
      "RoutingPolicy ollama-route: {pathPrefix:/ollama-route} Priority ollama/llama3.2:1b access={anonymous:true}",
      "LLMProvider openai: OpenAI gpt-5 credentials={secretRef:{name:openai}}",
      "RoutingPolicy openai-route: {pathPrefix:/openai-route} Priority openai/gpt-5 request={defaults:{temperature:1}} access={anonymous:true}",
      "Secret openai: apiKey=$OPENAI_API_KEY",
    ],
  },
  {
    title: "shares of traffic by weight",
    source,
    files: {
      "kong.yaml": `
_format_version: "3.0"
services:
  - name: llm
    url: http://localhost:32000
    routes:
      - name: route1
        paths: [/route1]
        plugins:
          - name: ai-proxy-advanced
            config:
              targets:
                - model: { provider: openai, name: gpt-4.1, options: { temperature: 1.0 } }
                  route_type: llm/v1/chat
                  auth: { header_name: Authorization, header_value: "Bearer \${OPENAI_API_KEY}" }
                  weight: 80
                - model: { provider: llama2, name: "llama3.2:1b", options: { llama2_format: ollama, upstream_url: "http://ollama.ollama:11434/api/chat" } }
                  route_type: llm/v1/chat
                  weight: 20
`,
    },
    want: [
      "LLMProvider openai: OpenAI gpt-4.1 credentials={secretRef:{name:openai}}",
      "LLMProvider ollama: OpenAICompatible/Ollama llama3.2:1b endpoint=http://ollama.ollama:11434/v1 allowPrivateEndpoint=true",
      "RoutingPolicy route1: {pathPrefix:/route1} Weighted openai/gpt-4.1*80 ollama/llama3.2:1b*20 request={defaults:{temperature:1}} access={anonymous:true}",
      "Secret openai: apiKey=$OPENAI_API_KEY",
    ],
  },
  {
    title: "a balancer with failover, key-auth and consumers",
    source,
    files: {
      "kong.yaml": `
_format_version: "3.0"
plugins:
  - name: ai-proxy-advanced
    config:
      balancer:
        algorithm: lowest-usage
        retries: 5
        connect_timeout: 60000
        read_timeout: 60000
        write_timeout: 60000
        failover_criteria: [error, timeout, http_429, http_503, non_idempotent, invalid_header]
        slots: 10000
        hash_on_header: X-Kong-LLM-Request-ID
      llm_format: openai
      response_streaming: allow
      targets:
        - model: { provider: openai, name: gpt-4.1-mini, options: { max_tokens: 512, input_cost: 0.4, output_cost: 1.6 } }
          route_type: llm/v1/chat
          auth: { allow_override: false, header_name: Authorization, header_value: Bearer sk-proj-9e8d7c6b5a4f3e2d1c }
          logging: { log_payloads: true, log_statistics: true }
        - model: { provider: azure, name: gpt-4o, options: { azure_instance: contoso, azure_deployment_id: gpt-4o-eu, azure_api_version: "2024-10-21" } }
          route_type: llm/v1/chat
          auth: { header_name: api-key, header_value: "{vault://env/azure-key}" }
  - name: key-auth
    config: { key_names: [apikey], hide_credentials: true }
consumers:
  - username: alex
    tags: [mobile]
    groups: [{ name: apps }]
    keyauth_credentials: [{ key: alex-long-enough-key-0123456789 }]
  - username: kim
    keyauth_credentials: [{ key: secret-key }]
`,
    },
    secrets: ["sk-proj-9e8d7c6b5a4f3e2d1c", "alex-long-enough-key-0123456789"],
    says: [
      "Changed plugins[0].config.balancer.algorithm: routing.strategy is Weighted; usage isn't compared",
      "Changed consumers[1].keyauth_credentials[0].key: ApiKey kim gets a new key",
    ],
    want: [
      "LLMProvider openai: OpenAI gpt-4.1-mini{price:{inputPerMillion:0.4,outputPerMillion:1.6}} credentials={secretRef:{name:openai}} timeouts={connect:60s,write:60s,idle:60s} retry={attempts:6}",
      "LLMProvider azure-contoso: AzureOpenAI gpt-4o-eu endpoint=https://contoso.openai.azure.com credentials={secretRef:{name:azure-contoso}} options={surface:Deployments,apiVersion:2024-10-21} timeouts={connect:60s,write:60s,idle:60s} retry={attempts:6}",
      "RoutingPolicy kong: {models:[gpt-4.1-mini,gpt-4o]} Weighted openai/gpt-4.1-mini*100 azure-contoso/gpt-4o-eu*100 fallbackOn=[Unavailable,Timeout,RateLimited] request={defaults:{max_tokens:512}} logging={payloads:true}",
      "ApiKey alex: user=alex team=apps tags=[mobile] writeTo={name:alex-llm-key}",
      "ApiKey kim: user=kim writeTo={name:kim-llm-key}",
      "Secret openai: apiKey=***",
      "Secret azure-contoso: apiKey=$AZURE_KEY",
      "Secret alex-llm-key: apiKey=***",
    ],
  },
  {
    title: "prompts, guard, limits and addresses of a route",
    source,
    files: {
      "kong.yaml": `
_format_version: "3.0"
services:
  - name: chat
    url: http://127.0.0.1:1
    plugins:
      - name: rate-limiting
        config: { minute: 100, hour: 1000, limit_by: ip, policy: local }
    routes:
      - name: Chat Route
        paths: ["/chat/v1/chat/completions"]
        strip_path: false
        hosts: [ai.example.com]
routes:
  - name: open
    service: { name: chat }
    paths: ["/v1/chat/completions"]
plugins:
  - name: ai-proxy
    service: chat
    config:
      route_type: llm/v1/chat
      auth: { header_name: x-api-key, header_value: '\${{ env "DECK_ANTHROPIC_KEY" }}', allow_override: true }
      logging: { log_statistics: true, log_payloads: false }
      model: { provider: anthropic, name: claude-sonnet-4-5, options: { anthropic_version: "2023-06-01", max_tokens: 1024 } }
  - name: ai-prompt-decorator
    route: Chat Route
    config:
      prompts:
        prepend: [{ role: system, content: "You answer briefly." }, { role: assistant, content: "Yes?" }]
        append: [{ role: user, content: "Answer in French." }]
  - name: ai-prompt-guard
    config: { allow_patterns: [".*"], deny_patterns: ["(?i)ignore (all )?previous", "(?!x)y"], allow_all_conversation_history: true }
  - name: ip-restriction
    config: { allow: [10.0.0.0/8] }
  - name: ai-sanitizer
    config: { anonymize: [phone, email, general], port: 9000 }
  - name: ai-rate-limiting-advanced
    config: { llm_providers: [{ name: anthropic, limit: [1000], window_size: [3600] }] }
  - name: cors
`,
    },
    says: [
      "NotImported plugins[2].config.deny_patterns[1]: it is not a pattern of RE2",
      "NotImported plugins[6].name: no counterpart is known",
      "NotImported plugins[0].config.auth.allow_override: callers can't bring a provider's key",
      "Changed services[0].routes[0].paths[0]: match.pathPrefix is /chat",
    ],
    want: [
      "LLMProvider anthropic: Anthropic claude-sonnet-4-5 credentials={secretRef:{name:anthropic}} options={version:2023-06-01}",
      "RoutingPolicy chat-route: {pathPrefix:/chat} Priority anthropic/claude-sonnet-4-5 request={defaults:{max_tokens:1024},prompts:[{role:system,position:Prepend,content:You answer briefly.},{role:user,position:Append,content:Answer in French.}]} access={anonymous:true,networks:[10.0.0.0/8]} limits=[{per:Route,requests:100,window:1m},{per:Route,requests:1000,window:1h},{per:Route,tokens:1000,window:3600s}] guard={deny:[(?i)ignore (all )?previous],allow:[.*],mask:{detect:[Phone,Email]}}",
      "RoutingPolicy open: {models:[claude-sonnet-4-5]} Priority anthropic/claude-sonnet-4-5 request={defaults:{max_tokens:1024}} access={networks:[10.0.0.0/8]} limits=[{per:ApiKey,requests:100,window:1m},{per:ApiKey,requests:1000,window:1h},{per:ApiKey,tokens:1000,window:3600s}] guard={deny:[(?i)ignore (all )?previous],allow:[.*],mask:{detect:[Phone,Email]}}",
      "Secret anthropic: apiKey=$ANTHROPIC_KEY",
    ],
  },
  {
    title: "a KongPlugin of an Ingress",
    source,
    files: {
      "kong-plugin.yaml": `
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: { name: llm, namespace: kong }
plugin: ai-proxy
config:
  route_type: llm/v1/chat
  auth: { header_name: Authorization, header_value: Bearer dummy }
  model: { provider: openai, name: qwen3, options: { upstream_url: "http://vllm.models.svc:8000/v1/chat/completions" } }
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: chat, namespace: kong, annotations: { konghq.com/plugins: llm } }
spec:
  ingressClassName: kong
  rules:
    - http: { paths: [{ path: /Chat, pathType: Prefix, backend: { service: { name: echo, port: { number: 80 } } } }] }
`,
    },
    want: [
      "LLMProvider vllm: OpenAICompatible qwen3 endpoint=http://vllm.models.svc:8000/v1 allowPrivateEndpoint=true",
      "RoutingPolicy chat: {pathPrefix:/chat} Priority vllm/qwen3 access={anonymous:true}",
    ],
  },
  {
    title: "the plug-in alone, as the Admin API takes it",
    source,
    files: {
      "plugin.json": JSON.stringify({
        name: "ai-proxy",
        config: {
          route_type: "llm/v1/chat",
          auth: { header_name: "Authorization", header_value: "Bearer sk-live-00112233445566778899" },
          model: { provider: "openai", name: "gpt-4o", options: { max_tokens: 512, temperature: 0.7 } },
          logging: { log_statistics: true, log_payloads: true },
        },
      }),
    },
    secrets: ["sk-live-00112233445566778899"],
    says: ["Changed name: callers need an ApiKey: only a policy with a pathPrefix can be open"],
    want: [
      "LLMProvider openai: OpenAI gpt-4o credentials={secretRef:{name:openai}}",
      "RoutingPolicy ai-proxy: {models:[gpt-4o]} Priority openai/gpt-4o request={defaults:{max_tokens:512,temperature:0.7}} logging={payloads:true}",
      "Secret openai: apiKey=***",
    ],
  },
  {
    title: "clouds: Vertex AI, Bedrock and a managed identity of Azure",
    source,
    files: {
      "kong.yaml": `
_format_version: "3.0"
routes:
  - name: cloud
    paths: [/cloud]
    plugins:
      - name: ai-proxy-advanced
        config:
          balancer: { algorithm: priority, max_fails: 3, fail_timeout: 10000 }
          targets:
            - route_type: llm/v1/chat
              auth: { gcp_use_service_account: true, gcp_service_account_json: "\${GCP_SERVICE_ACCOUNT_JSON}" }
              model: { provider: gemini, name: gemini-2.5-flash, options: { gemini: { api_endpoint: us-central1-aiplatform.googleapis.com, project_id: my-project-1, location_id: us-central1 } } }
            - route_type: llm/v1/chat
              auth: { aws_access_key_id: "{vault://env/aws-key}", aws_secret_access_key: "{vault://env/aws-secret}" }
              model: { provider: bedrock, name: "anthropic.claude-3-5-sonnet-20241022-v2:0", options: { bedrock: { aws_region: eu-central-1 } } }
            - route_type: llm/v1/chat
              auth: { azure_use_managed_identity: true }
              model: { provider: azure, name: gpt-4o, options: { azure_instance: contoso, azure_deployment_id: gpt-4o } }
            - route_type: image/v1/images/generations
              model: { provider: openai, name: gpt-image-1 }
            - route_type: llm/v1/chat
              model: { provider: teapot, name: earl-grey }
`,
    },
    says: [
      "NotImported routes[0].plugins[0].config.targets[3]: calls of image/v1/images/generations need a policy of their own, if Sluice serves them",
      "NotImported routes[0].plugins[0].config.targets[4]: the provider is not known",
    ],
    want: [
      "LLMProvider vertexai: VertexAI gemini-2.5-flash credentials={secretRef:{name:vertexai}} options={project:my-project-1,location:us-central1} circuitBreaker={failureThreshold:3,openFor:10s}",
      "LLMProvider bedrock: Bedrock anthropic.claude-3-5-sonnet-20241022-v2:0 credentials={secretRef:{name:bedrock}} options={region:eu-central-1} circuitBreaker={failureThreshold:3,openFor:10s}",
      "LLMProvider azure-contoso: AzureOpenAI gpt-4o endpoint=https://contoso.openai.azure.com credentials={workloadIdentity:{azure:{}}} circuitBreaker={failureThreshold:3,openFor:10s}",
      "RoutingPolicy cloud: {pathPrefix:/cloud} Priority vertexai/gemini-2.5-flash#1 bedrock/anthropic.claude-3-5-sonnet-20241022-v2:0#2 azure-contoso/gpt-4o#3 access={anonymous:true}",
      "Secret vertexai: serviceAccountJson=$GCP_SERVICE_ACCOUNT_JSON",
      "Secret bedrock: accessKeyId=$AWS_KEY secretAccessKey=$AWS_SECRET",
    ],
  },
];

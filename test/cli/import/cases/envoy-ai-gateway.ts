/** Our own texts, with the settings and values that public configurations of Envoy AI Gateway have. */
import type { ImportCase } from "../check.ts";

const source = "envoy-ai-gateway";

const backend = (name: string, schema: string, hostname: string): string => `
apiVersion: aigateway.envoyproxy.io/v1beta1
kind: AIServiceBackend
metadata: { name: ${name} }
spec: { schema: ${schema}, backendRef: { name: ${name}-upstream, kind: Backend, group: gateway.envoyproxy.io } }
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: { name: ${name}-upstream }
spec: { endpoints: [{ fqdn: { hostname: ${hostname}, port: 443 } }] }
---`;

export const cases: readonly ImportCase[] = [
  {
    title: "one model by name, with a key in a Secret of the file",
    source,
    files: {
      "gateway.yaml": `${backend("openai", "{ name: OpenAI, version: v1 }", "api.openai.com")}
apiVersion: aigateway.envoyproxy.io/v1alpha1
kind: BackendSecurityPolicy
metadata: { name: openai-key }
spec:
  targetRefs: [{ group: aigateway.envoyproxy.io, kind: AIServiceBackend, name: openai }]
  type: APIKey
  apiKey: { secretRef: { name: openai-secret, namespace: default } }
---
apiVersion: v1
kind: Secret
metadata: { name: openai-secret }
type: Opaque
stringData: { apiKey: sk-live-77665544332211009988 }
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: BackendTLSPolicy
metadata: { name: tls }
spec: { validation: { wellKnownCACertificates: System, hostname: api.openai.com } }
---
apiVersion: aigateway.envoyproxy.io/v1alpha1
kind: AIGatewayRoute
metadata: { name: llm-route }
spec:
  parentRefs: [{ name: llm-gateway, kind: Gateway, group: gateway.networking.k8s.io }]
  rules:
    - matches: [{ headers: [{ type: Exact, name: x-ai-eg-model, value: gpt-4o-mini }] }]
      backendRefs: [{ name: openai }]
      timeouts: { request: 60s }
  llmRequestCosts: [{ metadataKey: llm_total_token, type: TotalToken }]
`,
    },
    secrets: ["sk-live-77665544332211009988"],
    says: [
      "Changed spec.llmRequestCosts: costs are counted in USD",
      "NotImported spec: certificates of public authorities",
    ],
    want: [
      "LLMProvider openai: OpenAI gpt-4o-mini credentials={secretRef:{name:openai}} timeouts={total:60s}",
      "RoutingPolicy llm-route: {models:[gpt-4o-mini]} Priority openai/gpt-4o-mini",
      "Secret openai: apiKey=***",
    ],
  },
  {
    title: "fallback by priority to Bedrock, with names of its own",
    source,
    files: {
      "gateway.yaml": `${backend("qwen", "{ name: OpenAI }", "qwen.example.net")}${backend("aws", "{ name: AWSBedrock }", "bedrock-runtime.us-east-1.amazonaws.com")}
apiVersion: aigateway.envoyproxy.io/v1alpha1
kind: BackendSecurityPolicy
metadata: { name: aws-credentials }
spec:
  targetRefs: [{ group: aigateway.envoyproxy.io, kind: AIServiceBackend, name: aws }]
  type: AWSCredentials
  awsCredentials: { region: us-east-1, credentialsFile: { secretRef: { name: aws-file } } }
---
apiVersion: aigateway.envoyproxy.io/v1alpha1
kind: AIGatewayRoute
metadata: { name: fallback }
spec:
  rules:
    - matches:
        - headers: [{ name: x-ai-eg-model, value: qwen3.6 }]
        - headers: [{ name: x-ai-eg-model, value: qwen3.6-35b-a3b }]
      backendRefs:
        - { name: qwen, priority: 0 }
        - { name: aws, priority: 1, modelNameOverride: anthropic.claude-3-5-sonnet-20241022-v2:0 }
    - backendRefs: [{ name: qwen }]
`,
    },
    says: ["NotImported spec.rules[1].backendRefs[0]: an LLMProvider lists its models"],
    want: [
      "LLMProvider qwen: OpenAICompatible qwen3.6 qwen3.6-35b-a3b endpoint=https://qwen.example.net/v1",
      "LLMProvider aws: Bedrock anthropic.claude-3-5-sonnet-20241022-v2:0 credentials={secretRef:{name:aws}} options={region:us-east-1}",
      "RoutingPolicy fallback-1: {models:[qwen3.6,qwen3.6-35b-a3b]} Priority qwen#1 aws/anthropic.claude-3-5-sonnet-20241022-v2:0#2",
      "Secret aws: accessKeyId=? secretAccessKey=?",
    ],
  },
  {
    title: "weights, Azure with Entra, Anthropic, and a Service of the cluster",
    source,
    files: {
      "gateway.yaml": `${backend("azure", '{ name: AzureOpenAI, version: "2025-01-01-preview" }', "contoso.openai.azure.com")}${backend("anthropic", "{ name: Anthropic }", "api.anthropic.com")}
apiVersion: aigateway.envoyproxy.io/v1alpha1
kind: AIServiceBackend
metadata: { name: local }
spec: { schema: { name: OpenAI, version: v1 }, backendRef: { name: vllm, namespace: models, port: 8000 } }
---
apiVersion: aigateway.envoyproxy.io/v1alpha1
kind: BackendSecurityPolicy
metadata: { name: azure }
spec:
  targetRefs: [{ kind: AIServiceBackend, name: azure }]
  type: AzureCredentials
  azureCredentials: { tenantID: 11111111-2222-3333-4444-555555555555, clientID: 66666666-7777-8888-9999-000000000000, clientSecretRef: { name: azure-client } }
---
apiVersion: aigateway.envoyproxy.io/v1alpha1
kind: AIGatewayRoute
metadata: { name: split }
spec:
  rules:
    - matches: [{ headers: [{ name: x-ai-eg-model, value: gpt-4o }, { name: x-tenant, value: gold }] }]
      backendRefs:
        - { name: azure, weight: 80 }
        - { name: local, weight: 20, modelNameOverride: Qwen/Qwen3-32B }
    - matches: [{ headers: [{ name: x-ai-eg-model, value: claude-sonnet-4-5 }] }]
      backendRefs: [{ name: anthropic }, { name: missing }]
---
apiVersion: aigateway.envoyproxy.io/v1alpha1
kind: QuotaPolicy
metadata: { name: quota }
spec: { targetRefs: [{ name: azure }], perModelQuotas: [{ modelName: gpt-4o, quota: { mode: Shared } }] }
`,
    },
    says: [
      "NotImported spec.rules[0].matches[0].headers[1]: a policy is chosen by model",
      "NotImported spec.rules[1].backendRefs[1]: the AIServiceBackend is not part of the import",
      "NotImported spec: set quota of the LLMProvider's models",
    ],
    want: [
      "LLMProvider azure: AzureOpenAI gpt-4o endpoint=https://contoso.openai.azure.com credentials={secretRef:{name:azure}} options={clientId:66666666-7777-8888-9999-000000000000,tenantId:11111111-2222-3333-4444-555555555555,surface:Deployments,apiVersion:2025-01-01-preview}",
      "LLMProvider local: OpenAICompatible Qwen/Qwen3-32B endpoint=http://vllm.models.svc:8000/v1 allowPrivateEndpoint=true",
      "RoutingPolicy split-1: {models:[gpt-4o]} Weighted azure/gpt-4o*80 local/Qwen/Qwen3-32B*20",
      "LLMProvider anthropic: Anthropic claude-sonnet-4-5 endpoint=https://api.anthropic.com credentials={secretRef:{name:anthropic}}",
      "RoutingPolicy split-2: {models:[claude-sonnet-4-5]} Priority anthropic/claude-sonnet-4-5",
      "Secret azure: clientSecret=?",
      "Secret anthropic: apiKey=$ANTHROPIC_API_KEY",
    ],
  },
];

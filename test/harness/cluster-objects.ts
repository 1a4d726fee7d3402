/** Manifests that several tests of a cluster apply, in namespace team-a. */

/** An OpenAI-compatible provider that is asked once a call. `more`: further lines of its spec, indented by two. */
export const compatibleProvider = (name: string, url: string, more: string): string => `
apiVersion: sluice.dev/v1alpha1
kind: LLMProvider
metadata: { name: ${name}, namespace: team-a }
spec:
  type: OpenAICompatible
  endpoint: ${url}/v1
  allowPrivateEndpoint: true
  models: [{ name: gpt-4o }]
  retry: { attempts: 1 }
${more}
`;

/** alice@example.com and her key. */
export const alice = (clearKey: string): string => `${secretOf("alice-key", clearKey)}---
apiVersion: sluice.dev/v1alpha1
kind: ApiKey
metadata: { name: alice, namespace: team-a }
spec: { user: alice@example.com, writeTo: { name: alice-key } }
`;

/** A policy for the model `small` of provider `main`, for callers with the role `workload`, and an account for one. */
export const workloadChat = `apiVersion: sluice.dev/v1alpha1
kind: RoutingPolicy
metadata: { name: chat, namespace: team-a }
spec:
  match: { models: [small] }
  access: { roles: [workload] }
  routing: { targets: [{ provider: { name: main } }] }
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: worker, namespace: team-a }
`;

/** A Secret with one key, `apiKey`, which providers of its namespace may use. */
export const secretOf = (name: string, value: string): string => `
apiVersion: v1
kind: Secret
metadata: { name: ${name}, namespace: team-a, labels: { sluice.dev/readable: "true" } }
stringData: { apiKey: ${value} }
`;

/** An OpenAI-compatible provider whose key is in a Secret's `apiKey`. `endpoint`: with its /v1. `models`: as YAML. */
export const providerWithKey = (name: string, endpoint: string, secret: string, models: string): string => `
apiVersion: sluice.dev/v1alpha1
kind: LLMProvider
metadata: { name: ${name}, namespace: team-a }
spec:
  type: OpenAICompatible
  endpoint: ${endpoint}
  allowPrivateEndpoint: true
  credentials: { secretRef: { name: ${secret}, key: apiKey } }
  models: ${models}
`;

/** The same with that Secret, of one name. */
export const keyedProvider = (name: string, endpoint: string, models: string): string =>
  `${secretOf(name, "sk-upstream")}---${providerWithKey(name, endpoint, name, models)}`;

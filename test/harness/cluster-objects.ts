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
export const alice = (clearKey: string): string => `
apiVersion: v1
kind: Secret
metadata: { name: alice-key, namespace: team-a }
stringData: { apiKey: ${clearKey} }
---
apiVersion: sluice.dev/v1alpha1
kind: ApiKey
metadata: { name: alice, namespace: team-a }
spec: { user: alice@example.com, writeTo: { name: alice-key } }
`;

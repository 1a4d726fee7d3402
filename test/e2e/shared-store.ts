/** Redis or Valkey in the cluster, with a password and without a volume: it forgets everything when it ends. */
import { system } from "./installation.ts";
import type { KubeNode } from "./node.ts";

/** Helm values of a release that uses it. */
export const storeValues = [
  `state.url=redis://store.${system}.svc:6379`,
  "state.secretRef.name=store",
  "networkPolicy.egressPorts={443,9000}",
];

const labels = { "app.kubernetes.io/component": "store" };

export async function applyStore(node: KubeNode, server: "redis" | "valkey"): Promise<void> {
  await node.kubectl("-n", system, "create", "secret", "generic", "store", "--from-literal=password=e2e-password");
  const container = {
    name: "store",
    image: `localhost/${server}:1`,
    args: ["--save", "", "--requirepass", "$(PASSWORD)"],
    env: [{ name: "PASSWORD", valueFrom: { secretKeyRef: { name: "store", key: "password" } } }],
    ports: [{ containerPort: 6379 }],
    readinessProbe: { tcpSocket: { port: 6379 }, periodSeconds: 1 },
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
  };
  const pod = {
    securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: "RuntimeDefault" } },
    terminationGracePeriodSeconds: 1,
    containers: [container],
  };
  const template = { metadata: { labels }, spec: pod };
  const metadata = { name: "store", namespace: system };
  const items = [
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata,
      spec: { replicas: 1, selector: { matchLabels: labels }, template },
    },
    { apiVersion: "v1", kind: "Service", metadata, spec: { selector: labels, ports: [{ port: 6379 }] } },
  ];
  await node.apply(JSON.stringify({ apiVersion: "v1", kind: "List", items }));
  await node.kubectl("-n", system, "rollout", "status", "deployment/store", "--timeout=120s");
}

/** A Redis in the cluster, with a password and without a volume: it forgets everything when it ends. */
import { system } from "./installation.ts";
import type { KubeNode } from "./node.ts";

/** Helm values of a release that uses it. */
export const redisValues = [
  `state.url=redis://redis.${system}.svc:6379`,
  "state.secretRef.name=redis",
  "networkPolicy.egressPorts={443,9000}",
];

const labels = { "app.kubernetes.io/component": "redis" };

export async function applyRedis(node: KubeNode): Promise<void> {
  await node.kubectl("-n", system, "create", "secret", "generic", "redis", "--from-literal=password=e2e-password");
  const container = {
    name: "redis",
    image: "localhost/redis:1",
    args: ["--save", "", "--requirepass", "$(PASSWORD)"],
    env: [{ name: "PASSWORD", valueFrom: { secretKeyRef: { name: "redis", key: "password" } } }],
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
  const metadata = { name: "redis", namespace: system };
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
  await node.kubectl("-n", system, "rollout", "status", "deployment/redis", "--timeout=120s");
}

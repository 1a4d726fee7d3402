/** The project's own metrics-server, as a process in the node, behind the API server's aggregation. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { ensureTool } from "../harness/tools.ts";
import { until } from "../harness/until.ts";
import type { Installation } from "./installation.ts";

const port = 4443;

/** Service and APIService as metrics-server's manifests have them, with the node's address in the place of Pods. */
const objects = (address: string, ca: string): object[] => [
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "metrics-server", namespace: "kube-system" },
    spec: { ports: [{ name: "https", port: 443, targetPort: port }] },
  },
  {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name: "metrics-server-1",
      namespace: "kube-system",
      labels: { "kubernetes.io/service-name": "metrics-server" },
    },
    addressType: "IPv4",
    ports: [{ name: "https", port }],
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
  },
  {
    apiVersion: "apiregistration.k8s.io/v1",
    kind: "APIService",
    metadata: { name: "v1beta1.metrics.k8s.io" },
    spec: {
      group: "metrics.k8s.io",
      version: "v1beta1",
      groupPriorityMinimum: 100,
      versionPriority: 100,
      service: { name: "metrics-server", namespace: "kube-system" },
      caBundle: Buffer.from(ca).toString("base64"),
    },
  },
];

export async function startMetricsServer(release: Installation): Promise<void> {
  const { node } = release;
  const binary = await ensureTool("metrics-server");
  const certs = join(node.home, "certs");
  const admin = join(certs, "admin.kubeconfig");
  const folder = join(node.home, "metrics-server");
  await mkdir(folder, { recursive: true });
  release.startProcess(binary, [
    ...["kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"].map((flag) => `--${flag}=${admin}`),
    `--secure-port=${port}`,
    `--cert-dir=${folder}`,
    `--tls-cert-file=${join(certs, "metrics-server.crt")}`,
    `--tls-private-key-file=${join(certs, "metrics-server.key")}`,
    `--kubelet-certificate-authority=${join(certs, "ca.crt")}`,
    "--kubelet-preferred-address-types=InternalIP",
    "--metric-resolution=10s",
    "--kubelet-request-timeout=5s",
  ]);
  const ca = await node.must("cat", join(certs, "ca.crt"));
  await node.apply(JSON.stringify({ apiVersion: "v1", kind: "List", items: objects(release.host, ca) }));
  await until("metrics are served", () => node.kubectl("top", "node"), 120_000, 1_000);
}

/** Serves the console of a cluster on a port of its own. */
import fastify from "fastify";
import { onHost } from "../../proxy/config/listen-host.ts";
import type { Cluster } from "../cluster/api.ts";
import { clusterView } from "../cluster/console-source.ts";
import { clusterReviews } from "../cluster/reviews.ts";
import type { ClusterSource } from "../cluster/source.ts";
import type { OperatorSettings } from "../settings/settings.ts";
import { consolePath } from "./assets.ts";
import { serveConsole } from "./server.ts";
import { tokenGate } from "./token-gate.ts";

const mostBodyBytes = 16_384;

/** null if the settings have no console. */
export async function startConsole(
  settings: OperatorSettings,
  cluster: Cluster,
  source: ClusterSource,
  failed: (cause: unknown) => void,
): Promise<{ url: string; close(): Promise<void> } | null> {
  if (settings.console === null) return null;
  const { port } = settings.console;
  const app = fastify({ logger: false, bodyLimit: mostBodyBytes });
  const view = clusterView(cluster, settings, source, Date.now);
  const namespaces = (): string[] => [...new Set(source.objects().map(({ meta }) => meta.namespace))];
  serveConsole(app, {
    gate: tokenGate(clusterReviews(cluster), namespaces, Date.now),
    source: {
      read: async () => ({ ...(await view.published()), objects: view.objects() }),
      proxies: view.proxies,
    },
    nowMs: Date.now,
    failed,
  });
  await onHost(settings.statusHost, (host) => app.listen({ host, port }));
  return { url: `${app.listeningOrigin}${consolePath}`, close: () => app.close() };
}

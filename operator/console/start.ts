/** Serves the console of a cluster on a separate port. */
import fastify from "fastify";
import { egressOf } from "../../proxy/config/egress/egress.ts";
import { onHost } from "../../proxy/config/listen-host.ts";
import type { Cluster } from "../cluster/api.ts";
import { clusterView } from "../cluster/console-source.ts";
import { clusterReviews } from "../cluster/reviews.ts";
import type { ClusterSource } from "../cluster/source.ts";
import type { ConsoleSettings } from "../settings/console.ts";
import { renderedIssuers } from "../settings/identity.ts";
import type { OperatorSettings } from "../settings/settings.ts";
import { consolePath } from "./assets.ts";
import { OidcLogin } from "./oidc-login.ts";
import { cookieSeal } from "./sealed-cookie.ts";
import { serveConsole } from "./server.ts";
import { tokenGate } from "./token-gate.ts";

const maxBodyBytes = 16_384;

function oidcLogin(
  { identity }: OperatorSettings,
  { url, oidc }: ConsoleSettings,
  secret: () => Promise<string>,
  failed: (cause: unknown) => void,
): OidcLogin | null {
  if (oidc === null) return null;
  const issuer = renderedIssuers(identity, null).find(({ name }) => name === oidc.issuer);
  if (issuer === undefined) return null;
  const clientSecret = process.env["SLUICE_CONSOLE_CLIENT_SECRET"] ?? "";
  const seal = cookieSeal(secret, Date.now);
  const egress = egressOf(process.env);
  return new OidcLogin({ settings: oidc, issuer, clientSecret, url, seal, egress, nowMs: Date.now, failed });
}

/** null if the settings have no console. */
export async function startConsole(
  settings: OperatorSettings,
  cluster: Cluster,
  source: ClusterSource,
  failed: (cause: unknown) => void,
): Promise<{ url: string; close(): Promise<void> } | null> {
  if (settings.console === null) return null;
  const { port } = settings.console;
  const app = fastify({ logger: false, bodyLimit: maxBodyBytes });
  const view = clusterView(cluster, settings, source, Date.now);
  const namespaces = (): string[] => [...new Set(source.objects().map(({ meta }) => meta.namespace))];
  const kubernetes = clusterReviews(cluster);
  const oidc = oidcLogin(settings, settings.console, view.token, failed);
  serveConsole(app, {
    gate: tokenGate(oidc?.reviews(kubernetes) ?? kubernetes, namespaces, Date.now),
    oidc,
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

/** Reaches the proxies' status ports through the API server, for people who can't reach Pods directly. */
import { Buffer } from "node:buffer";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest, type RequestOptions } from "node:https";
import type { KubeConfig, V1EndpointSlice } from "@kubernetes/client-node";
import { statusTokenHeader } from "../../proxy/config/status-token.ts";
import { type Cluster, orNull } from "./api.ts";
import { readyEndpoints } from "./proxies.ts";

export interface StatusPort {
  namespace: string;
  pod: string;
  port: number;
  /** Secret in that namespace with the port's token; "" if unknown. */
  secret: string;
}

/** Label on the Service, and so on its slices: name of the Secret with the status token. */
const secretLabel = "sluice.dev/status-token";

/** Pure: status ports of the Pods that are ready. */
function statusPorts(slices: readonly V1EndpointSlice[]): StatusPort[] {
  const endpoints = slices.flatMap((slice) =>
    readyEndpoints(slice)
      .filter((endpoint) => endpoint.targetRef?.kind === "Pod")
      .map((endpoint) => ({
        namespace: endpoint.targetRef?.namespace ?? "",
        pod: endpoint.targetRef?.name ?? "",
        port: slice.ports?.[0]?.port ?? 0,
        secret: slice.metadata?.labels?.[secretLabel] ?? "",
      })),
  );
  // A Pod with two addresses is in two slices.
  return [...new Map(endpoints.map((proxy) => [`${proxy.namespace}/${proxy.pod}`, proxy])).values()];
}

/** Slices carry their Service's labels, whatever the release is called. */
const labelSelector = "app.kubernetes.io/component=proxy-status";

export async function findStatusPorts(cluster: Cluster, namespace: string): Promise<StatusPort[]> {
  const { items } = await cluster.discovery.listNamespacedEndpointSlice({ namespace, labelSelector });
  return statusPorts(items);
}

/**
 * The token of these ports; "" if the Secret does not exist, as with proxies of an earlier version. Throws if it may
 * not be read.
 */
export async function statusTokenOf(cluster: Cluster, { namespace, secret }: StatusPort): Promise<string> {
  if (secret === "") return "";
  const there = await orNull(cluster.core.readNamespacedSecret({ namespace, name: secret }));
  return Buffer.from(there?.data?.["token"] ?? "", "base64").toString("utf8");
}

async function textOf(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part as Buffer);
  return Buffer.concat(parts).toString("utf8");
}

/** The API server's message, if it sent one. */
function refusal(status: number, text: string): Error {
  let message = "";
  try {
    message = String((JSON.parse(text) as { message?: unknown }).message ?? "");
  } catch {
    message = text.split("\n", 1)[0] ?? "";
  }
  return new Error(`the API server answered ${status}${message === "" ? "" : `: ${message.slice(0, 300)}`}`);
}

/** A request to a status port: a GET, or a POST of `body` as JSON. */
export interface StatusRequest {
  /** With its query. */
  path: string;
  token: string;
  timeoutMs: number;
  body?: unknown;
}

/** Throws with the API server's reason. client-node's own call takes no query. */
export async function askThroughApiServer(
  config: KubeConfig,
  { namespace, pod, port }: StatusPort,
  { path, token, timeoutMs, body }: StatusRequest,
): Promise<unknown> {
  const server = config.getCurrentCluster()?.server ?? "";
  const url = new URL(`${server.replace(/\/+$/, "")}/api/v1/namespaces/${namespace}/pods/${pod}:${port}/proxy${path}`);
  const options: RequestOptions = {
    method: body === undefined ? "GET" : "POST",
    headers: {
      ...(token === "" ? {} : { [statusTokenHeader]: token }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    signal: AbortSignal.timeout(timeoutMs),
  };
  await config.applyToHTTPSOptions(options);
  const send = url.protocol === "https:" ? httpsRequest : httpRequest;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    send(url, options, resolve)
      .on("error", reject)
      .end(body === undefined ? undefined : JSON.stringify(body));
  });
  const text = await textOf(response);
  if (response.statusCode !== 200) throw refusal(response.statusCode ?? 0, text);
  return JSON.parse(text);
}

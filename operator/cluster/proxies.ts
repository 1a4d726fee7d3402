/**
 * The proxies: where their status ports are, what they report, and how to make kubelet refresh their volumes sooner.
 */
import { Buffer } from "node:buffer";
import type { V1Endpoint, V1EndpointSlice } from "@kubernetes/client-node";
import { type BudgetReadings, budgetReadings } from "../../proxy/config/budget.ts";
import type { ForeignKeyUse } from "../../proxy/config/foreign-key-use.ts";
import { operatorToken, operatorTokenHeader, statusToken, statusTokenHeader } from "../../proxy/config/status-token.ts";
import type { WatchReading } from "../../proxy/config/watch.ts";
import type { CanaryReport } from "../compile/canary.ts";
import type { ProxyReport } from "../compile/health.ts";
import { credentialsSecretName } from "../publish/layout.ts";
import type { OperatorSettings } from "../settings/settings.ts";
import { asMerge, type Cluster, orNull } from "./api.ts";
import { type ProxyStatus, parseProxyStatus } from "./proxy-status.ts";

const askTimeoutMs = 1_000;
/** Timeout of a request that may wait for the store. */
const budgetTimeoutMs = 5_000;

export const readyEndpoints = ({ endpoints }: V1EndpointSlice): V1Endpoint[] =>
  (endpoints ?? []).filter(({ conditions }) => conditions?.ready !== false);

export interface StatusAddress {
  /** The Pod's name, or the URL if it has none. */
  name: string;
  url: string;
}

function addressesIn(slice: V1EndpointSlice): StatusAddress[] {
  const port = slice.ports?.[0]?.port;
  if (port === undefined) return [];
  return readyEndpoints(slice).flatMap((endpoint) =>
    endpoint.addresses.map((address) => {
      const url = `http://${slice.addressType === "IPv6" ? `[${address}]` : address}:${port}`;
      return { name: endpoint.targetRef?.name ?? url, url };
    }),
  );
}

/** Pure: status URLs of the ready endpoints. */
export function statusUrls(slices: readonly V1EndpointSlice[]): string[] {
  return [...new Set(slices.flatMap(addressesIn).map(({ url }) => url))].sort();
}

const slicesOf = (cluster: Cluster, settings: OperatorSettings) =>
  cluster.discovery.listNamespacedEndpointSlice({
    namespace: settings.namespace,
    labelSelector: `kubernetes.io/service-name=${settings.proxyStatusService}`,
  });

async function findUrls(cluster: Cluster, settings: OperatorSettings): Promise<string[]> {
  if (settings.proxyStatusUrls.length > 0) return settings.proxyStatusUrls;
  return statusUrls((await slicesOf(cluster, settings)).items);
}

/** One address for each ready proxy, sorted by name. */
export async function findStatusAddresses(cluster: Cluster, settings: OperatorSettings): Promise<StatusAddress[]> {
  if (settings.proxyStatusUrls.length > 0) return settings.proxyStatusUrls.map((url) => ({ name: url, url }));
  const addresses = (await slicesOf(cluster, settings)).items.flatMap(addressesIn);
  return [...new Map(addresses.map((address) => [address.name, address])).values()].sort((a, b) =>
    a.name < b.name ? -1 : 1,
  );
}

/** null if the proxy does not answer. */
async function statusAt(url: string, token: string): Promise<ProxyStatus | null> {
  try {
    const response = await fetch(`${url}/status`, {
      headers: { [statusTokenHeader]: token },
      signal: AbortSignal.timeout(askTimeoutMs),
    });
    if (!response.ok) return null;
    return parseProxyStatus(await response.json());
  } catch {
    return null;
  }
}

async function budgetsAt(url: string, token: string, readings: boolean): Promise<BudgetReadings | null> {
  try {
    const response = await fetch(`${url}/budgets?readings=${readings}`, {
      headers: { [statusTokenHeader]: token },
      signal: AbortSignal.timeout(budgetTimeoutMs),
    });
    const parsed = budgetReadings.safeParse(await response.json());
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

/**
 * What proxies report on budgets. Where they share a store, one of them reads it, and the others report only what they
 * refused.
 */
export async function askBudgets(
  cluster: Cluster,
  settings: OperatorSettings,
  token: string,
): Promise<BudgetReadings[]> {
  const answers: BudgetReadings[] = [];
  let rest = await findUrls(cluster, settings);
  while (rest.length > 0 && answers.length === 0) {
    const answer = await budgetsAt(rest[0] ?? "", token, true);
    if (answer !== null) answers.push(answer);
    rest = rest.slice(1);
  }
  const readings = answers[0]?.shared !== true;
  const others = await Promise.all(rest.map((url) => budgetsAt(url, token, readings)));
  return [...answers, ...others.filter((answer) => answer !== null)];
}

/** Tokens of the proxies' status ports. */
export interface StatusTokens {
  status: string;
  operator: string;
}

/** The tokens, derived from the stored pepper; null if there is none yet. For callers that can't wait for a pass. */
export async function storedTokens(cluster: Cluster, settings: OperatorSettings): Promise<StatusTokens | null> {
  const { namespace, publishPrefix } = settings;
  const name = credentialsSecretName(publishPrefix);
  const secret = await orNull(cluster.core.readNamespacedSecret({ namespace, name }));
  const pepper = Buffer.from(secret?.data?.["pepper"] ?? "", "base64");
  return pepper.length === 0 ? null : { status: statusToken(pepper), operator: operatorToken(pepper) };
}

/** Sends revocations to every proxy. One that can't be reached reads the leader's from its volume. */
export async function sendRevocations(
  cluster: Cluster,
  settings: OperatorSettings,
  tokens: StatusTokens,
  { text, standby = false }: { text: string; standby?: boolean },
): Promise<void> {
  const headers = {
    [statusTokenHeader]: tokens.status,
    [operatorTokenHeader]: tokens.operator,
    "content-type": "application/json",
  };
  const send = (url: string): Promise<unknown> =>
    fetch(`${url}/revocations${standby ? "/standby" : ""}`, {
      method: "PUT",
      headers,
      body: text,
      signal: AbortSignal.timeout(askTimeoutMs),
    }).then((answer) => answer.arrayBuffer());
  await Promise.allSettled((await findUrls(cluster, settings)).map(send));
}

export interface FleetReport {
  /** The revision of each ready proxy; null for one that has none or does not answer. */
  proxies: (string | null)[];
  /** The revocations that each of them has read; null if it doesn't report them. */
  revocations: (string | null)[];
  /** What the proxies that answered report on providers. */
  reports: ProxyReport[];
  /** What they have counted for canaries. */
  canaries: CanaryReport[];
  /** What they have counted for alerts. */
  watched: WatchReading[];
  /** When they last saw keys of other gateways. */
  foreignKeys: ForeignKeyUse[];
}

/** Asks every proxy once. `token`: of their status ports. */
export async function askFleet(cluster: Cluster, settings: OperatorSettings, token: string): Promise<FleetReport> {
  const urls = await findUrls(cluster, settings);
  const answers = await Promise.all(urls.map((url) => statusAt(url, token)));
  // A proxy outside the cluster that is down takes no traffic; one in the endpoints that does not answer still counts.
  const outside = settings.proxyStatusUrls.length > 0;
  const counted = answers.filter((answer) => (answer === null ? !outside : answer.ready || answer.revision !== null));
  return {
    proxies: counted.map((answer) => answer?.revision ?? null),
    revocations: counted.map((answer) => answer?.revocations ?? null),
    reports: counted.flatMap((answer) => (answer === null ? [] : [answer.providers])),
    canaries: answers.flatMap((answer) => answer?.canaries ?? []),
    watched: answers.flatMap((answer) => answer?.watched ?? []),
    foreignKeys: answers.flatMap((answer) => answer?.foreignKeys ?? []),
  };
}

const maxNudges = 6;

/**
 * Kubelet refreshes a Pod's volumes at once when the Pod changes, and slowly otherwise. It watches Pods and ConfigMaps
 * separately, so the first nudge may arrive before the config does: a few more follow, each with a new value, since
 * only a change has an effect.
 */
export class Nudger {
  readonly #cluster: Cluster;
  readonly #settings: OperatorSettings;
  #revision = "";
  #count = 0;

  constructor(cluster: Cluster, settings: OperatorSettings) {
    this.#cluster = cluster;
    this.#settings = settings;
  }

  /** Call this while some proxy is not at the revision, or lacks revocations. `revision` changes with both. */
  async nudge(revision: string): Promise<void> {
    if (revision !== this.#revision) this.#count = 0;
    this.#revision = revision;
    if (this.#count >= maxNudges) return;
    this.#count++;
    await nudgeAll(this.#cluster, this.#settings, this.#count === 1 ? revision : `${revision}.${this.#count}`);
  }
}

async function nudgeAll(cluster: Cluster, settings: OperatorSettings, revision: string): Promise<void> {
  const pods = await cluster.core.listNamespacedPod({
    namespace: settings.namespace,
    labelSelector: settings.proxySelector,
  });
  const body = { metadata: { annotations: { "sluice.dev/revision": revision } } };
  await Promise.all(
    pods.items.map((pod) =>
      cluster.core
        .patchNamespacedPod({ namespace: settings.namespace, name: pod.metadata?.name ?? "", body }, asMerge)
        .catch(() => undefined),
    ),
  );
}

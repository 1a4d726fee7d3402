/** `spec.pool` of an LLMProvider → the servers that proxies choose from. Pure. */
import type { PoolSpec } from "../../crds/types/pool.ts";
import type { PoolConfig } from "../../proxy/config/pool.ts";
import type { ProviderConfig } from "../../proxy/config/provider.ts";
import { own, type ParsedObject, problem } from "./outcome.ts";
import type { Problem, Verdict } from "./verdict.ts";
import type { CompileInput, ServicePods } from "./world.ts";

/** All servers are published, and proxies weigh them all for each call. */
const mostPods = 256;

const written = (address: string, port: number): string =>
  address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;

/** Addresses at one port. A Service of several ports needs the object to name it. */
function podsAt(pods: ServicePods, port: number | undefined): string[] | number[] {
  const ports = [...new Set(pods.flatMap((pod) => pod.ports))].sort((a, b) => a - b);
  const chosen = port ?? (ports.length === 1 ? ports[0] : undefined);
  if (chosen === undefined) return ports;
  const all = pods.filter((pod) => pod.ports.includes(chosen)).map((pod) => written(pod.address, chosen));
  return [...new Set(all)].sort().slice(0, mostPods);
}

function servicePods(
  { service }: PoolSpec,
  { id, meta }: ParsedObject<"LLMProvider">,
  { world, previous }: CompileInput,
  refs: Problem[],
): string[] | undefined {
  const known = own(world.pods ?? {}, `${meta.namespace}/${service?.name}`);
  // Until EndpointSlices are read, what is published counts.
  if (known === undefined) return previous?.providers.find((provider) => provider.id === id)?.pool?.pods;
  const pods = podsAt(known, service?.port);
  if (typeof pods[0] !== "number") return pods as string[];
  const message = `Service ${service?.name} has Pods with the ports ${pods.join(", ")}; set spec.pool.service.port to one of them`;
  refs.push(problem("Invalid", message, ["spec", "pool", "service"]));
  return [];
}

export function poolOf(
  provider: ParsedObject<"LLMProvider">,
  input: CompileInput,
  refs: Problem[],
): { pool?: PoolConfig } {
  const { pool } = provider.spec;
  if (pool === undefined) return {};
  const pods = pool.addresses === undefined ? servicePods(pool, provider, input, refs) : [...pool.addresses].sort();
  // Not read yet, as always in a folder: the endpoint is called, which is the Service's own address.
  if (pods === undefined) return {};
  return { pool: { pods, strategy: pool.strategy, mostInFlight: pool.maxInFlight ?? null } };
}

/** The condition of a provider that is a pool. */
export function poolConditions({ pool }: Pick<ProviderConfig, "pool">): Verdict["conditions"][number][] {
  if (pool === undefined) return [];
  const type = "PoolReady";
  if (pool.pods.length > 0)
    return [{ type, status: "True", reason: "Ready", message: `ready servers: ${pool.pods.length}` }];
  const message =
    "no server is ready, so calls go to the policy's next target; check that the Service of spec.pool exists and has ready Pods";
  return [{ type, status: "False", reason: "NoPods", message }];
}

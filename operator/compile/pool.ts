/** `spec.pool` of an LLMProvider → the servers that proxies choose from. Pure. */
import type { PoolSpec } from "../../crds/types/pool.ts";
import type { PoolConfig } from "../../proxy/config/pool.ts";
import type { ProviderConfig } from "../../proxy/config/provider.ts";
import { endpointPickerOf, pickerTrouble } from "./inference-pool.ts";
import { own, type ParsedObject, problem } from "./outcome.ts";
import { atPort } from "./server-address.ts";
import type { Problem, Verdict } from "./verdict.ts";
import type { CompileInput, ServicePods, World } from "./world.ts";

/** Addresses at one port. A Service of several ports needs the object to name it. */
function podsAt(pods: ServicePods, port: number | undefined): string[] | number[] {
  const ports = [...new Set(pods.flatMap((pod) => pod.ports))].sort((a, b) => a - b);
  const chosen = port ?? (ports.length === 1 ? ports[0] : undefined);
  if (chosen === undefined) return ports;
  const reached = pods.filter((pod) => pod.ports.includes(chosen)).map(({ address }) => address);
  return atPort(reached, [chosen]);
}

function servicePods(
  { service }: PoolSpec,
  { meta }: ParsedObject<"LLMProvider">,
  { world }: CompileInput,
  previous: PoolConfig | undefined,
  refs: Problem[],
): string[] | undefined {
  const known = own(world.pods ?? {}, `${meta.namespace}/${service?.name}`);
  // Until EndpointSlices are read, what is published counts.
  if (known === undefined) return previous?.pods;
  const pods = podsAt(known, service?.port);
  if (typeof pods[0] !== "number") return pods as string[];
  const message = `Service ${service?.name} has Pods with the ports ${pods.join(", ")}; set spec.pool.service.port to one of them`;
  refs.push(problem("Invalid", message, ["spec", "pool", "service"]));
  return [];
}

export function poolOf(
  provider: ParsedObject<"LLMProvider">,
  input: CompileInput,
  problems: { accepted: Problem[]; refs: Problem[] },
): { pool?: PoolConfig } {
  const { pool } = provider.spec;
  if (pool === undefined) return {};
  const previous = input.previous?.providers.find(({ id }) => id === provider.id)?.pool;
  const choice = { strategy: pool.strategy, mostInFlight: pool.maxInFlight ?? null };
  if (pool.inferencePool !== undefined) {
    const parts = endpointPickerOf(pool.inferencePool, provider, input, previous, problems);
    return parts === undefined ? {} : { pool: { ...choice, ...parts } };
  }
  const pods =
    pool.addresses === undefined
      ? servicePods(pool, provider, input, previous, problems.refs)
      : [...pool.addresses].sort();
  // Not read yet, as always in a folder: the endpoint is called, which is the Service's own address.
  return pods === undefined ? {} : { pool: { pods, ...choice } };
}

const type = "PoolReady";

const notReady = (reason: string, message: string): Verdict["conditions"] => [
  { type, status: "False", reason, message },
];

/** The condition of a provider that is a pool. */
export function poolConditions(
  { id, pool }: Pick<ProviderConfig, "id" | "pool">,
  world: Pick<World, "inferencePools">,
): Verdict["conditions"] {
  if (pool === undefined) return [];
  const trouble = pool.picker === undefined ? null : pickerTrouble(id, pool, world);
  if (trouble !== null)
    return notReady(trouble.reason, `${trouble.message}; until then calls go to the policy's next target`);
  const { picker } = pool;
  if (pool.pods.length > 0) {
    const chosen =
      picker === undefined
        ? ""
        : picker.addresses.length > 0
          ? `, chosen by the endpoint picker of InferencePool ${picker.pool}`
          : `, chosen by the proxies, as no endpoint picker of InferencePool ${picker.pool} is ready`;
    return [{ type, status: "True", reason: "Ready", message: `ready servers: ${pool.pods.length}${chosen}` }];
  }
  const what =
    picker === undefined
      ? "the Service or InferencePool of spec.pool exists and has ready Pods"
      : `Pods that match the selector of InferencePool ${picker.pool} are ready`;
  return notReady("NoPods", `no server is ready, so calls go to the policy's next target; check that ${what}`);
}

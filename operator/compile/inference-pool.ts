/** `spec.pool.inferencePool` of an LLMProvider → the pool's servers, and the endpoint picker that chooses them. Pure. */
import { durationMs } from "../../crds/quantity.ts";
import type { PoolSpec } from "../../crds/types/pool.ts";
import { bundleProblem, certificatesIn } from "../../proxy/config/certificates.ts";
import type { PickerTls, PoolConfig } from "../../proxy/config/pool.ts";
import { namespaceOf, own, type ParsedObject, problem } from "./outcome.ts";
import { atPort } from "./server-address.ts";
import type { Problem } from "./verdict.ts";
import type { CompileInput, PickerFact, ServicePods, World } from "./world.ts";

type Named = NonNullable<PoolSpec["inferencePool"]>;

const path = ["spec", "pool", "inferencePool"];

/**
 * The picker's ready Pods. EndpointSlices contain the Pods' ports rather than the Service's. They are almost always
 * equal; if not, a single port is used.
 */
function pickerAddresses(pods: ServicePods, port: number): string[] | number[] {
  const ports = [...new Set(pods.flatMap((pod) => pod.ports))].sort((a, b) => a - b);
  const chosen = ports.includes(port) ? port : ports.length === 1 ? ports[0] : undefined;
  if (chosen === undefined) return ports;
  return atPort(
    pods.filter((pod) => pod.ports.includes(chosen)).map(({ address }) => address),
    [chosen],
  );
}

function tlsOf({ picker }: Named, serverName: string, accepted: Problem[]): PickerTls | null {
  const { caBundle, plaintext } = picker;
  if (plaintext) return null;
  const wrong = caBundle === undefined ? null : bundleProblem(caBundle);
  if (wrong !== null)
    accepted.push(
      problem("Invalid", `spec.pool.inferencePool.picker.caBundle ${wrong}`, [...path, "picker", "caBundle"]),
    );
  return { ca: wrong === null ? certificatesIn(caBundle ?? "") : null, serverName };
}

function addressesOf(
  picker: PickerFact,
  { name }: Named,
  namespace: string,
  { world }: CompileInput,
  previous: readonly string[],
  refs: Problem[],
): string[] {
  if (typeof picker === "string") {
    const message = `InferencePool ${name} has an endpointPickerRef that is not a Service; Sluice can only ask a Service`;
    refs.push(problem("Unsupported", message, path));
    return [];
  }
  const { service, port } = picker;
  const pods = own(world.pods ?? {}, `${namespace}/${service}`);
  if (pods === undefined) return [...previous];
  const addresses = pickerAddresses(pods, port);
  if (typeof addresses[0] !== "number") return addresses as string[];
  const message = `Service ${service} has Pods with the ports ${addresses.join(", ")}, and none is the port ${port} of InferencePool ${name}; give the Service's port the number of the Pods' port, and name that in endpointPickerRef`;
  refs.push(problem("Invalid", message, path));
  return [];
}

const nothingBefore: Pick<PoolConfig, "pods" | "picker"> = { pods: [] };

const nameOf = (picker: PickerFact, namespace: string): string =>
  typeof picker === "string" ? "" : `${picker.service}.${namespace}.svc`;

/** Returns undefined if nothing is known yet, so that the endpoint is called. */
export function endpointPickerOf(
  named: Named,
  { meta }: ParsedObject<"LLMProvider">,
  input: CompileInput,
  previous: PoolConfig | undefined,
  { accepted, refs }: { accepted: Problem[]; refs: Problem[] },
): Pick<PoolConfig, "pods" | "picker"> | undefined {
  const { namespace } = meta;
  const known = previous?.picker === undefined || previous.picker.pool === named.name ? previous : undefined;
  const fact = own(input.world.inferencePools ?? {}, `${namespace}/${named.name}`);
  if (fact === undefined && known === undefined) {
    tlsOf(named, "", accepted);
    return undefined;
  }
  const pool = fact?.kind === "Pool" ? fact : null;
  const { pods: oldPods, picker: old } = fact?.kind === "Absent" || known === undefined ? nothingBefore : known;
  const serverName = pool === null ? (old?.tls?.serverName ?? "") : nameOf(pool.picker, namespace);
  const tls = tlsOf(named, serverName, accepted);
  const timeoutMs = durationMs(named.picker.timeout);
  const before = {
    pool: named.name,
    addresses: old?.addresses ?? [],
    tls,
    timeoutMs,
    failOpen: old?.failOpen ?? false,
  };
  if (pool === null) return { pods: oldPods, picker: before };
  const pods = pool.addresses === null ? oldPods : atPort(pool.addresses, pool.ports);
  if (pool.picker === "None") return { pods };
  const addresses = addressesOf(pool.picker, named, namespace, input, before.addresses, refs);
  return { pods, picker: { ...before, addresses, failOpen: pool.failOpen } };
}

/** Why a pool can't be used, besides that none of its servers is ready. */
export function pickerTrouble(
  provider: string,
  { picker, pods }: PoolConfig,
  { inferencePools = {} }: Pick<World, "inferencePools">,
): { reason: string; message: string } | null {
  const name = picker?.pool ?? "";
  const namespace = namespaceOf(provider);
  const fact = own(inferencePools, `${namespace}/${name}`);
  if (fact?.kind === "Absent")
    return { reason: "PoolNotFound", message: `InferencePool ${name} is not in namespace ${namespace}; create it` };
  if (fact?.kind === "Unreadable")
    return { reason: "PoolUnreadable", message: `InferencePool ${name} can't be read: ${fact.why}` };
  if (pods.length === 0 || picker?.failOpen !== false || picker.addresses.length > 0) return null;
  const message = `no endpoint picker of InferencePool ${name} is ready, and its failureMode is FailClose; check the Service of its endpointPickerRef`;
  return { reason: "PickerNotReady", message };
}

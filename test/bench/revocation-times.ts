/**
 * How long revocations take, measured by a thread of its own: the one that plays kubelet and syncs objects is busy for
 * hundreds of milliseconds at a time, in which it would notice nothing.
 */
import { parentPort, Worker, workerData } from "node:worker_threads";
import { CoreV1Api, CustomObjectsApi, PatchStrategy, setHeaderOptions } from "@kubernetes/client-node";
import { PooledKubeConfig } from "../../operator/cluster/kube-config.ts";

export interface Revocation {
  /** From the start of the change until every proxy refuses the key. */
  tookMs: number;
  /** Of these, until the API server had accepted the change. */
  acceptedMs: number;
}

interface Place {
  kubeconfig: string;
  proxies: string[];
}

interface Key {
  namespace: string;
  /** Of the ApiKey and its Secret. */
  name: string;
}

const asMerge = setHeaderOptions("Content-Type", PatchStrategy.MergePatch);
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function clientOf({ kubeconfig, proxies }: Place): (key: Key) => Promise<Revocation> {
  const config = new PooledKubeConfig(120_000);
  config.loadFromFile(kubeconfig);
  const [core, custom] = [config.makeApiClient(CoreV1Api), config.makeApiClient(CustomObjectsApi)];
  const until = async (credential: string, status: number): Promise<void> => {
    const asks = proxies.map(async (url) => {
      for (;;) {
        const response = await fetch(`${url}/v1/models`, { headers: { authorization: `Bearer ${credential}` } });
        await response.arrayBuffer();
        if (response.status === status) return;
        await pause(10);
      }
    });
    await Promise.all(asks);
  };
  return async ({ namespace, name }) => {
    const secret = await core.readNamespacedSecret({ namespace, name });
    const credential = Buffer.from(secret.data?.["apiKey"] ?? "", "base64").toString();
    await until(credential, 200);
    const beganMs = performance.now();
    const group = { group: "sluice.dev", version: "v1alpha1", plural: "apikeys" };
    await custom.patchNamespacedCustomObject({ ...group, namespace, name, body: { spec: { revoked: true } } }, asMerge);
    const acceptedMs = performance.now() - beganMs;
    await until(credential, 401);
    return { tookMs: performance.now() - beganMs, acceptedMs };
  };
}

/** Revokes one key at a time. */
export class Revoker {
  readonly #worker: Worker;

  constructor(place: Place) {
    this.#worker = new Worker(new URL(import.meta.url), { workerData: place });
  }

  revoke(key: Key): Promise<Revocation> {
    return new Promise((resolve, reject) => {
      const settled = (): void => {
        this.#worker.off("message", done);
        this.#worker.off("error", failed);
      };
      const done = (revocation: Revocation): void => {
        settled();
        resolve(revocation);
      };
      const failed = (cause: Error): void => {
        settled();
        reject(cause);
      };
      this.#worker.on("message", done).on("error", failed).postMessage(key);
    });
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }
}

if (parentPort !== null) {
  const port = parentPort;
  const revoke = clientOf(workerData as Place);
  port.on("message", async (key: Key) => port.postMessage(await revoke(key)));
}

/**
 * Caches of objects, kept by list and watch. client-node's informers give up on most errors, so each is restarted with
 * a growing delay. Until its next list succeeds, a cache keeps serving what it has.
 */
import { type KubernetesListObject, type KubernetesObject, makeInformer } from "@kubernetes/client-node";
import type { Cluster } from "./api.ts";

export interface ObjectCache<T extends KubernetesObject> {
  /** Whether the first list has succeeded. */
  synced(): boolean;
  list(): readonly T[];
  get(name: string, namespace: string): T | undefined;
  stop(): Promise<void>;
}

const firstPauseMs = 500;
const longestPauseMs = 30_000;

export function objectCache<T extends KubernetesObject>(
  cluster: Cluster,
  path: string,
  list: () => Promise<KubernetesListObject<T>>,
  changed: () => void,
  failed: (path: string, cause: unknown) => void,
  /** Receives each object that is added, changed or deleted. */
  seen: (object: T) => void = () => undefined,
  labelSelector?: string,
): ObjectCache<T> {
  let synced = false;
  let pauseMs = firstPauseMs;
  let timer: NodeJS.Timeout | null = null;
  let stopped = false;
  const listAndNote = async (): Promise<KubernetesListObject<T>> => {
    const answer = await list();
    pauseMs = firstPauseMs;
    synced = true;
    // The informer reports the objects it sees, not an empty list.
    queueMicrotask(changed);
    return answer;
  };
  const informer = makeInformer<T>(cluster.config, path, listAndNote, labelSelector);
  const again = (cause: unknown): void => {
    if (stopped || timer) return;
    failed(path, cause);
    timer = setTimeout(() => {
      timer = null;
      start();
    }, pauseMs);
    pauseMs = Math.min(longestPauseMs, pauseMs * 2);
  };
  const start = (): void => {
    informer.start().catch(again);
  };
  for (const verb of ["add", "update", "delete"] as const)
    informer.on(verb, (object) => {
      seen(object);
      changed();
    });
  informer.on("error", again);
  start();
  return {
    synced: () => synced,
    list: () => informer.list(),
    get: (name, namespace) => informer.get(name, namespace),
    async stop() {
      stopped = true;
      if (timer) clearTimeout(timer);
      await informer.stop();
    },
  };
}

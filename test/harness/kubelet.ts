/**
 * Kubelet's part for Pods whose containers are processes of this machine. It makes the Pod from the Deployment's
 * template (so that admission has its say), keeps the projected volume as kubelet does, and reports readiness as an
 * EndpointSlice.
 *
 * A volume is refreshed when its Pod changes, and otherwise later than any test waits (kubelet would every minute): an
 * operator that forgets to nudge is found out. Its content is swapped as a whole:
 *
 *   config.json -> ..data/config.json      ..data -> ..2026_11_21.123/
 */
import { mkdir, readdir, readlink, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  CoreV1Api,
  DiscoveryV1Api,
  type KubeConfig,
  type V1Pod,
  type V1PodTemplateSpec,
  type V1VolumeProjection,
  Watch,
} from "@kubernetes/client-node";
import { pauseOf } from "./pause.ts";

export interface KubeletPod {
  readonly name: string;
  /** The mounted folder. */
  readonly folder: string;
  /** How often the volume's content was swapped. */
  swaps(): number;
  stop(): Promise<void>;
}

export interface KubeletPodOptions {
  config: KubeConfig;
  namespace: string;
  name: string;
  template: V1PodTemplateSpec;
  /** Name of the projected volume. */
  volume: string;
  folder: string;
  /** Service whose EndpointSlice carries the Pod's status port; null where there is none. */
  endpoint: { service: string; address: string; port: number } | null;
  ready(): Promise<boolean>;
}

const syncEveryMs = 600_000;
const probeEveryMs = 200;

type Files = Record<string, Buffer>;

/** All at once: kubelet has them at hand, since it watches what its Pods mount. */
async function filesOf(core: CoreV1Api, namespace: string, sources: readonly V1VolumeProjection[]): Promise<Files> {
  const orEmpty = <T>(call: Promise<T>): Promise<T | null> =>
    call.catch((cause: { code?: number }) => {
      if (cause.code === 404) return null;
      throw cause;
    });
  const contents = sources.map(async ({ configMap, secret }): Promise<Files> => {
    const found =
      secret?.name !== undefined
        ? await orEmpty(core.readNamespacedSecret({ namespace, name: secret.name }))
        : await orEmpty(core.readNamespacedConfigMap({ namespace, name: configMap?.name ?? "" }));
    const encoding = secret?.name === undefined ? "utf8" : "base64";
    return Object.fromEntries(
      Object.entries(found?.data ?? {}).map(([name, value]) => [name, Buffer.from(value, encoding)]),
    );
  });
  return Object.assign({}, ...(await Promise.all(contents))) as Files;
}

const same = (a: Files, b: Files): boolean =>
  Object.keys(a).length === Object.keys(b).length &&
  Object.entries(a).every(([name, bytes]) => b[name]?.equals(bytes) === true);

/** As kubelet's AtomicWriter: a new folder, then one rename of a link, then the links that are new or gone. */
async function swap(folder: string, files: Files, count: number): Promise<void> {
  const fresh = `..payload.${count}`;
  await mkdir(join(folder, fresh));
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(folder, fresh, name), bytes, { mode: 0o440 });
  const old = await readlink(join(folder, "..data")).catch(() => null);
  await symlink(fresh, join(folder, "..data_tmp"));
  await rename(join(folder, "..data_tmp"), join(folder, "..data"));
  const links = (await readdir(folder)).filter((name) => !name.startsWith(".."));
  for (const name of Object.keys(files))
    if (!links.includes(name)) await symlink(join("..data", name), join(folder, name));
  for (const name of links) if (!(name in files)) await rm(join(folder, name));
  if (old !== null) await rm(join(folder, old), { recursive: true });
}

function endpointSlice(options: KubeletPodOptions, ready: boolean) {
  const { namespace, name, endpoint } = options;
  return {
    metadata: { name: `${name}-status`, namespace, labels: { "kubernetes.io/service-name": endpoint?.service ?? "" } },
    addressType: "IPv4",
    endpoints: [
      {
        addresses: [endpoint?.address ?? ""],
        conditions: { ready, serving: ready },
        targetRef: { kind: "Pod", name, namespace },
      },
    ],
    ports: [{ name: "status", port: endpoint?.port ?? 0, protocol: "TCP" }],
  };
}

export async function startKubeletPod(options: KubeletPodOptions): Promise<KubeletPod> {
  const { config, namespace, name, template, folder } = options;
  const core = config.makeApiClient(CoreV1Api);
  const discovery = config.makeApiClient(DiscoveryV1Api);
  const volume = template.spec?.volumes?.find((volume) => volume.name === options.volume);
  const sources = volume?.projected?.sources ?? [];
  const stopping = new AbortController();
  const { signal } = stopping;
  let mounted: Files = {};
  let count = 0;

  const sync = async (): Promise<void> => {
    const files = await filesOf(core, namespace, sources);
    if (count > 0 && same(files, mounted)) return;
    count += 1;
    await swap(folder, files, count);
    mounted = files;
  };

  await mkdir(folder, { recursive: true });
  const pod: V1Pod = {
    metadata: { ...template.metadata, name, namespace },
    ...(template.spec ? { spec: template.spec } : {}),
  };
  await core.createNamespacedPod({ namespace, body: pod });
  await sync();

  // One sync at a time; a sign that comes meanwhile leads to one more.
  let wanted = Promise.withResolvers<void>();
  const syncing = (async () => {
    while (!signal.aborted) {
      await Promise.race([wanted.promise, pauseOf(syncEveryMs, signal)]);
      wanted = Promise.withResolvers();
      if (!signal.aborted) await sync().catch(() => undefined);
    }
  })();
  const watching = (async () => {
    while (!signal.aborted) {
      const over = Promise.withResolvers<void>();
      const path = `/api/v1/namespaces/${namespace}/pods`;
      const controller = await new Watch(config).watch(
        path,
        { fieldSelector: `metadata.name=${name}` },
        () => wanted.resolve(),
        over.resolve,
      );
      const end = () => controller.abort();
      signal.addEventListener("abort", end, { once: true });
      await over.promise;
      signal.removeEventListener("abort", end);
      await pauseOf(100, signal);
    }
  })();
  const probing = (async () => {
    let reported: boolean | null = null;
    while (!signal.aborted && options.endpoint !== null) {
      const ready = await options.ready().catch(() => false);
      if (ready !== reported) {
        const body = endpointSlice(options, ready);
        const written =
          reported === null
            ? discovery.createNamespacedEndpointSlice({ namespace, body })
            : discovery.replaceNamespacedEndpointSlice({ namespace, name: body.metadata.name, body });
        await written.then(
          () => {
            reported = ready;
          },
          (cause: { code?: number }) => {
            // A refusal is the test's own mistake; anything else passes.
            if (cause.code === 422) throw cause;
          },
        );
      }
      await pauseOf(probeEveryMs, signal);
    }
  })();

  return {
    name,
    folder,
    swaps: () => count,
    stop: async () => {
      stopping.abort();
      await Promise.all([syncing, watching, probing]);
    },
  };
}

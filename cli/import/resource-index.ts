/** The Kubernetes resources of an import, by kind and name. */
import type { Setting } from "./setting.ts";

export const resourceName = (resource: Setting): string => resource.get("metadata", "name").text ?? "";

export class ResourceIndex {
  /** In the order of the files, including those within Lists. */
  readonly all: readonly Setting[];
  readonly #byKind: ReadonlyMap<string | undefined, readonly Setting[]>;
  readonly #byName = new Map<string, Setting>();

  constructor(documents: readonly Setting[]) {
    this.all = documents.flatMap((document) =>
      document.get("kind").text === "List" ? document.get("items").items() : [document],
    );
    this.#byKind = Map.groupBy(this.all, (resource) => resource.get("kind").text);
    for (const [kind, resources] of this.#byKind)
      for (const resource of resources) setFirst(this.#byName, `${kind}/${resourceName(resource)}`, resource);
  }

  of(kind: string): readonly Setting[] {
    return this.#byKind.get(kind) ?? [];
  }

  find(kind: string, name: string | undefined): Setting | undefined {
    return name === undefined ? undefined : this.#byName.get(`${kind}/${name}`);
  }

  /** Target → the first resource of the kind that names it in `targetRefs`. */
  byTarget(kind: string, keyOf: (target: Setting) => string): ReadonlyMap<string, Setting> {
    const byTarget = new Map<string, Setting>();
    for (const resource of this.of(kind))
      for (const target of resource.get("spec", "targetRefs").items()) setFirst(byTarget, keyOf(target), resource);
    return byTarget;
  }
}

function setFirst(map: Map<string, Setting>, key: string, resource: Setting): void {
  if (!map.has(key)) map.set(key, resource);
}

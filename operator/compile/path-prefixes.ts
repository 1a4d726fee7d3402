/**
 * Path prefixes and their holders. A prefix belongs to one namespace, with everything above and below it on the same
 * path: a namespace that could claim a part of it would control calls meant for the owner.
 */
import type { RouteConfig } from "../../proxy/config/route.ts";
import { namespaceOf } from "./outcome.ts";

/** Whether `path` is `prefix` or lies below it, segment by segment: /chat covers /chat/v1, but not /chats. */
export const isUnder = (prefix: string, path: string): boolean =>
  path.startsWith(prefix) && (path.length === prefix.length || path.charAt(prefix.length) === "/");

export const overlaps = (a: string, b: string): boolean => isUnder(a, b) || isUnder(b, a);

/** `/a/b/c` → /a, /a/b, /a/b/c. */
function withAncestors(prefix: string): string[] {
  const paths: string[] = [];
  for (let slash = prefix.indexOf("/", 1); slash >= 0; slash = prefix.indexOf("/", slash + 1))
    paths.push(prefix.slice(0, slash));
  return [...paths, prefix];
}

type Holders = Map<string, RouteConfig>;

function ofAnother(holders: Holders | undefined, namespace: string): RouteConfig | null {
  for (const [holder, route] of holders ?? []) if (holder !== namespace) return route;
  return null;
}

function addTo(index: Map<string, Holders>, path: string, namespace: string, route: RouteConfig): void {
  const holders = index.get(path);
  if (holders === undefined) index.set(path, new Map([[namespace, route]]));
  else if (!holders.has(namespace)) holders.set(namespace, route);
}

export class PrefixHolders {
  /** Prefix → namespace → the first of its policies there. */
  readonly #exact = new Map<string, Holders>();
  /** The same for policies at or below a path. */
  readonly #below = new Map<string, Holders>();

  /**
   * Claims the route's prefix for its namespace, or returns the policy of another namespace that holds it or a part of
   * it.
   */
  claim(route: RouteConfig): RouteConfig | null {
    const { pathPrefix } = route;
    // /v1 is shared: there the caller's namespace decides.
    if (pathPrefix === "") return null;
    const namespace = namespaceOf(route.id);
    const paths = withAncestors(pathPrefix);
    const holder =
      paths.map((path) => ofAnother(this.#exact.get(path), namespace)).find((other) => other !== null) ??
      ofAnother(this.#below.get(pathPrefix), namespace);
    if (holder !== null) return holder;
    addTo(this.#exact, pathPrefix, namespace, route);
    for (const path of paths) addTo(this.#below, path, namespace, route);
    return null;
  }
}

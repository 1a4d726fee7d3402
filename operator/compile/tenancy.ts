/**
 * What an installation permits a namespace to do beyond its own callers: offer its policies to other namespaces, serve
 * callers without a key, claim path prefixes. Pure. An absent setting permits everything.
 */
import type { RouteConfig } from "../../proxy/config/route.ts";
import { namespaceOf, own, problem } from "./outcome.ts";
import { isUnder, overlaps } from "./path-prefixes.ts";
import type { Problem } from "./verdict.ts";
import type { CompileSettings } from "./world.ts";

type TenancySettings = Pick<CompileSettings, "sharingNamespaces" | "anonymousNamespaces" | "pathPrefixes">;

const listed = (names: "*" | readonly string[], namespace: string): boolean =>
  names === "*" || names.includes("*") || names.includes(namespace);

const mayShare = (namespace: string, settings: TenancySettings): boolean =>
  listed(settings.sharingNamespaces, namespace);

const mayServeAnonymous = (namespace: string, settings: TenancySettings): boolean =>
  listed(settings.anonymousNamespaces ?? "*", namespace);

const anyPrefix = "/";

/** A prefix from the setting, for one namespace: `/{namespace}` contains the namespace's own name. */
const prefixFor = (written: string, namespace: string): string => written.replaceAll("{namespace}", namespace);

/** Whether the setting gives this prefix to another namespace by name. "/" reserves nothing for anyone. */
function isReserved(prefix: string, namespace: string, given: Readonly<Record<string, readonly string[]>>): boolean {
  return Object.entries(given).some(
    ([owner, prefixes]) =>
      owner !== "*" &&
      owner !== namespace &&
      prefixes.some((written) => written !== anyPrefix && overlaps(prefixFor(written, owner), prefix)),
  );
}

/** Why a namespace may not claim a path prefix, as the end of a sentence; null if it may. */
function whyNotClaim(namespace: string, prefix: string, settings: TenancySettings): string | null {
  const allowances = settings.pathPrefixes;
  if (allowances === undefined || prefix === "") return null;
  const permits = (prefixes: readonly string[]): boolean =>
    prefixes.some((written) => written === anyPrefix || isUnder(prefixFor(written, namespace), prefix));
  const ownPrefixes = own(allowances, namespace);
  const all = ownPrefixes ?? own(allowances, "*") ?? [];
  if (!permits(all)) {
    const names = all.map((written) => prefixFor(written, namespace)).join(", ");
    return names === "" ? "it may claim none" : `it may claim ${names} and what is below`;
  }
  return ownPrefixes === undefined && isReserved(prefix, namespace, allowances)
    ? "it overlaps with one that is reserved for another namespace"
    : null;
}

/** The parts of a policy that its namespace is not permitted. */
export function checkTenancy(
  namespace: string,
  route: Pick<RouteConfig, "pathPrefix">,
  asks: { sharing: boolean; anonymous: boolean },
  settings: TenancySettings,
): Problem[] {
  const problems: Problem[] = [];
  if (asks.sharing && !mayShare(namespace, settings))
    problems.push(
      problem(
        "SharingNotPermitted",
        `policies of namespace ${namespace} may not be offered to other namespaces in this installation; set spec.allowedNamespaces.from to Same`,
        ["spec", "allowedNamespaces"],
      ),
    );
  if (asks.anonymous && !mayServeAnonymous(namespace, settings))
    problems.push(
      problem(
        "AnonymousNotPermitted",
        `policies of namespace ${namespace} may not serve callers without a key in this installation; remove spec.access.anonymous, or ask the platform team to add the namespace to operator.anonymousNamespaces`,
        ["spec", "access", "anonymous"],
      ),
    );
  const why = whyNotClaim(namespace, route.pathPrefix, settings);
  if (why !== null)
    problems.push(
      problem(
        "PrefixNotPermitted",
        `namespace ${namespace} may not claim the path prefix ${route.pathPrefix} in this installation: ${why}; the platform team decides this in operator.pathPrefixes`,
        ["spec", "match", "pathPrefix"],
      ),
    );
  return problems;
}

/** An earlier form of a policy, limited to what its namespace may still do; null if it may no longer use its prefix. */
export function asPermitted(route: RouteConfig, settings: TenancySettings): RouteConfig | null {
  const namespace = namespaceOf(route.id);
  if (whyNotClaim(namespace, route.pathPrefix, settings) !== null) return null;
  const anonymous = route.access.anonymous && mayServeAnonymous(namespace, settings);
  const consumers = mayShare(namespace, settings) ? route.consumers : narrowed(route.consumers, [namespace]);
  if (anonymous === route.access.anonymous && consumers === route.consumers) return route;
  return { ...route, consumers, access: { ...route.access, anonymous } };
}

/** Namespaces that are in both. */
export function narrowed(a: RouteConfig["consumers"], b: RouteConfig["consumers"]): RouteConfig["consumers"] {
  if (a === "*") return b;
  if (b === "*" || a.every((name) => b.includes(name))) return a;
  return a.filter((name) => b.includes(name));
}

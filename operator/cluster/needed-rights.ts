/** The rights that the operator needs in the cluster, as the chart's Roles give them. Pure. */
import { kindNames, kinds, group as ownGroup } from "../../crds/kinds.ts";
import type { Verdict } from "../compile/verdict.ts";
import { configMapNames, credentialsSecretNames, revocationsMapName, statusSecretName } from "../publish/layout.ts";
import type { OperatorSettings } from "../settings/settings.ts";

export interface Right {
  verb: string;
  group: string;
  /** With the subresource, such as apikeys/status. */
  resource: string;
  /** "" for all namespaces, or for what is in none. */
  namespace: string;
  /** "" for any. */
  name: string;
}

interface Rule {
  group: string;
  resources: readonly string[];
  verbs: readonly string[];
  names?: readonly string[];
}

const rightsOf = (namespace: string, { group, resources, verbs, names = [""] }: Rule): Right[] =>
  resources.flatMap((resource) =>
    verbs.flatMap((verb) => names.map((name) => ({ verb, group, resource, namespace, name }))),
  );

const plurals = kindNames.map((kind) => kinds[kind].plural);
const write = ["get", "create", "patch"];

function ownRules({ publishPrefix: prefix, proxyStatusUrls }: OperatorSettings): Rule[] {
  const secrets = [...credentialsSecretNames(prefix), statusSecretName(prefix)];
  return [
    {
      group: "",
      resources: ["configmaps"],
      verbs: write,
      names: [...configMapNames(prefix), revocationsMapName(prefix)],
    },
    { group: "", resources: ["secrets"], verbs: write, names: secrets },
    { group: "coordination.k8s.io", resources: ["leases"], verbs: ["get", "update"], names: [`${prefix}-operator`] },
    { group: "coordination.k8s.io", resources: ["leases"], verbs: ["create"] },
    { group: "", resources: ["pods"], verbs: ["list", "patch"] },
    { group: "events.k8s.io", resources: ["events"], verbs: ["create"] },
    // Proxies given by URL are not looked up.
    ...(proxyStatusUrls.length > 0
      ? []
      : [{ group: "discovery.k8s.io", resources: ["endpointslices"], verbs: ["list"] }]),
  ];
}

const clusterRules = ({ console: shown }: OperatorSettings): Rule[] => [
  { group: "", resources: ["namespaces"], verbs: ["list", "watch"] },
  ...(shown === null
    ? []
    : [
        { group: "authentication.k8s.io", resources: ["tokenreviews"], verbs: ["create"] },
        { group: "authorization.k8s.io", resources: ["subjectaccessreviews"], verbs: ["create"] },
      ]),
];

const tenantRules: readonly Rule[] = [
  { group: ownGroup, resources: plurals, verbs: ["list", "watch"] },
  { group: ownGroup, resources: plurals.map((plural) => `${plural}/status`), verbs: ["patch"] },
  { group: "", resources: ["secrets"], verbs: ["get", "watch", "create", "patch"] },
  { group: "events.k8s.io", resources: ["events"], verbs: ["create"] },
  { group: "discovery.k8s.io", resources: ["endpointslices"], verbs: ["list", "watch"] },
];

export function neededRights(settings: OperatorSettings): Right[] {
  const places = settings.watchNamespaces.length === 0 ? [""] : settings.watchNamespaces;
  return [
    ...ownRules(settings).flatMap((rule) => rightsOf(settings.namespace, rule)),
    ...clusterRules(settings).flatMap((rule) => rightsOf("", rule)),
    ...places.flatMap((place) => tenantRules.flatMap((rule) => rightsOf(place, rule))),
  ];
}

/** The right without the name of an object, as an administrator would look for it in a Role. */
export const rightText = ({ verb, group, resource, namespace }: Right): string =>
  `${verb} ${resource}${group === "" ? "" : ` (${group})`}${namespace === "" ? "" : ` in namespace ${namespace}`}`;

export const rightTexts = (rights: readonly Right[]): string[] => [...new Set(rights.map(rightText))];

const isPublished = ({ resource, namespace }: Right, own: string): boolean =>
  namespace === own && (resource === "configmaps" || resource === "secrets");

/**
 * Returns a function that says what the operator can't do with an object, or ""; null if no right is missing. `own`:
 * the operator's namespace.
 */
export function lossesBy(missing: readonly Right[], own: string): ((verdict: Verdict) => string) | null {
  if (missing.length === 0) return null;
  const published = missing.filter((right) => isPublished(right, own));
  const unread = published.filter(({ verb }) => verb === "get");
  const unwritten = published.filter(({ verb }) => verb !== "get");
  const inWords = (rights: readonly Right[], then: string): string =>
    `the operator may not ${rightTexts(rights).join(", ")}${then}; see docs/operator-rights.md`;
  return ({ kind, meta, unpublished }) => {
    const { plural } = kinds[kind];
    const reaches = ({ namespace }: Right): boolean => namespace === "" || namespace === meta.namespace;
    const unseen = [...missing.filter((right) => right.resource === plural && reaches(right)), ...unread];
    if (unseen.length > 0) return inWords(unseen, ", so later changes of the object have no effect");
    return unpublished && unwritten.length > 0 ? inWords(unwritten, "") : "";
  };
}

/** Routes of Kong with the plug-ins that apply to them, from decK files, Kubernetes resources or a single plug-in. */
import type { Setting } from "../setting.ts";

export interface KongRoute {
  name: string;
  /** Path prefixes; empty for a single plug-in. */
  paths: Setting[];
  /** By name; the most specific counts: the route's, then its service's, then global ones. */
  plugins: Map<string, Setting>;
}

export const pluginName = (plugin: Setting): string => plugin.get("name").text ?? plugin.get("plugin").text ?? "";

const isOn = (plugin: Setting): boolean => plugin.get("enabled").value !== false;

function nearest(...groups: (readonly Setting[])[]): Map<string, Setting> {
  const plugins = new Map<string, Setting>();
  for (const plugin of groups.flat())
    if (isOn(plugin) && !plugins.has(pluginName(plugin))) plugins.set(pluginName(plugin), plugin);
  return plugins;
}

/** The name in `service: a` or `service: {name: a}`. */
const reference = (setting: Setting): string =>
  setting.text ?? setting.get("name").text ?? setting.get("id").text ?? "";

const isGlobal = (plugin: Setting): boolean =>
  ["service", "route", "consumer", "consumer_group"].every((name) => !plugin.get(name).isSet);

const unneeded = [
  "methods",
  "protocols",
  "strip_path",
  "preserve_host",
  "request_buffering",
  "response_buffering",
  "https_redirect_status_code",
  "path_handling",
  "regex_priority",
  "tags",
  "id",
];

function markRoute(route: Setting): void {
  for (const name of unneeded) route.get(name).imported("not needed");
  for (const name of ["hosts", "headers", "snis"]) route.get(name).notImported("policies differ by path and model");
}

/** Routes of one decK file. */
function deckRoutes(document: Setting): KongRoute[] {
  const all = document.get("plugins").items();
  const pluginsOf = (kind: string, name: string): Setting[] =>
    name === "" ? [] : all.filter((plugin) => reference(plugin.get(kind)) === name);
  const global = all.filter(isGlobal);
  const routes: KongRoute[] = [];
  const add = (route: Setting, service: Setting | null, serviceName: string): void => {
    const name = route.get("name").text ?? serviceName;
    route.get("name").imported("name of the policy");
    markRoute(route);
    const own = [...route.get("plugins").items(), ...pluginsOf("route", name)];
    const ofService = [...(service?.get("plugins").items() ?? []), ...pluginsOf("service", serviceName)];
    routes.push({ name, paths: route.get("paths").items(), plugins: nearest(own, ofService, global) });
  };
  for (const service of document.get("services").items()) {
    const name = service.get("name").imported("its plug-ins apply").text ?? "";
    for (const route of service.get("routes").items()) add(route, service, name);
    for (const field of [
      "url",
      "host",
      "port",
      "protocol",
      "path",
      "connect_timeout",
      "read_timeout",
      "write_timeout",
      "retries",
      "tags",
      "id",
    ])
      service.get(field).imported("not needed: the plug-in says where calls go");
  }
  for (const route of document.get("routes").items()) {
    const serviceName = reference(route.get("service"));
    const service =
      document
        .get("services")
        .items()
        .find((setting) => setting.get("name").text === serviceName) ?? null;
    route.get("service").imported("its plug-ins apply");
    add(route, service, serviceName);
  }
  if (routes.length === 0 && global.length > 0) routes.push({ name: "kong", paths: [], plugins: nearest(global) });
  return routes;
}

const annotated = (document: Setting): string[] =>
  (document.get("metadata", "annotations", "konghq.com/plugins").text ?? "")
    .split(",")
    .map((name) => name.trim())
    .filter(Boolean);

/** Paths of an Ingress or HTTPRoute. */
function kubernetesPaths(document: Setting): Setting[] {
  const rules = document.get("spec", "rules").items();
  return rules.flatMap((rule) => [
    ...rule
      .get("http", "paths")
      .items()
      .map((path) => path.get("path")),
    ...rule
      .get("matches")
      .items()
      .map((match) => match.get("path", "value")),
  ]);
}

function markBackends(document: Setting): void {
  for (const rule of document.get("spec", "rules").items()) {
    rule.get("backendRefs").imported("not needed: the plug-in says where calls go");
    for (const path of rule.get("http", "paths").items())
      for (const name of ["backend", "pathType"])
        path.get(name).imported("not needed: the plug-in says where calls go");
    for (const match of rule.get("matches").items()) match.get("path", "type").imported("not needed");
  }
}

function kubernetesRoutes(documents: readonly Setting[]): KongRoute[] {
  const plugins = documents.filter((document) => /^Kong(Cluster)?Plugin$/.test(document.get("kind").text ?? ""));
  const named = new Map(plugins.map((plugin) => [plugin.get("metadata", "name").text ?? "", plugin]));
  const routes = documents.filter((document) => /^(Ingress|HTTPRoute)$/.test(document.get("kind").text ?? ""));
  const used = new Set<string>();
  const made = routes.flatMap((document): KongRoute[] => {
    const own = annotated(document).flatMap((name) => named.get(name) ?? []);
    for (const name of annotated(document)) used.add(name);
    if (own.length === 0) return [];
    for (const name of ["metadata", "apiVersion", "kind"]) document.get(name).imported("its plug-ins apply");
    for (const name of ["ingressClassName", "parentRefs"]) document.get("spec", name).imported("not needed");
    markBackends(document);
    return [
      {
        name: document.get("metadata", "name").text ?? "kong",
        paths: kubernetesPaths(document),
        plugins: nearest(own),
      },
    ];
  });
  const alone = plugins.filter((plugin) => !used.has(plugin.get("metadata", "name").text ?? ""));
  return [
    ...made,
    ...alone.map((plugin) => ({
      name: plugin.get("metadata", "name").text ?? "kong",
      paths: [],
      plugins: nearest([plugin]),
    })),
  ];
}

export function routesOf(documents: readonly Setting[]): KongRoute[] {
  const alone = documents.filter(
    (document) => document.get("name").text !== undefined && document.get("config").isMapping,
  );
  const deck = documents.filter((document) =>
    ["services", "routes", "plugins"].some((name) => document.get(name).isSet),
  );
  return [
    ...deck.flatMap(deckRoutes),
    ...kubernetesRoutes(documents),
    ...alone.map((plugin) => ({ name: pluginName(plugin), paths: [], plugins: nearest([plugin]) })),
  ];
}

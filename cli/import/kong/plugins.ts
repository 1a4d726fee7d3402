/** Other plug-ins of a route → parts of its policy. */
import { patternProblem } from "../../../crds/pattern.ts";
import { access as accessSchema } from "../../../crds/types/access.ts";
import { boundedNumber, maxNetworks, maxPatterns, takeFirst } from "../bounds.ts";
import { section } from "../fields.ts";
import type { Spec } from "../manifests.ts";
import type { Setting } from "../setting.ts";
import type { KongRoute } from "./routes.ts";

const authentication = [
  "key-auth",
  "key-auth-enc",
  "jwt",
  "openid-connect",
  "oauth2",
  "basic-auth",
  "hmac-auth",
  "mtls-auth",
  "ldap-auth",
];

/** Kong serves everybody unless a plug-in authenticates callers. */
function anonymousOf({ plugins }: KongRoute, hasPrefix: boolean, name: Setting): Spec {
  const plugin = authentication.map((name) => plugins.get(name)).find((setting) => setting !== undefined);
  if (plugin !== undefined) {
    plugin
      .get("name")
      .mark(
        /^key-auth/.test(plugin.get("name").text ?? "") ? "Imported" : "Changed",
        "callers need an ApiKey, or a token of an issuer in Helm's operator.identity",
      );
    plugin.get("config").imported("keys come as Authorization: Bearer, x-api-key or api-key");
    return {};
  }
  if (hasPrefix) return { anonymous: true };
  name.changed("callers need an ApiKey: only a policy with a pathPrefix can be open");
  return {};
}

function networksOf(plugin: Setting | undefined): Spec {
  const allow = plugin?.get("config", "allow");
  if (plugin === undefined || allow === undefined || allow.texts.length === 0) return {};
  const networks = allow.items().flatMap((setting) => {
    const isNetwork = accessSchema.safeParse({ networks: [setting.text] }).success;
    setting.mark(
      isNetwork ? "Imported" : "NotImported",
      isNetwork ? "access.networks" : "it is no network in CIDR form",
    );
    return isNetwork ? [setting] : [];
  });
  if (networks.length === 0) return {};
  plugin.get("name").imported("access.networks");
  return {
    networks: takeFirst(networks, maxNetworks, "access.networks", (setting) => setting).map(({ text }) => text),
  };
}

function promptsOf(plugin: Setting | undefined): Spec {
  if (plugin === undefined) return {};
  const prompts: { spec: Spec; setting: Setting }[] = [];
  for (const [place, position] of [
    ["prepend", "Prepend"],
    ["append", "Append"],
  ] as const)
    for (const prompt of plugin.get("config", "prompts", place).items()) {
      const role = prompt.get("role").text ?? "system";
      const content = prompt.get("content").text ?? "";
      if (content === "" || !/^(system|developer|user)$/.test(role) || content.length > 32_768) {
        prompt.notImported("request.prompts have the roles system, developer and user");
        continue;
      }
      prompts.push({ spec: { role, position, content }, setting: prompt });
      prompt.imported("request.prompts", ["role", "content"]);
    }
  plugin.get("name").imported("request.prompts");
  const kept = takeFirst(prompts, 16, "request.prompts", ({ setting }) => setting);
  return prompts.length === 0 ? {} : { prompts: kept.map(({ spec }) => spec) };
}

function guardOf(plugin: Setting | undefined): Spec {
  if (plugin === undefined) return {};
  const patterns = (name: string): string[] => {
    const field = name === "deny_patterns" ? "guard.deny" : "guard.allow";
    const usable = plugin
      .get("config", name)
      .items()
      .flatMap((setting): [string, Setting][] => {
        const text = setting.text ?? "";
        if (text === "" || text.length > 1_024 || patternProblem(text) !== null) {
          setting.notImported("it is not a pattern of RE2, which has neither look-around nor back-references");
          return [];
        }
        setting.imported(field);
        return [[text, setting]];
      });
    return takeFirst(usable, maxPatterns, field, ([, setting]) => setting).map(([text]) => text);
  };
  const [deny, allow] = [patterns("deny_patterns"), patterns("allow_patterns")];
  plugin.get("name").imported("guard");
  return section("guard", { ...(deny.length === 0 ? {} : { deny }), ...(allow.length === 0 ? {} : { allow }) });
}

const windows: readonly (readonly [string, string])[] = [
  ["second", "1s"],
  ["minute", "1m"],
  ["hour", "1h"],
  ["day", "1d"],
];

interface Limit {
  spec: Spec;
  setting: Setting;
}

function requestLimits(plugin: Setting | undefined, isOpen: boolean): Limit[] {
  const limits: Limit[] = [];
  const by = plugin?.get("config", "limit_by");
  const per = isOpen || by?.text === "service" || by?.text === "path" ? "Route" : "ApiKey";
  for (const [name, window] of windows) {
    const setting = plugin?.get("config", name);
    if (setting?.number === undefined) continue;
    const requests = boundedNumber(Math.floor(setting.number), 0, 1_000_000_000, "requests", setting);
    limits.push({ spec: { per, requests, window }, setting });
    setting.imported(`limits: requests in ${window} per ${per}`);
  }
  by?.mark(by.text === "ip" ? "Changed" : "Imported", `limits are per ${per}`);
  plugin?.get("name").imported("limits");
  plugin?.get("config", "policy").imported("limits hold for all proxies that share a store");
  return limits;
}

interface TokenLimit {
  tokens: number;
  seconds: number;
  setting: Setting;
}

/** Returns null if it sets no limit. */
function tokenLimit(entry: Setting): TokenLimit | null {
  const [limits, sizes] = [entry.get("limit").items(), entry.get("window_size").items()];
  const [limit, size] = [limits[0], sizes[0]];
  if (limit?.number === undefined || size?.number === undefined) return null;
  for (const further of [...limits.slice(1), ...sizes.slice(1)])
    further.remark("NotImported", "of a provider's limits, the first is imported");
  entry.changed("limits: tokens of all providers of the policy together", ["name", "limit", "window_size"]);
  return {
    tokens: boundedNumber(Math.floor(limit.number), 0, 1_000_000_000_000, "tokens", limit),
    seconds: boundedNumber(Math.floor(size.number), 1, 86_400, "window in seconds", size),
    setting: entry,
  };
}

/** The policy gets one limit per window: the lowest. */
function tokenLimits(plugin: Setting | undefined, isOpen: boolean): Limit[] {
  plugin?.get("name").imported("limits");
  const tokenLimits = (plugin?.get("config", "llm_providers").items() ?? []).flatMap(
    (entry) => tokenLimit(entry) ?? [],
  );
  return [...Map.groupBy(tokenLimits, ({ seconds }) => seconds).values()].flatMap((group) => {
    const [lowest, ...others] = group.toSorted((a, b) => a.tokens - b.tokens);
    for (const { setting } of others)
      setting.remark("NotImported", "the policy has the lowest of the limits in this window");
    if (lowest === undefined) return [];
    const { tokens, seconds, setting } = lowest;
    return [{ spec: { per: isOpen ? "Route" : "ApiKey", tokens, window: `${seconds}s` }, setting }];
  });
}

function limitsOf({ plugins }: KongRoute, isOpen: boolean): Spec {
  const limits = [
    ...requestLimits(plugins.get("rate-limiting"), isOpen),
    ...tokenLimits(plugins.get("ai-rate-limiting-advanced"), isOpen),
  ];
  const kept = takeFirst(limits, 16, "limits", ({ setting }) => setting);
  return limits.length === 0 ? {} : { limits: kept.map(({ spec }) => spec) };
}

const entities: Readonly<Record<string, string>> = {
  email: "Email",
  phone: "Phone",
  creditcard: "CreditCard",
  credit_card: "CreditCard",
  ssn: "SSN",
};

/** ai-sanitizer. */
function maskOf(plugin: Setting | undefined): Spec {
  if (plugin === undefined) return {};
  const detect = new Set<string>();
  for (const entity of plugin.get("config", "anonymize").items()) {
    const type = entities[entity.text ?? ""];
    if (type === undefined)
      entity.notImported("guard.mask finds e-mail addresses, telephone numbers, social security numbers and cards");
    else {
      detect.add(type);
      entity.imported(`guard.mask.detect has ${type}`);
    }
  }
  plugin.get("name").changed("guard.mask finds by patterns and checksums, without a service");
  return detect.size === 0 ? {} : { mask: { detect: [...detect] } };
}

/** Marks members that all supported plug-ins have. */
function markPlace(plugin: Setting | undefined): void {
  for (const name of ["service", "route", "enabled", "instance_name", "protocols"])
    plugin?.get(name).imported("where it applies");
}

/** `prompts`: for the policy's request. `rest`: other parts of its spec. */
export function pluginParts(route: KongRoute, hasPrefix: boolean): { prompts: Spec; rest: Spec } {
  const { plugins } = route;
  const main = plugins.get("ai-proxy-advanced") ?? plugins.get("ai-proxy");
  const open =
    main === undefined ? {} : anonymousOf(route, hasPrefix, main.get(main.get("plugin").isSet ? "plugin" : "name"));
  for (const name of [
    "ai-prompt-guard",
    "ai-prompt-decorator",
    "ai-sanitizer",
    "ip-restriction",
    "rate-limiting",
    "ai-rate-limiting-advanced",
  ])
    markPlace(plugins.get(name));
  const guard = guardOf(plugins.get("ai-prompt-guard"));
  const mask = maskOf(plugins.get("ai-sanitizer"));
  return {
    prompts: promptsOf(plugins.get("ai-prompt-decorator")),
    rest: {
      ...section("access", { ...open, ...networksOf(plugins.get("ip-restriction")) }),
      ...limitsOf(route, open["anonymous"] === true),
      ...section("guard", { ...(guard["guard"] as Spec | undefined), ...mask }),
    },
  };
}

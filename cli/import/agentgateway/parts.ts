/**
 * The parts of agentgateway's configuration besides targets: parameters, prompts, guards, retries, time limits and rate
 * limits.
 */
import { patternProblem } from "../../../crds/pattern.ts";
import { secondsOf } from "../amounts.ts";
import { attemptsFrom, boundedNumber, maxPatterns, takeFirst } from "../bounds.ts";
import { section, timerField } from "../fields.ts";
import type { Spec } from "../manifests.ts";
import type { Setting } from "../setting.ts";

/** Parameters that policies set. The policy itself steers calls. */
const isParameter = (name: string): boolean =>
  /^[a-z][a-z0-9_]{0,63}$/.test(name) && !/^(model|messages|stream|input)$/.test(name);

function parametersOf(setting: Setting, field: string): Spec {
  const spec: Spec = {};
  for (const [name, member] of setting.entries()) {
    if (!isParameter(name) || typeof member.value === "object") {
      member.notImported(`${field} has parameters of calls, such as temperature`);
      continue;
    }
    spec[name] = member.value;
    member.imported(`${field}.${name}`);
  }
  return spec;
}

function promptsOf(prompts: Setting): Spec {
  const kept: { spec: Spec; setting: Setting }[] = [];
  for (const [place, position] of [
    ["prepend", "Prepend"],
    ["append", "Append"],
  ] as const)
    for (const prompt of prompts.get(place).items()) {
      const role = prompt.get("role").text ?? "system";
      const content = prompt.get("content").text ?? "";
      const isUsable = content !== "" && /^(system|developer|user)$/i.test(role) && content.length <= 32_768;
      if (!isUsable) {
        prompt.notImported("request.prompts have the roles system, developer and user");
        continue;
      }
      kept.push({ spec: { role: role.toLowerCase(), position, content }, setting: prompt });
      prompt.imported("request.prompts", ["role", "content"]);
    }
  const first = takeFirst(kept, 16, "request.prompts", ({ setting }) => setting);
  return first.length === 0 ? {} : { prompts: first.map(({ spec }) => spec) };
}

/** `request` of a policy, from an AI policy or a model. */
export const requestOf = (policy: Setting): Spec => ({
  ...section("defaults", parametersOf(policy.get("defaults"), "request.defaults")),
  ...section("overrides", parametersOf(policy.get("overrides"), "request.overrides")),
  ...promptsOf(policy.get(policy.get("prompts").isSet ? "prompts" : "prompt")),
});

const builtIns: Readonly<Record<string, string>> = {
  email: "Email",
  phonenumber: "Phone",
  ssn: "SSN",
  creditcard: "CreditCard",
};

interface Guard {
  deny: [string, Setting][];
  detect: Set<string>;
}

function addRule(rule: Setting, isReject: boolean, guard: Guard): void {
  const builtIn = rule.get("builtin");
  const pattern = rule.isMapping ? rule.get("pattern") : rule;
  if (builtIn.text !== undefined) {
    addBuiltIn(builtIn, isReject, guard);
    return;
  }
  const text = pattern.text ?? "";
  if (!isReject) pattern.notImported("write it as guard.mask.custom, with a name");
  else if (text === "" || text.length > 1_024 || patternProblem(text) !== null)
    pattern.notImported("it is not a pattern of RE2, which has neither look-around nor back-references");
  else {
    guard.deny.push([text, pattern]);
    pattern.imported("guard.deny");
    rule.get("name").imported("guard.deny");
  }
}

function addBuiltIn(builtIn: Setting, isReject: boolean, guard: Guard): void {
  const type = builtIns[(builtIn.text ?? "").toLowerCase()];
  if (type === undefined || isReject) {
    builtIn.notImported(
      "guard.mask finds e-mail addresses, telephone numbers, social security numbers and cards, and masks them",
    );
    return;
  }
  guard.detect.add(type);
  builtIn.imported(`guard.mask.detect has ${type}`);
}

function addRequestGuard(request: Setting, guard: Guard): void {
  const regex = request.get("regex");
  const action = regex.get("action");
  const words = action.isMapping ? action.entries().map(([name]) => name) : [action.text ?? "mask"];
  const isReject = words.some((word) => /reject/i.test(word));
  action.imported(isReject ? "guard.deny" : "guard.mask");
  for (const rule of regex.get(regex.get("rules").isSet ? "rules" : "matches").items()) addRule(rule, isReject, guard);
  for (const builtIn of regex.get("builtins").items()) addBuiltIn(builtIn, isReject, guard);
  for (const name of ["rejection", "response"])
    request.get(name).changed("a refused prompt is a 400 of Sluice's own", ["status", "body", "headers", "statusCode"]);
}

/** `promptGuard.request`: patterns that are refused or masked. External moderation services have no counterpart. */
export function guardOf(promptGuard: Setting): Spec {
  const guard: Guard = { deny: [], detect: new Set() };
  for (const request of promptGuard.get("request").items()) addRequestGuard(request, guard);
  const deny = takeFirst(guard.deny, maxPatterns, "guard.deny", ([, setting]) => setting).map(([text]) => text);
  return section("guard", {
    ...(deny.length === 0 ? {} : { deny }),
    ...section("mask", guard.detect.size === 0 ? {} : { detect: [...guard.detect].sort() }),
  });
}

/** Retries and time limits, which go to the LLMProvider. */
export function providerSettings(retry: Setting, timeouts: Setting): Spec {
  retry.get("codes").changed("Sluice retries temporary failures: 429, 5xx and broken connections");
  const request = timeouts.get(timeouts.get("requestTimeout").isSet ? "requestTimeout" : "request");
  const whole = Object.values(timerField(request, "timeouts.total"))[0];
  return {
    ...section("timeouts", whole === undefined ? {} : { total: whole }),
    ...section("retry", {
      ...attemptsFrom(retry.get("attempts")),
      ...timerField(retry.get("backoff"), "retry.initialDelay"),
    }),
  };
}

const unitWindows: Readonly<Record<string, string>> = { seconds: "1s", minutes: "1m", hours: "1h", days: "1d" };

/** Seconds as the window of a limit: up to a day, or whole days. */
const windowText = (seconds: number): string =>
  seconds >= 86_400 ? `${Math.min(31, Math.round(seconds / 86_400))}d` : `${Math.max(1, Math.round(seconds))}s`;

function limitOf(limit: Setting): { spec: Spec; setting: Setting } | null {
  const isTokens = limit.get("tokens").isSet || limit.get("type").text === "tokens";
  const what = isTokens ? "tokens" : "requests";
  const most = ["tokens", "requests", "tokensPerFill", "limit", "maxTokens"]
    .map((name) => limit.get(name))
    .find((setting) => setting.number !== undefined);
  const unit = unitWindows[(limit.get("unit").text ?? "").toLowerCase()];
  const seconds = secondsOf(limit.get("fillInterval").text ?? "");
  const window = unit ?? (seconds === null ? undefined : windowText(seconds));
  if (most?.number === undefined || window === undefined) {
    limit.notImported("limits have a number of requests or tokens, and a window");
    return null;
  }
  const count = boundedNumber(Math.floor(most.number), 0, isTokens ? 1_000_000_000_000 : 1_000_000_000, what, most);
  limit.get("key").notImported("limits are for the whole policy: set per to User, Team or ApiKey");
  for (const name of ["maxTokens", "burst"])
    if (limit.get(name).number !== most.number) limit.get(name).changed("a window that slides has no burst");
  for (const name of ["type", "unit", "fillInterval", "tokens", "requests", "tokensPerFill", "limit", "maxTokens"])
    limit.get(name).imported(`limits: ${what} in ${window} for the policy`);
  return { spec: { per: "Route", [what]: count, window }, setting: limit };
}

export function limitsOf(limits: Setting): Spec {
  const imported = limits.items().flatMap((limit) => limitOf(limit) ?? []);
  const kept = takeFirst(imported, 8, "limits of a policy", ({ setting }) => setting);
  return kept.length === 0 ? {} : { limits: kept.map(({ spec }) => spec) };
}

/** Marks a self-hosted server, with the formats that it speaks. */
export function markCustom(custom: Setting): void {
  const note = "calls are made in OpenAI's format";
  custom.changed(note, []);
  for (const format of custom.get("formats").items()) format.changed(note, ["type", "path"]);
}

export function markHealth(health: Setting): void {
  const note = "a target that fails is left out by spec.circuitBreaker of its LLMProvider, which is on by default";
  health.changed(note, ["unhealthyCondition"]);
  health.get("eviction").changed(note, ["duration", "consecutiveFailures", "restoreHealth", "healthThreshold"]);
}

export function markPath(path: Setting): void {
  path.changed("callers use /v1 of the gateway; match.pathPrefix puts a policy under a path of its own", [
    ...["pathPrefix", "exact", "regex", "type", "value"],
  ]);
}

/** Virtual keys → ApiKeys, with their budgets. */
import { exampleKeyDigests } from "../../../operator/compile/keys.ts";
import { minKeyCharacters } from "../../../proxy/config/key-record.ts";
import { decimalText, periodOf, secondsOf } from "../amounts.ts";
import { boundedNumber, maxKeyModels, takeFirst } from "../bounds.ts";
import type { ImportedObject, Manifests, Spec } from "../manifests.ts";
import { modelNameFrom, subjectFrom } from "../names.ts";
import { markSecret, secretFrom } from "../secret-value.ts";
import type { Setting } from "../setting.ts";

const hashForm = /^(?:sha256:)?([0-9a-f]{64})$/i;

function writeKey(key: Setting, object: ImportedObject, manifests: Manifests): void {
  const hash = key.get("keyHash");
  const digest = hashForm.exec(hash.text ?? "")?.[1]?.toLowerCase();
  if (digest !== undefined && !exampleKeyDigests.has(digest)) {
    object.spec["digests"] = [{ algorithm: "sha256", value: digest }];
    hash.imported("digests: the key keeps working");
    return;
  }
  const setting = key.get("key");
  const value = secretFrom(setting);
  if (value !== null && !("clear" in value && value.clear.length < minKeyCharacters)) {
    const secret = manifests.secret(`${object.name}-llm-key`);
    secret.values.set("apiKey", value);
    object.spec["writeTo"] = { name: secret.name };
    markSecret(setting, value, secret.name, "apiKey");
    return;
  }
  object.spec["writeTo"] = { name: `${object.name}-llm-key` };
  for (const part of [hash, setting])
    part.changed(
      `the ApiKey gets a new key: this one is an example key, or shorter than ${minKeyCharacters} characters`,
    );
}

function modelsOf(key: Setting): Spec {
  const allowed = key.get("allowedModels");
  const isAny = allowed.texts.some((name) => name.includes("*"));
  if (allowed.texts.length === 0) return {};
  if (isAny) {
    allowed.notImported("models of an ApiKey are names: list them in spec.models");
    return {};
  }
  allowed.imported("models");
  const names = [...new Set(allowed.texts.flatMap((name) => modelNameFrom(name) ?? []))];
  return { models: takeFirst(names, maxKeyModels, "models of an ApiKey", () => allowed) };
}

function windowOf(rolling: string | undefined): string {
  const seconds = secondsOf(rolling ?? "") ?? 86_400;
  return seconds >= 86_400 ? `${Math.min(31, Math.round(seconds / 86_400))}d` : `${Math.max(1, Math.round(seconds))}s`;
}

function addBudget(budget: Setting, object: ImportedObject, manifests: Manifests): void {
  const amount = budget.get("limit", "amount");
  const [unit, rolling] = [budget.get("limit", "unit"), budget.get("window", "rolling")];
  const audit = budget.get("onBudgetExceeded");
  const enforcement = audit.text === "Audit" ? "Shadow" : "Hard";
  audit.imported(`enforcement ${enforcement}`);
  budget.get("name").imported("Budget");
  unit.imported("Budget");
  const scope = { scope: { apiKeys: [object.name] } };
  if (unit.text === "Tokens" && enforcement === "Shadow") {
    amount.notImported("a limit of tokens refuses calls; only a Budget with an amount can merely count");
    return;
  }
  if (unit.text === "Tokens" && amount.number !== undefined) {
    const tokens = boundedNumber(Math.floor(amount.number), 0, 1_000_000_000_000, "tokens", amount);
    amount.imported("tokens of a limit");
    rolling.changed("the window slides");
    manifests.add("Budget", `key-${object.name}-tokens`, {
      ...scope,
      limits: [{ tokens, window: windowOf(rolling.text) }],
    });
    return;
  }
  const { period, factor, note } = periodOf(rolling.text);
  const text = amount.number === undefined ? null : decimalText(amount.number * factor);
  if (unit.text !== "USD" || text === null) {
    budget.notImported("a Budget has an amount of USD, or limits of tokens");
    return;
  }
  amount.imported("amount of a Budget");
  rolling.mark(note === "" ? "Imported" : "Changed", ["period of the Budget", note].filter(Boolean).join("; "));
  manifests.add("Budget", `key-${object.name}`, { amount: text, period, enforcement, ...scope });
}

function addKey(key: Setting, index: number, manifests: Manifests): void {
  const metadata = key.get("metadata");
  const [name, user, team] = [
    metadata.get("name"),
    metadata.get("user"),
    metadata.get(metadata.get("team").isSet ? "team" : "group"),
  ];
  const label = name.text ?? user.text ?? `key-${index + 1}`;
  const object = manifests.add("ApiKey", label, {
    user: subjectFrom(user.text ?? label),
    ...(team.text === undefined ? {} : { team: subjectFrom(team.text) }),
    ...modelsOf(key),
  });
  for (const setting of [name, user, team]) setting.imported(`ApiKey ${object.name}`);
  writeKey(key, object, manifests);
  for (const budget of key.get("budgets").items()) addBudget(budget, object, manifests);
}

/** Also adds keys of a single route's policy, though ApiKeys apply to all policies of their namespace. */
export function addKeys(apiKey: Setting, manifests: Manifests): void {
  const mode = apiKey.get("mode");
  mode.mark(
    mode.text === undefined || mode.text === "strict" ? "Imported" : "Changed",
    "callers need an ApiKey; spec.access.anonymous of a policy lets others in",
  );
  for (const [index, key] of apiKey.get("keys").items().entries()) addKey(key, index, manifests);
}

/** Where the value of a secret comes from. */
import type { Setting } from "./setting.ts";

/**
 * env: a variable, filled in by `sluice dev` or by envsubst. clear: the value itself, which goes only into a Secret.
 * outside: the user creates the Secret, from the source that the text names.
 */
export type SecretValue = { env: string } | { clear: string } | { outside: string };

const references = [
  /^os\.environ\/([A-Za-z_][A-Za-z0-9_]*)$/,
  /^\$\{?([A-Za-z_][A-Za-z0-9_]*)(?::-[^}]*)?\}?$/,
  /^env[.:/]([A-Za-z_][A-Za-z0-9_]*)$/i,
  /^\{vault:\/\/env\/([A-Za-z0-9_-]+)\}$/,
  /^\$\{?\{?\s*env ?["'(]?\s*["']?([A-Za-z_][A-Za-z0-9_]*)["']?\)?\s*\}?\}$/,
];

/** The variable that a text refers to; null if the text is the value. */
export function variableOf(text: string): string | null {
  for (const reference of references) {
    const name = reference.exec(text)?.[1];
    // For the secret my-key, an environment vault reads the variable MY_KEY.
    if (name !== undefined) return name.includes("-") ? name.replaceAll("-", "_").toUpperCase() : name;
  }
  return null;
}

/** Placeholders used as keys for servers that need none. */
export const isPlaceholder = (text: string): boolean =>
  /^(none|null|empty|dummy|fake|fake-key|anything|any|na|n\/a|not-needed|no-key|no-key-required|sk-fake|sk-no-key-required|ollama|x+|-)$/i.test(
    text,
  );

export function secretFrom(setting: Setting): SecretValue | null {
  const { text } = setting;
  if (text === undefined || text === "") return null;
  const env = variableOf(text);
  return env === null ? { clear: text } : { env };
}

/** Marks the setting as moved to a Secret. */
export function markSecret(setting: Setting, value: SecretValue, secret: string, key: string): void {
  if ("env" in value) setting.mark("Secret", `Secret ${secret}, key ${key}, from the variable ${value.env}`);
  else if ("clear" in value) setting.mark("Secret", `clear value moved to Secret ${secret}, key ${key}`);
  else setting.mark("Secret", `make Secret ${secret} with key ${key}: ${value.outside.replace("NAME", secret)}`);
}

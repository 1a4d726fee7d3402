/** The sections of LiteLLM's config.yaml, over all files of an import. */

import { pathText } from "../report.ts";
import { type SecretValue, secretFrom, variableOf } from "../secret-value.ts";
import type { Setting } from "../setting.ts";
import type { ImportOptions } from "../source.ts";

const sectionNames = [
  "model_list",
  "litellm_settings",
  "router_settings",
  "general_settings",
  "environment_variables",
  "guardrails",
  "credential_list",
  "include",
  "mcp_servers",
  "vector_store_registry",
  "finetune_settings",
  "files_settings",
  "callback_settings",
] as const;
type Section = (typeof sectionNames)[number];

export const isConfig = (document: Setting): boolean => sectionNames.some((name) => document.get(name).isSet);

export class Config {
  readonly #documents: readonly Setting[];
  readonly #env: ImportOptions["env"];

  constructor(documents: readonly Setting[], { env }: ImportOptions) {
    this.#documents = documents;
    this.#env = env;
  }

  sections(name: Section): Setting[] {
    return this.#documents.map((document) => document.get(name)).filter((section) => section.isSet);
  }

  /** The first of these settings that a file has. It takes precedence over the others. */
  find(...places: readonly (readonly [Section, ...string[]])[]): Setting | undefined {
    const [first, ...others] = places
      .flatMap(([section, ...path]) => this.#documents.map((document) => document.get(section, ...path)))
      .filter((setting) => setting.isSet);
    for (const other of others) other.notImported(`the value of ${pathText(first?.path ?? [])} takes precedence`);
    return first;
  }

  /** The text of a setting that isn't secret: variables are looked up in the file, then in the environment. */
  plain(setting: Setting): { text: string | undefined; variable: string | null } {
    const { text } = setting;
    const variable = text === undefined ? null : variableOf(text);
    if (variable === null) return { text: text === "" ? undefined : text, variable };
    const own = this.find(["environment_variables", variable]);
    return { text: own?.imported(`used by ${setting.name}`).text ?? (this.#env[variable] || undefined), variable };
  }

  /** A secret. If the file itself sets the variable, the value is in clear text. */
  secret(setting: Setting): SecretValue | null {
    const value = secretFrom(setting);
    if (value === null || !("env" in value)) return value;
    const own = this.find(["environment_variables", value.env]);
    const clear = own?.text;
    if (own === undefined || clear === undefined || variableOf(clear) !== null) return value;
    own.mark("Secret", "clear value moved to the Secret of the object that uses it");
    return { clear };
  }
}

/** The settings that each coding agent needs to call the gateway, as its documentation describes them. */

/** The input for the settings. */
export interface Connection {
  /** The gateway's address without /v1. */
  origin: string;
  model: ConnectedModel;
  /** For small tasks in the background. */
  smallModel: ConnectedModel;
  /** Environment variable with the key. */
  keyEnv: string;
}

export interface ConnectedModel {
  name: string;
  /** Tokens; null if unknown. */
  context: number | null;
  output: number | null;
}

type Json = { [name: string]: Json | string | number | boolean };

export interface SettingsFile {
  /** Relative to the home folder. */
  path: string;
  format: "json" | "yaml" | "toml";
  /** A TOML file is written whole; in other formats, members are added to the existing file. */
  settings: Json;
}

export interface ClientSettings {
  /** Files to write. */
  files: SettingsFile[];
  /** Lines for the shell's profile. */
  exports: string[];
  /** Steps that must be done by hand. */
  steps: string[];
  /** A command that tests the connection; "" if there is none. */
  attempt: string;
}

interface Client {
  title: string;
  settings(connection: Connection): ClientSettings;
}

const exportKey = (keyEnv: string): string =>
  `export ${keyEnv}=slc_…   # your key; keep it out of files that you share`;

const claudeCode: Client = {
  title: "Claude Code",
  settings: ({ origin, model, smallModel, keyEnv }) => ({
    files: [
      {
        path: ".claude/settings.json",
        format: "json",
        settings: {
          apiKeyHelper: `printenv ${keyEnv}`,
          env: {
            ANTHROPIC_BASE_URL: origin,
            ANTHROPIC_MODEL: model.name,
            ANTHROPIC_DEFAULT_HAIKU_MODEL: smallModel.name,
          },
        },
      },
    ],
    exports: [exportKey(keyEnv)],
    steps: [],
    attempt: 'claude -p "Say hello"',
  }),
};

const codex: Client = {
  title: "Codex",
  settings: ({ origin, model, keyEnv }) => ({
    files: [
      {
        path: ".codex/sluice.config.toml",
        format: "toml",
        settings: {
          model: model.name,
          model_provider: "sluice",
          ...(model.context === null ? {} : { model_context_window: model.context }),
          model_providers: {
            sluice: { name: "Sluice", base_url: `${origin}/v1`, env_key: keyEnv, wire_api: "responses" },
          },
        },
      },
    ],
    exports: [exportKey(keyEnv)],
    steps: [],
    attempt: 'codex exec --profile sluice "Say hello"',
  }),
};

/** 0 stands for unknown. Without an output limit, opencode requests more tokens than some models allow. */
function limitOf({ context, output }: ConnectedModel): Json {
  return context === null && output === null ? {} : { limit: { context: context ?? 0, output: output ?? 0 } };
}

const opencode: Client = {
  title: "opencode",
  settings: ({ origin, model, smallModel, keyEnv }) => ({
    files: [
      {
        path: ".config/opencode/opencode.json",
        format: "json",
        settings: {
          model: `sluice/${model.name}`,
          small_model: `sluice/${smallModel.name}`,
          provider: {
            sluice: {
              npm: "@ai-sdk/openai-compatible",
              name: "Sluice",
              options: { baseURL: `${origin}/v1`, apiKey: `{env:${keyEnv}}` },
              models: { [model.name]: limitOf(model), [smallModel.name]: limitOf(smallModel) },
            },
          },
        },
      },
    ],
    exports: [exportKey(keyEnv)],
    steps: [],
    attempt: 'opencode run "Say hello"',
  }),
};

const aider: Client = {
  title: "aider",
  settings: ({ origin, model, smallModel, keyEnv }) => ({
    files: [
      {
        path: ".aider.conf.yml",
        format: "yaml",
        settings: {
          "openai-api-base": `${origin}/v1`,
          model: `openai/${model.name}`,
          "weak-model": `openai/${smallModel.name}`,
        },
      },
    ],
    exports: [exportKey(keyEnv), `export OPENAI_API_KEY="$${keyEnv}"`],
    steps: [],
    attempt: 'aider --message "Say hello"',
  }),
};

const cursor: Client = {
  title: "Cursor",
  settings: ({ origin, model, keyEnv }) => ({
    files: [],
    exports: [],
    steps: [
      "Open Cursor Settings > Models.",
      `Under Custom models, add ${model.name}.`,
      `Under API Keys, switch on OpenAI API Key and enter your key (the value of ${keyEnv}).`,
      `Switch on Override OpenAI Base URL and enter ${origin}/v1`,
      "Cursor's own servers make the calls, so the address must be reachable from the internet over https.",
    ],
    attempt: "",
  }),
};

export const clients: Readonly<Record<string, Client>> = { "claude-code": claudeCode, codex, opencode, aider, cursor };

/** `sluice connect`: what a coding agent needs to call the gateway, printed or written to its settings. */
import { homedir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { nearest } from "../crds/parse.ts";
import { UsageError } from "../proxy/usage-error.ts";
import {
  type ClientSettings,
  type ConnectedModel,
  type Connection,
  clients,
  type SettingsFile,
} from "./connect/clients.ts";
import { freshText, merged, readIfThere, replaceFile } from "./connect/settings-file.ts";
import { egressFetch } from "./egress-fetch.ts";
import { hasMembers } from "./has-members.ts";

const usage = `sluice connect CLIENT: set up a coding agent to call the gateway

  CLIENT is ${Object.keys(clients).join(", ")}.

  --url URL             the gateway's address (default: the environment variable SLUICE_URL)
  --model MODEL         (default: the only model that the key may use)
  --small-model MODEL   for small tasks in the background, where the client has any (default: --model)
  --key-env NAME        environment variable with your key (default SLUICE_API_KEY). The settings name it and never
                        contain the key. If it is set, the gateway is asked whether the key may use the model
  --write               add the settings to the client's own
  --replace             with --write: replace existing values
  --home FOLDER         the folder that contains the client's settings (default: your home)`;

const options = {
  url: { type: "string" },
  model: { type: "string" },
  "small-model": { type: "string" },
  "key-env": { type: "string", default: "SLUICE_API_KEY" },
  write: { type: "boolean", default: false },
  replace: { type: "boolean", default: false },
  home: { type: "string" },
  help: { type: "boolean", default: false },
} as const;

type Env = Readonly<Record<string, string | undefined>>;
type Print = (line: string) => void;

const askMs = 10_000;

/** The address without /v1, which some clients add themselves. */
function originOf(text: string | undefined): string {
  if (text === undefined || text === "")
    throw new UsageError("say where the gateway is: --url https://llm.example.com, or SLUICE_URL");
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new UsageError(`--url must be an address such as https://llm.example.com, not ${text}`);
  }
  if (!/^https?:$/.test(url.protocol))
    throw new UsageError(`--url must begin with https:// or http://, not ${url.protocol}`);
  if (url.username !== "" || url.search !== "" || url.hash !== "")
    throw new UsageError("--url must be the address alone, without user, query and fragment");
  return `${url.origin}${url.pathname.replace(/\/+$/, "").replace(/\/v1$/, "")}`;
}

const numberOf = (value: unknown): number | null => (typeof value === "number" ? value : null);

function modelsIn(body: unknown): ConnectedModel[] {
  const data = hasMembers(body) ? body["data"] : null;
  if (!Array.isArray(data))
    throw new Error("the server there is not a gateway: it has no list of models at /v1/models");
  return data.filter(hasMembers).map((model) => ({
    name: String(model["id"]),
    context: numberOf(model["context_window"]),
    output: numberOf(model["max_output_tokens"]),
  }));
}

/** Asks the gateway which models the key may use. */
async function askModels(origin: string, key: string, keyEnv: string, env: Env): Promise<ConnectedModel[]> {
  const url = `${origin}/v1/models`;
  const asked = { headers: { authorization: `Bearer ${key}` }, signal: AbortSignal.timeout(askMs) };
  const answer = await egressFetch(url, asked, env).catch((cause: unknown) => {
    const why = (cause as { cause?: { code?: string } }).cause?.code ?? (cause as Error).name;
    throw new Error(`${url} can't be reached (${why}); check --url`);
  });
  if (answer.status === 401 || answer.status === 403)
    throw new Error(
      `the gateway refuses the key in ${keyEnv} (status ${answer.status}); check that it is whole and not revoked`,
    );
  if (!answer.ok) throw new Error(`${url} answers with status ${answer.status}; check --url`);
  return modelsIn(await answer.json().catch(() => null));
}

function chosen(models: readonly ConnectedModel[] | null, asked: string | undefined, keyEnv: string): ConnectedModel {
  if (models === null) {
    if (asked !== undefined) return { name: asked, context: null, output: null };
    throw new UsageError(`say which --model; or set ${keyEnv}, so that the gateway can be asked`);
  }
  const names = models.map(({ name }) => name);
  if (asked === undefined && models.length === 1) return models[0] as ConnectedModel;
  if (asked === undefined)
    throw new UsageError(
      names.length === 0 ? "the key may use no model; ask the platform team" : `say which --model: ${names.join(", ")}`,
    );
  const model = models.find(({ name }) => name === asked);
  if (model !== undefined) return model;
  const meant = nearest(asked, names);
  throw new UsageError(
    `the key may not use ${asked}${meant === null ? "" : `; did you mean ${meant}?`} It may use: ${names.join(", ")}`,
  );
}

function printSettings(title: string, settings: ClientSettings, home: string, print: Print): void {
  for (const file of settings.files) {
    print(`# ${title}: add this to ${join(home, file.path)}, or repeat the command with --write`);
    print(freshText(file));
  }
  for (const step of settings.steps) print(`- ${step}`);
  printRest(settings, print);
}

function printRest({ exports, attempt }: ClientSettings, print: Print): void {
  if (exports.length > 0) print("# In your shell:");
  for (const line of exports) print(line);
  if (attempt !== "") print(`\n# Try it:\n${attempt}`);
}

/** Writes one file. Returns false, and writes nothing, if it would replace an existing value. */
async function writeOne(file: SettingsFile, home: string, replace: boolean, print: Print): Promise<boolean> {
  const path = join(home, file.path);
  const before = await readIfThere(path);
  let result: ReturnType<typeof merged>;
  try {
    result = merged(file, before);
  } catch (cause) {
    throw new Error(
      `${path} can't be read as ${file.format.toUpperCase()} (${(cause as Error).message}); add the settings by hand`,
    );
  }
  const { text, changes } = result;
  if (changes.length === 0) {
    print(`${path} has these settings already`);
    return true;
  }
  const replaced = changes.filter((change) => change.before !== undefined);
  if (replaced.length > 0 && !replace) {
    print(`${path} is left as it is: it has other values, which --replace would replace:`);
    for (const { path: place, before: was, after } of replaced) print(`  ${place}: ${was} -> ${after}`);
    return false;
  }
  await replaceFile(path, text);
  print(`${before === null ? "created" : "changed"} ${path}:`);
  for (const { path: place, before: was, after } of changes)
    print(was === undefined ? `  ${place}: ${after}` : `  ${place}: ${after} (was ${was})`);
  return true;
}

function clientOf(name: string | undefined): (typeof clients)[string] {
  const client = name !== undefined && Object.hasOwn(clients, name) ? clients[name] : undefined;
  if (client !== undefined) return client;
  const meant = name === undefined ? null : nearest(name, Object.keys(clients));
  const choices = `it may be ${Object.keys(clients).join(", ")}`;
  throw new UsageError(
    name === undefined
      ? `say for which client: ${choices}`
      : `no client ${name}: ${meant === null ? choices : `did you mean ${meant}?`}`,
  );
}

async function connectionOf(
  values: { url?: string; model?: string; "small-model"?: string; "key-env": string },
  env: Env,
): Promise<Connection> {
  const keyEnv = values["key-env"];
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(keyEnv))
    throw new UsageError("--key-env must be the name of an environment variable, not the key itself");
  const origin = originOf(values.url ?? env["SLUICE_URL"]);
  const key = env[keyEnv];
  const models = key === undefined || key === "" ? null : await askModels(origin, key, keyEnv, env);
  const model = chosen(models, values.model, keyEnv);
  return { origin, keyEnv, model, smallModel: chosen(models, values["small-model"] ?? model.name, keyEnv) };
}

/** Returns whether everything was done. */
export async function connect(args: readonly string[], env: Env, print: Print): Promise<boolean> {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  if (values.help) {
    print(usage);
    return true;
  }
  const [name, ...others] = positionals;
  const client = clientOf(name);
  if (others.length > 0) throw new UsageError(`one client at a time, not ${others.join(" ")} as well`);
  if (values.replace && !values.write) throw new UsageError("--replace belongs to --write");
  const settings = client.settings(await connectionOf(values, env));
  const home = values.home ?? homedir();
  if (!values.write) {
    printSettings(client.title, settings, home, print);
    return true;
  }
  if (settings.files.length === 0)
    throw new UsageError(
      `${client.title} keeps its settings where no command can write them; leave --write out for the steps`,
    );
  let done = true;
  for (const file of settings.files) done = (await writeOne(file, home, values.replace, print)) && done;
  if (done) printRest(settings, print);
  return done;
}

export async function runConnect(args: readonly string[]): Promise<void> {
  const done = await connect(args, process.env, (line) => process.stdout.write(`${line}\n`));
  if (!done) process.exitCode = 1;
}

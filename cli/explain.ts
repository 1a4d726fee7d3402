/** `sluice explain`: which route and targets a request would use, and why not the others. Sends and writes nothing. */
import { isIP } from "node:net";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";
import type { Compiled } from "../operator/compile/compile.ts";
import { isError } from "../operator/compile/outcome.ts";
import { type ObservedCluster, observeCluster } from "../operator/observe.ts";
import type { Identity } from "../proxy/call/identity.ts";
import { encode, sha256Hex } from "../proxy/config/encode.ts";
import { authenticate } from "../proxy/pipeline/authenticate.ts";
import { type ExplainRequest, type Explanation, explainCall } from "../proxy/pipeline/explain.ts";
import { identify } from "../proxy/pipeline/identify.ts";
import { providers } from "../proxy/providers/registry.generated.ts";
import { build } from "../proxy/snapshot/build.ts";
import type { Snapshot } from "../proxy/snapshot/snapshot.ts";
import { UsageError } from "../proxy/usage-error.ts";
import { bodyOf } from "./explain-body.ts";
import { formatExplanation } from "./explain-text.ts";
import {
  assumedLine,
  offlineEnvironment,
  offlineOptions,
  offlinePepper,
  offlineUsage,
  readOffline,
} from "./offline-options.ts";

export const explainUsage = `sluice explain [FOLDER…]: which provider a request would go to, and why

With folders, compiles their manifests; without, reads the cluster's objects. Sends and writes nothing, and assumes that
every provider is healthy and that nothing of budgets and limits is used. Exits 0 if a provider would be asked, 1 if the
request would be refused. Where the order of targets is drawn or they take turns, it exits with 1 only if the request
would be refused whichever comes first.

  --key NAMESPACE/NAME  the caller's ApiKey object
  --key-env VARIABLE    the caller's clear key, from the environment
  --key-stdin           the caller's clear key, from standard input
                        (none of these: a caller without a key)
  --model NAME          the requested model
  --path PATH           (default /v1/chat/completions)
  --body FILE           the request's body as JSON, - for standard input (default: a short one that names the model).
                        Where the path takes a form, the fields of one; or a form of your own, with its Content-Type
                        as --header
  --header NAME=VALUE   a header of the request; may be repeated
  --address IP          where the call comes from (default: unknown)
  --country CODE        the country of that address, such as DE
  --at MOMENT           when, such as 2027-02-28T12:00:00Z (default: now)
  --prompt-tokens N     length of the prompt, instead of what the body has
  --cached TARGET=N     prompt tokens that a target has in its cache; LeastCost counts them; may be repeated
  --output-tokens N     largest number of tokens in the answer
  --batch-size N        inputs of an embeddings request
  -o, --output FORMAT   text (default) or json

With folders:
${offlineUsage}

Without:
  --kubeconfig FILE     cluster to read (default: ~/.kube/config)
  --system-namespace NS where the operator runs (default sluice-system)
  --settings FILE       the operator's settings (default: its ConfigMap)`;

const options = {
  key: { type: "string" },
  "key-env": { type: "string" },
  "key-stdin": { type: "boolean" },
  model: { type: "string" },
  path: { type: "string", default: "/v1/chat/completions" },
  body: { type: "string" },
  header: { type: "string", multiple: true },
  address: { type: "string" },
  country: { type: "string" },
  at: { type: "string" },
  "prompt-tokens": { type: "string" },
  cached: { type: "string", multiple: true },
  "output-tokens": { type: "string" },
  "batch-size": { type: "string" },
  output: { type: "string", short: "o", default: "text" },
  kubeconfig: { type: "string" },
  "system-namespace": { type: "string", default: "sluice-system" },
  ...offlineOptions,
  help: { type: "boolean" },
} as const;

type Values = ReturnType<typeof parseArgs<{ options: typeof options; allowPositionals: true }>>["values"];

function wholeNumber(name: "prompt-tokens" | "output-tokens" | "batch-size", values: Values): number | null {
  const count = values[name];
  if (count === undefined) return null;
  if (!/^\d{1,9}$/.test(count)) throw new UsageError(`--${name} must be a whole number, not ${count}`);
  return Number(count);
}

function cachedOf(values: Values): ReadonlyMap<string, number> {
  return new Map(
    (values.cached ?? []).map((given) => {
      const [, target, tokens] = /^(.+)=(\d{1,9})$/.exec(given) ?? [];
      if (target === undefined) throw new UsageError(`--cached must be TARGET=N, such as big=90000, not ${given}`);
      return [target, Number(tokens)];
    }),
  );
}

function momentOf({ at }: Values): number {
  const moment = at === undefined ? Date.now() : Date.parse(at);
  if (Number.isNaN(moment)) throw new UsageError(`--at must be a time such as 2027-02-28T12:00:00Z, not ${at}`);
  return moment;
}

function headersOf(values: Values): Record<string, string> {
  const entries = (values.header ?? []).map((text) => {
    const index = text.indexOf("=");
    if (index <= 0) throw new UsageError(`--header must be NAME=VALUE, not ${text}`);
    return [text.slice(0, index).toLowerCase(), text.slice(index + 1)] as const;
  });
  return Object.fromEntries(entries);
}

function check(values: Values): void {
  if (values.output !== "text" && values.output !== "json")
    throw new UsageError(`--output must be text or json, not ${values.output}`);
  if ([values.key, values["key-env"], values["key-stdin"]].filter((given) => given !== undefined).length > 1)
    throw new UsageError("name the caller once: --key, --key-env or --key-stdin");
  if (values.address !== undefined && isIP(values.address) === 0)
    throw new UsageError(`--address must be an IP address, not ${values.address}`);
  if (values["key-stdin"] && values.body === "-")
    throw new UsageError("standard input can't be both the key and the body");
  if (values.key !== undefined && !/^[^/]+\/[^/]+$/.test(values.key))
    throw new UsageError(`--key must be NAMESPACE/NAME, not ${values.key}`);
}

async function clearKey(values: Values): Promise<string | null> {
  if (values["key-stdin"]) return (await text(process.stdin)).trim();
  const name = values["key-env"];
  if (name === undefined) return null;
  const value = process.env[name];
  if (value === undefined || value === "") throw new UsageError(`the environment has no ${name}`);
  return value;
}

async function identityOf(values: Values, snapshot: Snapshot, compiled: Compiled, nowMs: number): Promise<Identity> {
  const name = values.key;
  if (name !== undefined) {
    const record = compiled.config.keys.find((key) => key.id === name);
    if (record === undefined)
      throw new Error(
        `ApiKey ${name} is not served${problemsOf(compiled, "ApiKey", name) || "; there is no such object"}`,
      );
    return identify(record, nowMs);
  }
  const clear = await clearKey(values);
  const headers = clear === null ? {} : { authorization: `Bearer ${clear}` };
  return authenticate({ headers }, snapshot, nowMs);
}

function problemsOf(compiled: Compiled, kind: string, id: string): string {
  const verdict = compiled.verdicts.find(
    (verdict) => verdict.kind === kind && `${verdict.meta.namespace}/${verdict.meta.name}` === id,
  );
  const wrong = [...(verdict?.accepted ?? []), ...(verdict?.resolvedRefs ?? [])].filter(isError);
  return wrong.length === 0 ? "" : `: ${wrong.map((error) => error.fullMessage ?? error.message).join("; ")}`;
}

/** Policies and providers that are not, or only partly, served as specified. */
function notesOf(compiled: Compiled): string[] {
  return compiled.verdicts
    .filter(
      (verdict) => (verdict.kind === "RoutingPolicy" || verdict.kind === "LLMProvider") && verdict.live !== "current",
    )
    .map(({ kind, meta, live }) => {
      const id = `${meta.namespace}/${meta.name}`;
      const how =
        live === "none" ? "is not served" : live === "lastGood" ? "is served in an earlier form" : "is served in part";
      return `${kind} ${id} ${how}${problemsOf(compiled, kind, id)}`;
    });
}

const perMillion = (nanoUsd: number): string => `USD ${nanoUsd / 1e9}`;

/** The cost of the targets that may be asked, and which of them have no known price. */
function pricesOf({ model, targets }: Explanation, snapshot: Snapshot): string[] {
  return targets.flatMap(({ provider, upstreamModel }) => {
    const entries = [...(snapshot.providers.get(provider)?.models.values() ?? [])];
    const entry = entries.find(({ config }) => config.upstream === upstreamModel);
    if (entry === undefined) return [];
    const { price } = entry.config;
    const what = `${upstreamModel ?? model} of ${provider}`;
    if (price === null)
      return [`no price is known for ${what}: it costs nothing in figures, and hard budgets refuse it`];
    const from = price.source === "table" ? "the published table" : "the installation";
    return [
      `${what} costs ${perMillion(price.input)} for a million tokens in, ${perMillion(price.output)} out, by ${from}`,
    ];
  });
}

/** Clear keys may come from the environment; other variables that Secrets use may be unset. */
const environment = new Proxy<Record<string, string | undefined>>(
  {},
  { get: (_, name) => process.env[String(name)] ?? offlineEnvironment[String(name)] },
);

async function compiledOf(paths: readonly string[], values: Values, nowMs: number): Promise<ObservedCluster> {
  if (paths.length > 0) {
    const read = await readOffline(paths, values, nowMs, null, environment);
    return { compiled: read.compiled, notes: assumedLine(read), durableAudit: read.durableAudit };
  }
  const place = {
    kubeconfig: values.kubeconfig ?? null,
    systemNamespace: values["system-namespace"],
    settings: values.settings ?? null,
  };
  return observeCluster(place, offlinePepper, nowMs);
}

export async function runExplain(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options });
  if (values.help === true) {
    process.stdout.write(`${explainUsage}\n`);
    return;
  }
  check(values);
  const nowMs = momentOf(values);
  const numbers = {
    promptTokens: wholeNumber("prompt-tokens", values),
    outputTokens: wholeNumber("output-tokens", values),
    batchSize: wholeNumber("batch-size", values),
    cachedTokens: cachedOf(values),
  };
  const headers = headersOf(values);
  const { compiled, notes, durableAudit } = await compiledOf(positionals, values, nowMs);
  const { manifest } = encode(compiled.config, sha256Hex(offlinePepper));
  const snapshot = build(compiled.config, manifest, { pepper: offlinePepper, credentials: new Map() }, providers);
  const request: ExplainRequest = {
    identity: await identityOf(values, snapshot, compiled, nowMs),
    path: values.path,
    ...(await bodyOf(values, headers, snapshot)),
    address: values.address ?? null,
    country: values.country?.toUpperCase() ?? null,
    durableAudit,
    ...numbers,
  };
  const explained = await explainCall(snapshot, request, nowMs);
  const said = [...notes, ...notesOf(compiled), ...pricesOf(explained, snapshot)];
  process.stdout.write(
    values.output === "json"
      ? `${JSON.stringify({ ...explained, notes: said }, null, 2)}\n`
      : `${formatExplanation(explained, said)}\n`,
  );
  process.exitCode = explained.failure === null ? 0 : 1;
}

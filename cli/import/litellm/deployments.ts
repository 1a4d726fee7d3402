/** `model_list` → models of LLMProviders. */

import type { MediaWireFormat } from "../../../proxy/config/capabilities.ts";
import type { Accounts, ModelRef } from "../accounts.ts";
import { perMillion, timerFrom } from "../amounts.ts";
import type { Spec } from "../manifests.ts";
import { mediaProblem } from "../media.ts";
import type { Setting } from "../setting.ts";
import type { Config } from "./config.ts";
import { deploymentAccount, Parameters } from "./deployment-account.ts";
import { deploymentModel } from "./deployment-model.ts";
import { providerDefaults, retryOf } from "./provider-settings.ts";

export interface Deployment {
  /** The name that callers use. */
  group: string;
  entry: Setting;
  ref: ModelRef;
  /** Type of the LLMProvider. */
  type: string;
  /** Share of the traffic; null if the configuration sets none. */
  weight: number | null;
  order: number | null;
  /** Parameters of calls that the configuration sets. */
  defaults: Spec;
}

/** Parameters of calls, as opposed to settings of the deployment. */
const callParameters: readonly string[] = [
  "temperature",
  "top_p",
  "top_k",
  "max_tokens",
  "max_completion_tokens",
  "n",
  "stop",
  "seed",
  "presence_penalty",
  "frequency_penalty",
  "logit_bias",
  "logprobs",
  "top_logprobs",
  "reasoning_effort",
  "response_format",
  "service_tier",
  "parallel_tool_calls",
  "dimensions",
  "encoding_format",
  "input_type",
  "repetition_penalty",
  "min_p",
  "verbosity",
];

/** Modes served by endpoints that Sluice doesn't have. */
const otherModes = /^(realtime|video_generation|ocr|search|vector_store|batch)$/;

const mediaModes: Readonly<Record<string, MediaWireFormat>> = {
  image_generation: "openai.images",
  image_edit: "openai.image_edits",
  audio_transcription: "openai.transcriptions",
  audio_speech: "openai.speech",
  rerank: "cohere.rerank",
  moderation: "openai.moderations",
};

/** Facts that Sluice finds out by itself or doesn't need. */
const unneeded =
  /^(id|mode|supports_.*|supported_.*|litellm_provider|db_model|created_(at|by)|updated_(at|by)|description|metadata|health_check_.*|key|max_tokens)$/;

function priceOf(places: readonly Setting[]): Spec {
  const rate = (name: string): [Setting, string] | undefined => {
    const setting = places.map((place) => place.get(name)).find((candidate) => candidate.isSet);
    const text = setting?.number === undefined ? null : perMillion(setting.number);
    return setting === undefined || text === null ? undefined : [setting, text];
  };
  const input = rate("input_cost_per_token");
  const output = rate("output_cost_per_token");
  if (input === undefined && output === undefined) return {};
  const rates: Record<string, [Setting, string] | undefined> = {
    inputPerMillion: input,
    cachedInputPerMillion: rate("cache_read_input_token_cost"),
    cacheWritePerMillion: rate("cache_creation_input_token_cost"),
    outputPerMillion: output,
  };
  const price: Record<string, string> = { inputPerMillion: "0", outputPerMillion: "0" };
  for (const [field, value] of Object.entries(rates)) {
    if (value === undefined) continue;
    value[0].imported(`price.${field} is ${value[1]}`);
    price[field] = value[1];
  }
  return { price };
}

function countOf(setting: Setting, field: string, most: number): number | undefined {
  const { number } = setting;
  if (number === undefined) return undefined;
  const count = Math.floor(number);
  if (count < 1 || count > most) {
    setting.notImported(`${field} is from 1 to ${most}`);
    return undefined;
  }
  setting.imported(field);
  return count;
}

const given = (fields: Record<string, unknown>): Spec =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));

function quotaOf(own: Setting): Spec {
  const quota = given({
    requestsPerMinute: countOf(own.get("rpm"), "quota.requestsPerMinute of the model", 1_000_000_000),
    tokensPerMinute: countOf(own.get("tpm"), "quota.tokensPerMinute of the model", 1_000_000_000_000),
  });
  return Object.keys(quota).length === 0 ? {} : { quota };
}

function modelSettings(own: Setting, info: Setting): Spec {
  const base = [info.get("base_model"), own.get("base_model")].find((setting) => setting.isSet);
  base?.imported("priceAs of the model");
  const settings = {
    ...priceOf([own, info]),
    ...given({
      priceAs: base?.text?.replace(/^azure\//, ""),
      maxOutputTokens: countOf(info.get("max_output_tokens"), "maxOutputTokens of the model", 10_000_000),
      contextTokens: countOf(info.get("max_input_tokens"), "contextTokens of the model", 100_000_000),
    }),
    ...quotaOf(own),
  };
  for (const [name, setting] of info.entries()) if (unneeded.test(name)) setting.imported("not needed");
  return settings;
}

function timeoutsOf(own: Setting, defaults: Spec): Spec {
  const before = (defaults["timeouts"] ?? {}) as Spec;
  const timer = (name: string, fields: string): string | undefined => {
    const setting = own.get(name);
    const text = setting.number === undefined ? null : timerFrom(setting.number);
    if (text !== null) setting.imported(fields);
    return text ?? undefined;
  };
  const whole = timer("timeout", "timeouts.response and timeouts.firstToken");
  const stream = timer("stream_timeout", "timeouts.firstToken");
  const timeouts = { ...before, ...given({ response: whole, firstToken: stream ?? whole }) };
  return Object.keys(timeouts).length === 0 ? {} : { timeouts };
}

function droppingOf(own: Setting): Spec {
  const setting = own.get("drop_params");
  if (!setting.isSet) return {};
  setting.imported("spec.unsupportedParameters");
  return { unsupportedParameters: setting.isTrue ? "Drop" : "Refuse" };
}

function defaultsOf(own: Setting): Spec {
  const defaults: Spec = {};
  for (const name of callParameters) {
    const setting = own.get(name);
    if (!setting.isSet) continue;
    defaults[name] = setting.value;
    setting.imported(`request.defaults.${name} of the policy`);
  }
  return defaults;
}

function unsupportedOf(own: Setting, type: string): Record<string, string> {
  const setting = own.get("additional_drop_params");
  const names = setting.texts.filter((name) => /^[a-z][a-z_]{0,39}$/.test(name));
  if (names.length === 0) return {};
  if (type === "OpenAICompatible") setting.imported("spec.options.unsupported");
  else setting.notImported("only OpenAICompatible has spec.options.unsupported; Sluice leaves out what the type lacks");
  return { unsupported: names.join(",") };
}

const wildcard = "an LLMProvider lists its models: write an entry for each that callers use";

/** Returns null if it has no counterpart; the report says why. */
function deploymentOf(entry: Setting, config: Config, accounts: Accounts, defaults: Spec): Deployment | null {
  const own = entry.get("litellm_params");
  const group = entry.get("model_name").text;
  const model = own.get("model").text;
  const mode = entry.get("model_info", "mode").text ?? "";
  const refuse = (why: string): null => {
    entry.notImported(why);
    return null;
  };
  if (group === undefined || model === undefined || model === "")
    return refuse("it needs model_name and litellm_params.model");
  if (/\*/.test(group) || /\*/.test(model)) return refuse(wildcard);
  if (otherModes.test(mode)) return refuse(`calls of mode ${mode} aren't served`);
  const parameters = new Parameters(own, config);
  const hasBase = parameters.get("api_base", "base_url") !== undefined;
  const parsed = deploymentModel(model, own.get("custom_llm_provider").text, hasBase);
  if ("unknown" in parsed)
    return refuse(
      `the service ${parsed.unknown} is not known; if it is OpenAI-compatible, set api_base and import again`,
    );
  own.get("custom_llm_provider").imported("type of the LLMProvider");
  const account = deploymentAccount(parameters, config, parsed);
  const { type } = account.service;
  const media = Object.hasOwn(mediaModes, mode) ? mediaModes[mode] : undefined;
  const unserved = media === undefined ? null : mediaProblem(media, type);
  if (unserved !== null) return refuse(`mode ${mode}: ${unserved}`);
  const settings = { ...defaults, ...timeoutsOf(own, defaults), ...retryOf(own, defaults), ...droppingOf(own) };
  const options = { ...account.options, ...unsupportedOf(own, type) };
  const ref = accounts.use(
    { ...account, options, settings },
    { upstream: parsed.upstream, settings: modelSettings(own, entry.get("model_info")) },
  );
  const implied = account.credentials.find(({ setting }) => setting === undefined)?.value;
  const from = implied !== undefined && "env" in implied ? `; its key is in the variable ${implied.env}` : "";
  own
    .get("model")
    .mark(
      parsed.guess === "" ? "Imported" : "Changed",
      [`LLMProvider ${ref.provider}, model ${ref.model}${from}`, parsed.guess].filter(Boolean).join("; "),
    );
  return {
    group,
    entry,
    ref,
    type,
    weight: weightOf(own),
    order: own.get("order").imported("priority of the target").number ?? null,
    defaults: defaultsOf(own),
  };
}

/** The share follows from the first that is set: weight, rpm or tpm. */
function weightOf(own: Setting): number | null {
  const setting = ["weight", "rpm", "tpm"].map((name) => own.get(name)).find((candidate) => candidate.isSet);
  if (setting?.number === undefined) return null;
  setting.imported("weight of the target");
  return setting.number;
}

export function deploymentsOf(config: Config, accounts: Accounts): Deployment[] {
  const defaults = providerDefaults(config);
  return config
    .sections("model_list")
    .flatMap((section) => section.items())
    .flatMap((entry) => deploymentOf(entry, config, accounts, defaults) ?? []);
}

/** What becomes of each call and each feature with each API of each type, found out by asking the providers' own code. */
import type { mediaWireFormats, WireFormat } from "../../../proxy/config/capabilities.ts";
import { isRefusal } from "../../../proxy/dialects/canonical.ts";
import { dialects } from "../../../proxy/dialects/registry.ts";
import { mediaFormat } from "../../../proxy/media/registry.ts";
import { lacking } from "../../../proxy/pipeline/prepare-media.ts";
import { resourceNotServed } from "../../../proxy/pipeline/resource-asking.ts";
import { translatedChat } from "../../../proxy/providers/translated-chat.ts";
import type { Json } from "../../harness/strict/json.ts";
import { features } from "./call-features.ts";
import type { Format } from "./documented.ts";
import { modelOf } from "./drive.ts";
import type { Variant } from "./variants.ts";

/** as is: bytes pass through. A code: refused. */
type Fate = "as is" | "declared" | "translated" | "left out" | "asked" | "estimated" | `\`${string}\``;

const refusedWith = (code: string): Fate => `\`${code}\``;
const hello: Json = { role: "user", content: "Hi" };

/** Models that some calls are for, tried after the variant's own. */
const specialists: Partial<Record<WireFormat, readonly string[]>> = {
  "cohere.rerank": ["cohere.rerank-v3-5:0"],
  "openai.embeddings": ["amazon.titan-embed-text-v2:0", "text-embedding-005"],
};

const modelsFor = (format: WireFormat, { model }: Variant) => [
  model,
  ...(specialists[format] ?? []).map((upstream) => modelOf({ upstream })),
];

interface Made {
  body: string;
  dropped: readonly string[];
}

function made({ provider, account, model }: Variant, format: Format, body: Json): Made | Fate {
  const dialect = dialects[format];
  const request = dialect?.decode({ model: "m", ...body });
  if (request === undefined) throw new Error(`${format} has no chat form`);
  if (isRefusal(request)) return refusedWith(request.code);
  const options = { stream: false, deadlineMs: 1, seed: "s" };
  const call = translatedChat(provider, request, { account, model }, options);
  if (call === null) return refusedWith("unsupported_parameter");
  if (isRefusal(call)) return refusedWith(call.code);
  return { body: `${call.path} ${call.body}`, dropped: [...(dialect?.dropped?.(body) ?? []), ...call.dropped] };
}

const plain: Record<Format, Json> = {
  "openai.chat": { messages: [hello] },
  "openai.responses": { input: "Hi" },
  "anthropic.messages": { messages: [hello], max_tokens: 9_000 },
};

const passes = (variant: Variant, format: WireFormat, options: Record<string, string> = {}): boolean => {
  const { config } = variant.account;
  const account = { ...variant.account, config: { ...config, options: { ...config.options, ...options } } };
  return modelsFor(format, variant).some((model) => variant.provider.passthroughPath(format, account, model) !== null);
};

export function textFate(variant: Variant, format: WireFormat): Fate {
  if (passes(variant, format)) return "as is";
  const asChat: Format = format === "openai.completions" ? "openai.chat" : (format as Format);
  const call = made(variant, asChat, plain[asChat]);
  return typeof call === "string" ? call : "translated";
}

function embeddingsFate(variant: Variant): Fate {
  const { provider, account } = variant;
  if (passes(variant, "openai.embeddings")) return "as is";
  const { embeddings } = provider;
  if (embeddings === null) return refusedWith("unsupported_parameter");
  const calls = modelsFor("openai.embeddings", variant).map((model) =>
    embeddings({ model: "m", input: "Hi" }, account, model),
  );
  const refusal = calls.every((call) => isRefusal(call)) ? calls[0] : null;
  return refusal != null && isRefusal(refusal) ? refusedWith(refusal.code) : "translated";
}

function mediaFate(variant: Variant, format: (typeof mediaWireFormats)[number]): Fate {
  if (passes(variant, format)) return "as is";
  const all = "Images,ImageEdits,ImageVariations,Speech,Transcriptions,Translations,Moderations,Rerank";
  if (variant.provider.capabilities.options["surfaces"] !== undefined && passes(variant, format, { surfaces: all }))
    return "declared";
  if (format === "cohere.rerank" && (variant.provider.rerank?.(variant.account, variant.model) ?? null) !== null)
    return "translated";
  const media = mediaFormat(format);
  if (media === null) throw new Error(`${format} is no media format`);
  return refusedWith(lacking(media).code);
}

/** `isAnthropic`: of Anthropic's API, which only its own types keep. */
function resourceFate({ provider, account }: Variant, path: string, isAnthropic: boolean): Fate {
  const { resources, resourceApi } = provider.capabilities;
  const kept = resources && (resourceApi === "Messages") === isAnthropic;
  return kept && (provider.resourcePath?.(path, account) ?? null) !== null
    ? "as is"
    : refusedWith(resourceNotServed.code);
}

function countFate({ provider, account, model }: Variant, format: Format): Fate {
  const body: Json = { model: "m", ...plain[format] };
  const request = dialects[format]?.decode(body);
  if (request === undefined || isRefusal(request)) throw new Error("a plain request is refused");
  const call = provider.tokenCount?.({ request, body, format }, account, model) ?? null;
  return call === null || isRefusal(call) ? "estimated" : "asked";
}

export const calls: Readonly<Record<string, (variant: Variant) => Fate>> = {
  "`/chat/completions`": (variant) => textFate(variant, "openai.chat"),
  "`/completions`": (variant) => textFate(variant, "openai.completions"),
  "`/responses`": (variant) => textFate(variant, "openai.responses"),
  "`/messages`": (variant) => textFate(variant, "anthropic.messages"),
  "`/messages/count_tokens`": (variant) => countFate(variant, "anthropic.messages"),
  "`/responses/input_tokens`": (variant) => countFate(variant, "openai.responses"),
  "`/embeddings`": embeddingsFate,
  "`/rerank`": (variant) => mediaFate(variant, "cohere.rerank"),
  "`/images/generations`": (variant) => mediaFate(variant, "openai.images"),
  "`/images/edits`": (variant) => mediaFate(variant, "openai.image_edits"),
  "`/images/variations`": (variant) => mediaFate(variant, "openai.image_variations"),
  "`/audio/speech`": (variant) => mediaFate(variant, "openai.speech"),
  "`/audio/transcriptions`": (variant) => mediaFate(variant, "openai.transcriptions"),
  "`/audio/translations`": (variant) => mediaFate(variant, "openai.translations"),
  "`/moderations`": (variant) => mediaFate(variant, "openai.moderations"),
  "`/files`, OpenAI's": (variant) => resourceFate(variant, "/files", false),
  "`/batches`": (variant) => resourceFate(variant, "/batches", false),
  "`/fine_tuning/jobs`": (variant) => resourceFate(variant, "/fine_tuning/jobs", false),
  "`/files`, Anthropic's": (variant) => resourceFate(variant, "/files", true),
  "`/messages/batches`": (variant) => resourceFate(variant, "/messages/batches", true),
};

/** Kept by cutting the answer, where the provider has no switch. */
const cutByGateway = "one call at a time";

/** What becomes of a feature. `silent`: it is neither sent nor named. */
export function featureFate(variant: Variant, format: Format, name: string): Fate | "yes" | "in part" | "silent" {
  if (passes(variant, format)) return "as is";
  const { base, with: body } = features[format][name] ?? { base: {}, with: {} };
  const [before, after] = [made(variant, format, base), made(variant, format, body)];
  if (typeof after === "string") return after;
  if (typeof before === "string") return before;
  const isLost = after.dropped.some((param) => !before.dropped.includes(param));
  if (after.body === before.body) return isLost ? "left out" : name === cutByGateway ? "yes" : "silent";
  return isLost ? "in part" : "yes";
}

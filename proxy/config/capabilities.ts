/**
 * What a provider type declares about itself. The compiler uses these declarations to refuse routes that can't work;
 * `make generate` derives the providers' page and the CRD's list of types from them.
 */

import type { CloudName } from "./cloud-identity.ts";

/** Calls that pass through in the API's own form, or not at all. */
export const mediaWireFormats = [
  "openai.images",
  "openai.image_edits",
  "openai.image_variations",
  "openai.speech",
  "openai.transcriptions",
  "openai.translations",
  "openai.moderations",
  "cohere.rerank",
] as const;
export type MediaWireFormat = (typeof mediaWireFormats)[number];

/** Calls with a text answer, which translation serves as well, and embeddings. */
export const textWireFormats = [
  "openai.chat",
  "openai.completions",
  "openai.embeddings",
  "openai.responses",
  "anthropic.messages",
] as const;
export type TextWireFormat = (typeof textWireFormats)[number];

/** What a caller can ask for, named by the wire format of the request. */
export const wireFormats = [...textWireFormats, ...mediaWireFormats] as const;
export type WireFormat = (typeof wireFormats)[number];

const withoutChat: ReadonlySet<WireFormat> = new Set<WireFormat>(["openai.embeddings", ...mediaWireFormats]);
/** Whether a model answers in words, by tokens that it samples. */
export const isChat = (format: WireFormat): boolean => !withoutChat.has(format);

/**
 * native: the provider supports it in this form. mapped: translated without loss. dropped: left out and reported, or
 * refused, depending on `unsupportedParameters`. refused: always refused, since leaving it out would change the
 * meaning.
 */
export type Support = "native" | "mapped" | "dropped" | "refused";

export interface OptionDeclaration {
  required: boolean;
  description: string;
  /** Used if the object doesn't set the option. */
  default?: string;
  /** An anchored regular expression that the value must match. */
  pattern?: string;
  /** What the pattern accepts, worded to follow "must be", with an example. A list of words, `^(A|B)$`, needs none. */
  form?: string;
}

export interface CredentialField {
  /** Key in the Secret if `secretRef.key` is absent. */
  name: string;
  required: boolean;
  description: string;
  /** Set for PEM, which has line ends. A certificate must belong to the private key of the same Secret. */
  pem?: "certificate" | "privateKey";
}

/**
 * How a provider multiplies its token rates for calls in other modes of processing, in millionths. Published price
 * tables have the ordinary rates only.
 */
export interface PriceModes {
  /** Mode → factor, for models without an entry below: the highest factor that the provider publishes. */
  usual: Readonly<Record<string, number>>;
  /** Mode → model name prefix, followed by "-" → factor. The first match applies. */
  byModel?: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/**
 * Published prices of models that are not charged by tokens, which the price table lacks. In USD; tokens are free.
 */
export interface MeasuredPrice {
  /** Pattern for upstream model names. */
  models: string;
  perImage?: readonly { size: string; quality: string; usd: number }[];
  perMillionCharacters?: number;
  perHourOfAudio?: number;
  perThousandSearchUnits?: number;
}

/**
 * Request body members with which a caller could steer the provider past the policy. A member declared by one provider
 * is refused for all, since a provider that passes bodies through may stand in front of another.
 */
export interface Steering {
  /** Members that choose where the call is processed, whatever the account's own setting. */
  region?: readonly string[];
  /** Members that make the provider choose another model. */
  models?: readonly string[];
  /** Member → values that are charged at another price than the price table's. */
  price?: Readonly<Record<string, readonly string[]>>;
}

/** The names that a provider accepts in one place. */
export interface NameRule {
  /** Allowed characters, as in a class of a regular expression. */
  characters: string;
  /** Characters that may come first. Absent: all of them. */
  first?: string;
  /** In characters. */
  longest: number;
}

/**
 * Limits on values in a request that clients and other providers choose. Values beyond them are replaced, always by the
 * same value, and restored in the answer. Absent: no limit is known.
 */
export interface Bounds {
  toolName?: NameRule;
  /** Ids of tool calls. If absent, ids are sent as the client returned them. */
  callId?: NameRule;
  /** Names of messages and of schemas. */
  label?: NameRule;
  /** Longest `user` and its successors, in characters. */
  user?: number;
  metadata?: { pairs: number; name: number; value: number };
  /** Whether a body beyond them is sure to be refused, so that it is rewritten rather than passed through. */
  refuses?: true;
}

/** A service, or a server program, of this type that `spec.preset` names: what a user would otherwise look up. */
export interface Preset {
  /** The value of `spec.preset`. */
  name: string;
  title: string;
  /** Base URL of a service; null for a program, which runs at an address of the user's own. */
  endpoint: string | null;
  /** For a program: an endpoint as it may be in a cluster. */
  example?: string;
  /** The provider in the published price table; null if there is none. */
  pricesFrom: string | null;
  credentialsRequired: boolean;
  /** Values of the type's options that it needs. The object's own values win. */
  options: Readonly<Record<string, string>>;
  /** A model for the example in docs/providers.md. */
  model: { name: string; upstream?: string };
}

/** The parts of a spec that have no default. */
export interface ProviderExample {
  endpoint?: string;
  options?: Readonly<Record<string, string>>;
  model: { name: string; upstream?: string };
}

export interface Capabilities {
  /** The value of `spec.type`. */
  type: string;
  title: string;
  /** `gen_ai.provider.name` in OpenTelemetry's conventions. Absent: the type in lower case. */
  genAiName?: string;
  /**
   * Base URL if `spec.endpoint` is absent; null if an endpoint is required. References to options, such as `${region}`,
   * are filled in.
   */
  defaultEndpoint: string | null;
  /** Base URLs in its place where all these options have these values: the first that fits. */
  defaultEndpoints?: readonly { options: Readonly<Record<string, string>>; endpoint: string }[];
  /**
   * Domains whose servers speak this type's API only, unless the path begins with `alsoUnder`: a type of no or another
   * cloud with an endpoint there is probably a mistake.
   */
  ownDomains?: { names: readonly string[]; alsoUnder: string };
  /** What an object of this type looks like, for messages and docs. */
  example?: ProviderExample;
  /** Wire formats passed through unchanged. */
  passthrough: readonly WireFormat[];
  /** Wire formats served by translation. */
  translated: readonly WireFormat[];
  options: Readonly<Record<string, OptionDeclaration>>;
  /** Empty if the type works without a credential. `secretRef.key` refers to the first field. */
  credentials: readonly CredentialField[];
  credentialsRequired: boolean;
  /** The cloud whose identities the type can use in place of a Secret. Absent: none. */
  identity?: CloudName;
  /**
   * Headers and query parameters that the type sets itself, so that objects can't. `credential`: headers that hold the
   * credential of an object that has one.
   */
  sets?: { headers?: readonly string[]; credential?: readonly string[]; query?: readonly string[] };
  /** Groups of options of which an object must set exactly one. */
  exactlyOneOf?: readonly (readonly string[])[];
  /**
   * Ways to authenticate: one of these sets must be complete. If absent, each field is required or optional on its own.
   */
  credentialSets?: readonly { credentials: readonly string[]; options: readonly string[] }[];
  /**
   * The option with the address of the service that exchanges a credential for a token. Absent if the type needs none.
   */
  tokenServiceOption?: string;
  /** Support for request parameters by name. A parameter not listed is native for passthrough and otherwise dropped. */
  parameters: Readonly<Record<string, Support>>;
  /** Set if its models can be discovered. */
  discovers?: true;
  /** Whether files, batches and fine-tuning are passed through. */
  resources: boolean;
  /** Whose form they have. Absent: OpenAI's. */
  resourceApi?: "Messages";
  /** This provider's key in the price table, or null if prices depend on the installation. */
  pricesFrom: string | null;
  /**
   * Patterns for upstream model names whose first group is the name under which prices are published, such as the base
   * of a fine-tuned model. Each is applied to the result of the one before.
   */
  priceNames?: readonly string[];
  /** Pattern for names of fine-tuned models, which cost the base model's price times the mode `fine-tuned`. */
  fineTunedNames?: string;
  /** The first entry that matches counts, if the price table has none. */
  measuredPrices?: readonly MeasuredPrice[];
  /** Absent if prices of other modes are unknown. */
  priceModes?: PriceModes;
  steering?: Steering;
  bounds?: Bounds;
  /** What the type's translation carries of a conversation; the rest is put in another form or left out. */
  carries?: {
    /** `cache_control` of parts, messages and tools. */
    cacheMarks?: true;
    /** Images and files in tool results. */
    toolMedia?: true;
    /** `is_error` of tool results. */
    toolErrors?: true;
    /** System messages at any place. */
    systemAnywhere?: true;
    /** Pictures in an assistant's turn. */
    assistantImages?: true;
    /** Answers with pictures, which `modalities` asks for. */
    imageModality?: true;
    /** `citations` of documents. */
    documentCitations?: true;
  };
  /** Absent if the type has none. */
  presets?: readonly Preset[];
}

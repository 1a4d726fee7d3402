/**
 * What a provider type declares of itself. The compiler reads these declarations to refuse a route that can't
 * work, `make generate` makes the providers' page and the CRD's list of types from them.
 */

/** What a caller can ask for, named by the wire format in which it arrives. */
export const wireFormats = [
  "openai.chat",
  "openai.completions",
  "openai.embeddings",
  "openai.responses",
  "anthropic.messages",
] as const;
export type WireFormat = (typeof wireFormats)[number];

/** native: the provider has it in this shape. mapped: translated without loss. dropped: left out and reported, or refused, by `unsupportedParameters`. refused: changes meaning, so always refused. */
export type Support = "native" | "mapped" | "dropped" | "refused";

export interface OptionDeclaration {
  required: boolean;
  description: string;
  /** Used where the object gives none. */
  default?: string;
  /** An anchored regular expression that the value must match. */
  pattern?: string;
  /** What the pattern takes, in words that go on from "must be", with an example. A list of words, `^(A|B)$`, needs none. */
  form?: string;
}

export interface CredentialField {
  /** Key in the Secret when `secretRef.key` is absent. */
  name: string;
  required: boolean;
  description: string;
}

/**
 * By what a provider multiplies its token rates when it processes a call in another mode than the ordinary one, in
 * millionths, since published price tables have the ordinary rates only.
 */
export interface PriceModes {
  /** Mode → factor; of a model that has none below, the dearest that the provider publishes. */
  usual: Readonly<Record<string, number>>;
  /** Mode → prefix of the model's name followed by "-" → factor; the first that fits. */
  byModel?: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/**
 * Members of a request's body by which a caller could steer the provider past the policy. What a provider declares here
 * is refused for every provider, since one that passes bodies through may stand in front of another.
 */
export interface Steering {
  /** Choose where the call is processed, whatever the account's own setting. */
  region?: readonly string[];
  /** Have the provider choose another model. */
  models?: readonly string[];
  /** Member → values at another price than that of the price table. */
  price?: Readonly<Record<string, readonly string[]>>;
}

export interface Capabilities {
  /** The value of `spec.type`. */
  type: string;
  title: string;
  /** Base URL used when `spec.endpoint` is absent; null where an endpoint must be given. `${region}`-like references to options are filled in. */
  defaultEndpoint: string | null;
  /** Wire formats in which bytes pass through untouched. */
  passthrough: readonly WireFormat[];
  /** Operations reached by translation. */
  translated: readonly WireFormat[];
  options: Readonly<Record<string, OptionDeclaration>>;
  /** Empty: the type works without a credential. `secretRef.key` names the first field. */
  credentials: readonly CredentialField[];
  credentialsRequired: boolean;
  /** Options of which an object gives exactly one, group by group. */
  exactlyOneOf?: readonly (readonly string[])[];
  /** Ways to authenticate: one of these sets must be whole. Absent: each field speaks for itself. */
  credentialSets?: readonly { credentials: readonly string[]; options: readonly string[] }[];
  /** The option that holds the address of the service where a credential is exchanged for a token. Absent: the type needs none. */
  tokenServiceOption?: string;
  /** Request parameters by name and how they fare; what is not listed is native for passthrough and dropped otherwise. */
  parameters: Readonly<Record<string, Support>>;
  /** Files, batches and fine-tuning are passed through. */
  resources: boolean;
  /** Key of this provider in the price table, or null where prices depend on the installation. */
  pricesFrom: string | null;
  /**
   * Patterns of upstream names that have the name by which prices are published in their first group, such as that of a
   * fine-tuned model's base. Each is applied to what the one before left.
   */
  priceNames?: readonly string[];
  /** Pattern of names of fine-tuned models, whose price is that of the base times the mode `fine-tuned`. */
  fineTunedNames?: string;
  /** Absent: nothing is known of other modes. */
  priceModes?: PriceModes;
  steering?: Steering;
}

import type { Capabilities } from "../../config/capabilities.ts";

export const capabilities: Capabilities = {
  type: "AzureOpenAI",
  title: "Azure OpenAI",
  genAiName: "azure.ai.openai",
  defaultEndpoint: null,
  // Under /openai/v1 it speaks OpenAI's own API.
  ownDomains: { names: ["openai.azure.com"], alsoUnder: "/openai/v1" },
  example: { endpoint: "https://contoso.openai.azure.com", model: { name: "gpt-4o", upstream: "prod-gpt-4o" } },
  passthrough: [
    "openai.chat",
    "openai.completions",
    "openai.embeddings",
    "openai.responses",
    "openai.images",
    "openai.image_edits",
    "openai.speech",
    "openai.transcriptions",
    "openai.translations",
  ],
  translated: ["anthropic.messages"],
  options: {
    surface: {
      required: false,
      default: "V1",
      pattern: "^(V1|Deployments)$",
      description:
        "V1: calls go to /openai/v1/…, with the deployment in the body. Deployments: calls go to /openai/deployments/NAME/…, with apiVersion.",
    },
    apiVersion: {
      required: false,
      default: "2024-10-21",
      pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?$",
      form: "an API version date, such as 2024-10-21 or 2025-01-01-preview",
      description: "api-version sent with calls of the Deployments surface.",
    },
    maxTokensField: {
      required: false,
      default: "AsSent",
      pattern: "^(AsSent|max_tokens|max_completion_tokens)$",
      description:
        "Name under which a chat's token limit is sent, for deployments whose model or api-version accepts only one name. AsSent: as the caller sent it.",
    },
    tenantId: {
      required: false,
      pattern: "^[A-Za-z0-9.-]{1,64}$",
      form: "the tenant's id or domain, such as contoso.onmicrosoft.com",
      description:
        "Entra tenant. Set it together with clientId and the Secret's clientSecret or certificate, instead of an API key.",
    },
    clientId: {
      required: false,
      pattern: "^[A-Za-z0-9-]{1,64}$",
      form: "the application's id: letters, digits and -",
      description: "Entra application.",
    },
    authority: {
      required: false,
      default: "https://login.microsoftonline.com",
      pattern: "^https?://[^/?#@]+$",
      form: "a URL without a path and without a trailing slash, such as https://login.microsoftonline.com",
      description:
        "Entra's token service. National clouds have their own. If its certificate is from a private authority, set spec.tokenService.tls.",
    },
    scope: {
      required: false,
      default: "https://cognitiveservices.azure.com/.default",
      pattern: "^https://.{1,200}$",
      form: "a URL that begins with https://, such as https://cognitiveservices.azure.com/.default",
      description: "Scope of the Entra token.",
    },
    resourceId: {
      required: false,
      pattern:
        "^/subscriptions/[^/?#]+/resourceGroups/[^/?#]+/providers/Microsoft\\.CognitiveServices/accounts/[^/?#]+$",
      form: "an id of Azure Resource Manager, /subscriptions/ID/resourceGroups/NAME/providers/Microsoft.CognitiveServices/accounts/NAME",
      description:
        "The resource's id, for spec.discovery: Azure Resource Manager lists the deployments, to an identity with the role Reader or Cognitive Services User there.",
    },
    management: {
      required: false,
      default: "https://management.azure.com",
      pattern: "^https?://[^/?#@]+$",
      form: "a URL without a path and without a trailing slash, such as https://management.azure.com",
      description: "Azure Resource Manager. National clouds have their own.",
    },
  },
  credentials: [
    { name: "apiKey", required: false, description: "API key of the resource, sent as api-key." },
    { name: "clientSecret", required: false, description: "Client secret of the Entra application." },
    {
      name: "tls.crt",
      required: false,
      pem: "certificate",
      description: "Certificate of the Entra application, in place of a client secret, as in a Secret of cert-manager.",
    },
    { name: "tls.key", required: false, pem: "privateKey", description: "The certificate's private key, of type RSA." },
  ],
  credentialSets: [
    { credentials: ["apiKey"], options: [] },
    { credentials: ["clientSecret"], options: ["tenantId", "clientId"] },
    { credentials: ["tls.crt", "tls.key"], options: ["tenantId", "clientId"] },
  ],
  credentialsRequired: true,
  sets: { headers: ["openai-beta"], credential: ["api-key", "authorization"], query: ["api-version"] },
  identity: "azure",
  discovers: true,
  tokenServiceOption: "authority",
  parameters: {},
  resources: true,
  pricesFrom: "azure",
  // https://azure.microsoft.com/pricing/details/cognitive-services/openai-service
  measuredPrices: [
    {
      models: "^dall-e-3",
      perImage: [
        { size: "1024x1024", quality: "standard", usd: 0.04 },
        { size: "1024x1024", quality: "hd", usd: 0.08 },
        { size: "1024x1792", quality: "standard", usd: 0.08 },
        { size: "1792x1024", quality: "standard", usd: 0.08 },
        { size: "1024x1792", quality: "hd", usd: 0.12 },
        { size: "1792x1024", quality: "hd", usd: 0.12 },
      ],
    },
    {
      models: "^dall-e-2",
      perImage: [
        { size: "256x256", quality: "standard", usd: 0.016 },
        { size: "512x512", quality: "standard", usd: 0.018 },
        { size: "1024x1024", quality: "standard", usd: 0.02 },
      ],
    },
    { models: "^tts-1-hd", perMillionCharacters: 30 },
    { models: "^tts(-1)?($|-)", perMillionCharacters: 15 },
    { models: "^whisper(-1)?$", perHourOfAudio: 0.36 },
  ],
  // Half price for batch and flex: https://platform.openai.com/docs/pricing. Priority, also called fast, depends on the
  // model: https://openai.com/api-priority-processing
  priceModes: {
    usual: { batch: 500_000, flex: 500_000, priority: 2_500_000, fast: 2_500_000 },
    byModel: {
      priority: {
        "gpt-4o-mini-2024": 1_666_667,
        "gpt-4o-mini-audio": 2_500_000,
        "gpt-4o-mini-": 1_666_667,
        "gpt-4o-2024-05-13": 1_750_000,
        "gpt-4o-2024": 1_700_000,
        "gpt-4o-audio": 2_500_000,
        "gpt-4o-": 1_700_000,
        "gpt-4.1-nano": 2_000_000,
        "gpt-4.1-": 1_750_000,
        "gpt-5-mini": 1_800_000,
        "gpt-5.4": 2_000_000,
        "gpt-5.2": 2_000_000,
        "gpt-5.1": 2_000_000,
        "gpt-5-pro": 2_500_000,
        "gpt-5-": 2_000_000,
        "o3-": 1_750_000,
        "o4-mini": 1_818_182,
      },
    },
  },
  // https://platform.openai.com/docs/api-reference/chat/create
  bounds: {
    toolName: { characters: "A-Za-z0-9_-", longest: 64 },
    callId: { characters: "A-Za-z0-9_-", longest: 40 },
    label: { characters: "A-Za-z0-9_-", longest: 64 },
    user: 64,
    metadata: { pairs: 16, name: 64, value: 512 },
    refuses: true,
  },
  carries: { systemAnywhere: true },
};

import type { Capabilities } from "../../config/capabilities.ts";

export const capabilities: Capabilities = {
  type: "AzureAIFoundry",
  title: "Azure AI Foundry (Claude and other models on Azure)",
  defaultEndpoint: null,
  example: {
    endpoint: "https://contoso.services.ai.azure.com",
    model: { name: "claude-sonnet-4-5" },
  },
  passthrough: [
    "openai.images",
    "openai.image_edits",
    "openai.speech",
    "openai.transcriptions",
    "openai.translations",
    "cohere.rerank",
  ],
  translated: ["openai.chat", "openai.completions", "openai.embeddings", "openai.responses", "anthropic.messages"],
  options: {
    api: {
      required: false,
      description:
        "Auto: Claude for deployments whose name begins with claude, OpenAI for others. Set it for names that don't show the API.",
      default: "Auto",
      pattern: "^(Auto|Claude|OpenAI)$",
    },
    maxTokensField: {
      required: false,
      default: "AsSent",
      pattern: "^(AsSent|max_tokens|max_completion_tokens)$",
      description:
        "Name under which a chat's token limit is sent to models of the OpenAI API. AsSent: as the caller sent it.",
    },
    thinking: {
      required: false,
      description: "Claude: how reasoning_effort is sent. Adaptive: for 4.6 and later. Budget: for older models.",
      default: "Adaptive",
      pattern: "^(Adaptive|Budget)$",
    },
    structuredOutputs: {
      required: false,
      description: "Claude: Refuse for models that support neither JSON schemas nor strict tools.",
      default: "Native",
      pattern: "^(Native|Refuse)$",
    },
    sampling: {
      required: false,
      description: "Claude: Drop leaves temperature, top_p and top_k out, for models that refuse them.",
      default: "Pass",
      pattern: "^(Pass|Drop)$",
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
      default: "https://ai.azure.com/.default",
      pattern: "^https://.{1,200}$",
      form: "a URL that begins with https://, such as https://ai.azure.com/.default",
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
  sets: { headers: ["anthropic-beta", "anthropic-version", "openai-beta"], credential: ["api-key", "authorization"] },
  identity: "azure",
  tokenServiceOption: "authority",
  parameters: {
    temperature: "native",
    top_p: "native",
    tools: "mapped",
    tool_choice: "mapped",
    "response_format.json_schema": "mapped",
    reasoning_effort: "mapped",
    image_data: "mapped",
    image_url: "mapped",
    max_tokens: "mapped",
  },
  resources: false,
  discovers: true,
  pricesFrom: "azure",
};

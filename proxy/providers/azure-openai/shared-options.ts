/** Options shared by providers on Azure: Entra's applications and tokens, and Azure Resource Manager. */
import type { Capabilities } from "../../config/capabilities.ts";

/** `scope`: the default scope of tokens. */
export const azureOptions = (scope: string): Capabilities["options"] => ({
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
    default: scope,
    pattern: "^https://.{1,200}$",
    form: `a URL that begins with https://, such as ${scope}`,
    description: "Scope of the Entra token.",
  },
  resourceId: {
    required: false,
    pattern: "^/subscriptions/[^/?#]+/resourceGroups/[^/?#]+/providers/Microsoft\\.CognitiveServices/accounts/[^/?#]+$",
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
});

export const azureCredentials: Capabilities["credentials"] = [
  { name: "apiKey", required: false, description: "API key of the resource, sent as api-key." },
  { name: "clientSecret", required: false, description: "Client secret of the Entra application." },
  {
    name: "tls.crt",
    required: false,
    pem: "certificate",
    description: "Certificate of the Entra application, in place of a client secret, as in a Secret of cert-manager.",
  },
  { name: "tls.key", required: false, pem: "privateKey", description: "The certificate's private key, of type RSA." },
];

export const azureCredentialSets: NonNullable<Capabilities["credentialSets"]> = [
  { credentials: ["apiKey"], options: [] },
  { credentials: ["clientSecret"], options: ["tenantId", "clientId"] },
  { credentials: ["tls.crt", "tls.key"], options: ["tenantId", "clientId"] },
];

/** Paths of the two API surfaces: https://learn.microsoft.com/azure/ai-foundry/openai/reference */
import type { WireFormat } from "../../config/capabilities.ts";
import type { ProviderAccount, ProviderModel } from "../provider.ts";

const operations: Partial<Record<WireFormat, string>> = {
  "openai.chat": "chat/completions",
  "openai.completions": "completions",
  "openai.embeddings": "embeddings",
  "openai.responses": "responses",
  "openai.images": "images/generations",
  "openai.image_edits": "images/edits",
  "openai.speech": "audio/speech",
  "openai.transcriptions": "audio/transcriptions",
  "openai.translations": "audio/translations",
};

/** The endpoint is the resource's host, with or without `/openai`. */
function base(account: ProviderAccount): string {
  return account.basePath.replace(/\/openai(\/v1)?$/, "");
}

export function pathOf(format: WireFormat, account: ProviderAccount, model: ProviderModel): string | null {
  const operation = operations[format];
  if (operation === undefined) return null;
  const { surface, apiVersion } = account.config.options;
  if (surface !== "Deployments") return `${base(account)}/openai/v1/${operation}`;
  const version = `?api-version=${encodeURIComponent(apiVersion ?? "")}`;
  // Responses are not addressed by deployment.
  if (format === "openai.responses") return `${base(account)}/openai/responses${version}`;
  return `${base(account)}/openai/deployments/${encodeURIComponent(model.config.upstream)}/${operation}${version}`;
}

/** Files, batches and fine-tuning, on either surface. */
export function resourcePathOf(path: string, account: ProviderAccount): string | null {
  return account.config.options["surface"] === "Deployments" ? null : `${base(account)}/openai/v1${path}`;
}

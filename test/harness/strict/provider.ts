/** Stand-ins for providers that refuse what the real ones refuse, whatever the gateway sends them. */
import type { UpstreamRequest } from "../upstream.ts";
import { isSignature } from "./answers.ts";
import { messagesComplaints } from "./anthropic.ts";
import { chatComplaints } from "./openai-chat.ts";
import { responsesComplaints } from "./openai-responses.ts";
import {
  cohereComplaints,
  converseComplaints,
  geminiComplaints,
  mistralComplaints,
  watsonxComplaints,
} from "./others.ts";

/** What servers of OpenAI's format take though OpenAI doesn't: among it their own ids, of up to 64 characters. */
const laxer = /unknown member|function\.name|user: string|got (4[1-9]|5\d|6[0-4])$/;

export const isResponsesPath = (path: string): boolean => /\/responses(\?|$)/.test(path);

/** What the provider of this type would say against the request; empty if it would answer. */
export function complaintsOf(type: string, { json, path }: UpstreamRequest): string[] {
  switch (type) {
    case "Anthropic":
      return messagesComplaints(json, isSignature);
    case "Bedrock":
      return converseComplaints(json, decodeURIComponent(path.split("/")[2] ?? ""), isSignature);
    case "Gemini":
      return geminiComplaints(json, isSignature);
    case "Cohere":
      return cohereComplaints(json);
    case "Mistral":
      return mistralComplaints(json);
    case "Watsonx":
      return watsonxComplaints(json);
    default:
      if (isResponsesPath(path)) return responsesComplaints(json);
      return chatComplaints(json).filter((said) => type !== "OpenAICompatible" || !laxer.test(said));
  }
}

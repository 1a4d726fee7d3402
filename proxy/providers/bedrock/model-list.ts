/**
 * Models that can be called on demand, and inference profiles, from Bedrock's control plane:
 * https://docs.aws.amazon.com/bedrock/latest/APIReference/API_ListFoundationModels.html and
 * https://docs.aws.amazon.com/bedrock/latest/APIReference/API_ListInferenceProfiles.html
 */
import { isObject } from "../../wire/json.ts";
import { namesIn, withParameter } from "../model-list.ts";
import type { ModelList, ProviderAccount } from "../provider.ts";

const base = ({ basePath }: ProviderAccount): string => basePath.replace(/\/openai(\/v1)?$/, "");

export const bedrockModels: ModelList = {
  // Its host has another name; a self-hosted front end has both.
  elsewhere: (account) => ({ ...account, origin: account.origin.replace(/\bbedrock-runtime\b/, "bedrock") }),
  path: (account) => `${base(account)}/foundation-models?byOutputModality=TEXT&byInferenceType=ON_DEMAND`,
  more: (account) => [`${base(account)}/inference-profiles?maxResults=1000`],
  names: (body) =>
    namesIn(body, "modelSummaries", "modelId") ?? namesIn(body, "inferenceProfileSummaries", "inferenceProfileId"),
  next: (path, body) => (isObject(body) ? withParameter(path, "nextToken", body["nextToken"]) : null),
};

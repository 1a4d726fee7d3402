/**
 * Deployments, which Azure Resource Manager lists, since the resource's own list has models that nobody can call:
 * https://learn.microsoft.com/rest/api/aiservices/accountmanagement/deployments/list
 */
import { isObject } from "../../wire/json.ts";
import { pathIn } from "../model-list.ts";
import type { ModelList } from "../provider.ts";

const version = "2024-10-01";

const isReady = (deployment: Readonly<Record<string, unknown>>): boolean => {
  const properties = deployment["properties"];
  const state = isObject(properties) ? properties["provisioningState"] : undefined;
  return state === undefined || state === "Succeeded";
};

export const azureDeployments: ModelList = {
  elsewhere(account) {
    const { config, credentials } = account;
    const { resourceId, management = "" } = config.options;
    if (resourceId === undefined)
      return "set spec.options.resourceId to the resource's id, /subscriptions/…/accounts/NAME";
    if (credentials["apiKey"] !== undefined)
      return "Azure lists deployments only to Entra identities; use clientSecret, a certificate or workloadIdentity in place of apiKey";
    const options = { ...config.options, scope: `${management}/.default` };
    return { ...account, origin: management, config: { ...config, options } };
  },
  path: ({ config }) => `${config.options["resourceId"] ?? ""}/deployments?api-version=${version}`,
  names(body) {
    const list = isObject(body) ? body["value"] : null;
    if (!Array.isArray(list)) return null;
    return list.flatMap((entry: unknown) =>
      isObject(entry) && typeof entry["name"] === "string" && isReady(entry) ? [entry["name"]] : [],
    );
  },
  next: (_path, body) => (isObject(body) ? pathIn(body["nextLink"]) : null),
};

/** `litellm_params.model`: the service, the service's own name for the model, and its region. */
import { type Service, serviceNamed, serviceOf, serviceOfModel } from "../services.ts";

export interface DeploymentModel {
  service: Service;
  upstream: string;
  /** A region that is part of the name. */
  region: string | null;
  /** Why the service is a guess; empty if it isn't. */
  guess: string;
}

const prefixForm = /^([a-z0-9_]+|text-completion-openai)\//;
const subPaths = /^(converse|converse_like|invoke|mantle|o_series|gpt5_series|responses|agent)\//;
const regionForm = /^([a-z]{2}(?:-[a-z]+){1,2}-[0-9])\//;

function ownName(model: string): { upstream: string; region: string | null } {
  const bare = model.replace(subPaths, "");
  const region = regionForm.exec(bare)?.[1] ?? null;
  return { upstream: region === null ? bare : bare.slice(region.length + 1), region };
}

/** `provider`: custom_llm_provider. null: the service has no counterpart. */
export function deploymentModel(
  model: string,
  provider: string | undefined,
  hasBase: boolean,
): DeploymentModel | { unknown: string } {
  const prefix = prefixForm.exec(model)?.[1];
  const named = provider ?? (prefix !== undefined && serviceNamed(prefix) !== null ? prefix : undefined);
  if (named !== undefined) {
    const service = serviceNamed(named);
    if (service === null)
      return hasBase ? guessed(model, `${named} is taken for an OpenAI-compatible server`) : { unknown: named };
    const rest = prefix === named ? model.slice(named.length + 1) : model;
    return { service, ...ownName(rest), guess: "" };
  }
  const service = serviceOfModel(model);
  if (service !== null) return { service, ...ownName(model), guess: "" };
  if (hasBase) return guessed(model, "the service is treated as an OpenAI-compatible server");
  return { unknown: prefix ?? model };
}

const guessed = (upstream: string, guess: string): DeploymentModel => ({
  service: serviceOf("compatible"),
  upstream,
  region: null,
  guess,
});

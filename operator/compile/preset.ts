/** `spec.preset`: what the type declares, with the endpoint, options and prices of a known server. Pure. */
import type { LLMProviderSpec } from "../../crds/types/llm-provider.ts";
import type { Capabilities, Preset } from "../../proxy/config/capabilities.ts";
import { problem } from "./outcome.ts";
import type { Problem } from "./verdict.ts";

/** Why an endpoint can't be the preset's; null if it can. A gateway in front of a service has a host of its own. */
function wrongEndpoint(given: string, preset: Preset, all: readonly Preset[]): string | null {
  const host = URL.parse(given)?.host;
  const owner = all.find(({ endpoint }) => endpoint !== null && URL.parse(endpoint)?.host === host);
  if (owner !== undefined && owner.name !== preset.name)
    return `spec.endpoint is the address of ${owner.title}; set spec.preset to ${owner.name}, or change the endpoint`;
  if (owner?.endpoint !== undefined && owner.endpoint !== null)
    return `${given}/`.startsWith(`${owner.endpoint}/`)
      ? null
      : `spec.endpoint of ${owner.title} must be ${owner.endpoint}; leave it out, since the preset sets it`;
  const [, path] = /^https?:\/\/[^/]+(\/.*)?$/.exec(given.replace(/\/+$/, "")) ?? [];
  return preset.endpoint === null && path === undefined
    ? `spec.endpoint needs the path of the API, which is /v1 for ${preset.title}, such as ${preset.example ?? ""}`
    : null;
}

const withDefaults = (options: Capabilities["options"], values: Preset["options"]): Capabilities["options"] =>
  Object.fromEntries(
    Object.entries(options).map(([name, option]) => {
      const value = values[name];
      return [name, value === undefined ? option : { ...option, default: value }];
    }),
  );

/** Types are declared once, so the result is kept for each of their presets. */
const merged = new WeakMap<Preset, Capabilities>();

function capabilitiesWith(preset: Preset, capabilities: Capabilities): Capabilities {
  const cached = merged.get(preset);
  if (cached !== undefined) return cached;
  const made: Capabilities = {
    ...capabilities,
    defaultEndpoint: preset.endpoint,
    example: { endpoint: preset.example ?? preset.endpoint ?? "", model: preset.model },
    options: withDefaults(capabilities.options, preset.options),
    credentialsRequired: preset.credentialsRequired,
    pricesFrom: preset.pricesFrom,
  };
  merged.set(preset, made);
  return made;
}

export function presetCapabilities(
  { preset: name, type, endpoint }: LLMProviderSpec,
  capabilities: Capabilities,
  problems: Problem[],
): Capabilities {
  if (name === undefined) return capabilities;
  const presets = capabilities.presets ?? [];
  const preset = presets.find((candidate) => candidate.name === name);
  const wrong = (text: string, field: string): number => problems.push(problem("Invalid", text, ["spec", field]));
  if (preset === undefined) {
    wrong(`${type} has no preset ${name}; leave spec.preset out, or change spec.type`, "preset");
    return capabilities;
  }
  const mistake = endpoint === undefined ? null : wrongEndpoint(endpoint, preset, presets);
  if (mistake !== null) wrong(mistake, "endpoint");
  return capabilitiesWith(preset, capabilities);
}

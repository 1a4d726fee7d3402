/** Generates docs/providers.md from the capabilities that each provider declares. Pure. */
import type { Capabilities, Preset, ProviderExample, Support } from "../proxy/config/capabilities.ts";
import { optionForm } from "../proxy/config/option-form.ts";

const cell = (text: string): string => text.replaceAll("|", "\\|");
const code = (text: string): string => `\`${text}\``;
const list = (formats: readonly string[]): string => formats.map(code).join(", ") || "nothing";

function overview(all: readonly Capabilities[]): string[] {
  const row = (provider: Capabilities): string => {
    const secret =
      provider.credentials.length === 0
        ? "none"
        : `${provider.credentials.map((field) => code(field.name)).join(", ")}${provider.credentialsRequired ? "" : ", if required"}`;
    return `| ${code(provider.type)} | ${provider.title} | ${provider.defaultEndpoint === null ? "required" : code(provider.defaultEndpoint)} | ${secret} | ${provider.resources ? "yes" : "no"} |`;
  };
  return [
    "| `spec.type` | provider | endpoint | credentials | files, batches, fine-tuning |",
    "| --- | --- | --- | --- | --- |",
    ...all.map(row),
    "",
  ];
}

function settings(provider: Capabilities): string[] {
  const credentials = provider.credentials.map(
    (field) =>
      `| Secret key ${code(field.name)} | ${field.required ? "required" : ""} |  | ${cell(field.description)} |`,
  );
  const options = Object.entries(provider.options).map(([name, option]) => {
    const fallback = option.required ? "required" : option.default === undefined ? "" : code(option.default);
    return `| ${code(`options.${name}`)} | ${fallback} | ${optionForm(option) ?? ""} | ${cell(option.description)} |`;
  });
  const rows = [...credentials, ...options];
  return rows.length === 0
    ? []
    : ["| setting | default | allowed | meaning |", "| --- | --- | --- | --- |", ...rows, ""];
}

interface Shown {
  type: string;
  preset?: string;
  example: ProviderExample | undefined;
  credentials: boolean;
}

const flow = (entries: Readonly<Record<string, string>>): string =>
  `{ ${Object.entries(entries)
    .map(([name, value]) => `${name}: ${/[:#]/.test(value) ? JSON.stringify(value) : value}`)
    .join(", ")} }`;

/** The shortest possible manifest. */
function manifest({ type, preset, example, credentials }: Shown): string[] {
  if (example === undefined) return [];
  const name = (preset ?? type).toLowerCase();
  const { endpoint, options, model } = example;
  return [
    "```yaml",
    "apiVersion: sluice.dev/v1alpha1",
    "kind: LLMProvider",
    `metadata: { name: ${name} }`,
    "spec:",
    `  type: ${type}`,
    ...(preset === undefined ? [] : [`  preset: ${preset}`]),
    ...(endpoint === undefined ? [] : [`  endpoint: ${endpoint}`]),
    ...(endpoint?.startsWith("http:") ? ["  allowPrivateEndpoint: true"] : []),
    ...(options === undefined ? [] : [`  options: ${flow(options)}`]),
    ...(credentials ? [`  credentials: { secretRef: { name: ${name} } }`] : []),
    `  models: [${flow({ ...model })}]`,
    "```",
    "",
  ];
}

/** A hosted service has the preset's endpoint; for self-hosted programs, the user sets one. */
const presetExample = ({ endpoint, example, model }: Preset): ProviderExample =>
  endpoint === null && example !== undefined ? { endpoint: example, model } : { model };

function presetsOf({ type, presets }: Capabilities): string[] {
  if (presets === undefined) return [];
  const row = ({ name, title, endpoint, pricesFrom, options }: Preset): string =>
    `| ${code(name)} | ${title} | ${endpoint === null ? "required" : code(endpoint)} | ${pricesFrom ?? ""} | ${Object.entries(
      options,
    )
      .map(([option, value]) => code(`${option}: ${value}`))
      .join(", ")} |`;
  return [
    "### Presets",
    "",
    "`spec.preset` sets the endpoint, the options and the price table of a known service or server program. Options that you set yourself win. For a gateway in front of a service, set `spec.endpoint` as well.",
    "",
    "| `spec.preset` | server | endpoint | prices | options |",
    "| --- | --- | --- | --- | --- |",
    ...presets.map(row),
    "",
    ...presets.flatMap((preset) => [
      `${preset.title}:`,
      "",
      ...manifest({
        type,
        preset: preset.name,
        example: presetExample(preset),
        credentials: preset.credentialsRequired,
      }),
    ]),
  ];
}

const section = (provider: Capabilities): string[] => [
  `## ${provider.title}: ${code(`type: ${provider.type}`)}`,
  "",
  `Passed through unchanged: ${list(provider.passthrough)}. Translated: ${list(provider.translated)}.`,
  "",
  ...manifest({ type: provider.type, example: provider.example, credentials: provider.credentialsRequired }),
  ...settings(provider),
  ...presetsOf(provider),
];

/** Parameters that aren't listed are native if bodies pass through, otherwise dropped. */
const supportOf = (provider: Capabilities, parameter: string): Support =>
  provider.parameters[parameter] ?? (provider.passthrough.includes("openai.chat") ? "native" : "dropped");

function matrix(all: readonly Capabilities[]): string[] {
  const names = [...new Set(all.flatMap((provider) => Object.keys(provider.parameters)))].sort();
  if (names.length === 0) return [];
  return [
    "## Parameters",
    "",
    "- native, mapped: the provider supports the parameter, under the same or another name.\n- dropped: Sluice leaves the parameter out and names it in `x-sluice-dropped-params`. With `unsupportedParameters: Refuse`, it refuses the request instead.\n- refused: Sluice answers 400, because the answer would mean something else without the parameter.",
    "",
    `| parameter | ${all.map((provider) => provider.type).join(" | ")} |`,
    `| --- |${" --- |".repeat(all.length)}`,
    ...names.map((name) => `| ${code(name)} | ${all.map((provider) => supportOf(provider, name)).join(" | ")} |`),
    "",
  ];
}

export function providersPage(all: readonly Capabilities[]): string {
  return [
    "<!-- Generated by `make generate` from proxy/providers/*/capabilities.ts. Do not edit. -->",
    "# Providers",
    "",
    "Set `spec.type` of an LLMProvider to one of these types. Each has a section below, with a manifest to start from and every setting. If a type passes a format through, its bytes reach the provider unchanged; other formats are translated ([calling.md](calling.md)).",
    "",
    ...overview(all),
    "For headers and query parameters that a gateway in front of a provider asks for, see [routing.md](routing.md#gateways-in-front-of-providers).",
    "",
    ...all.flatMap(section),
    ...matrix(all),
  ].join("\n");
}

/** The table of values in the chart's README, from values.yaml and values.schema.json. Pure. */
import { isMap, isNode, isScalar, type Pair, parseDocument, type YAMLMap } from "yaml";

interface Schema {
  type?: string | string[];
  enum?: unknown[];
  properties?: Record<string, Schema>;
}

interface Row {
  name: string;
  type: string;
  value: string;
  description: string;
}

/** Values that Kubernetes' own documentation explains. */
const explainedThere: Readonly<Record<string, readonly string[]>> = {
  "As in a Pod.": [
    ...["nodeSelector", "tolerations", "affinity", "priorityClassName", "runtimeClassName", "schedulerName"],
    ...[
      "hostAliases",
      "dnsPolicy",
      "dnsConfig",
      "initContainers",
      "resources",
      "imagePullSecrets",
      "extraVolumeMounts",
    ],
  ],
  "As in a Deployment.": ["revisionHistoryLimit", "minReadySeconds"],
  "As in a Service.": [
    ...["loadBalancerClass", "loadBalancerSourceRanges", "internalTrafficPolicy", "trafficDistribution"],
    ...["ipFamilyPolicy", "ipFamilies", "clusterIP", "externalIPs", "allocateLoadBalancerNodePorts"],
  ],
};
const ofKubernetes = new Map(
  Object.entries(explainedThere).flatMap(([words, names]) => names.map((name) => [name, words] as const)),
);

/** Drops text before a blank line, as it is about more than the next value. */
const textOf = (comment: string | null | undefined): string =>
  (comment ?? "")
    .split(/\n\s*\n/)
    .at(-1)
    ?.split("\n")
    .map((line) => line.trim())
    .join(" ")
    .trim() ?? "";

/** A comment above the first key of a map belongs to the map in the parser's view. */
function commentOf({ key }: Pair, map: YAMLMap, first: boolean): string {
  const own = isScalar(key) ? key.commentBefore : null;
  return textOf(own ?? (first ? map.commentBefore : null));
}

function typeOf({ type, enum: values }: Schema): string {
  if (values !== undefined) return values.filter((value) => value !== "").join(", ");
  return (typeof type === "string" ? [type] : (type ?? [])).filter((name) => name !== "null").join(" or ");
}

const isGroup = (value: unknown, { properties }: Schema): value is YAMLMap =>
  isMap(value) && value.items.length > 0 && properties !== undefined;

const plain = (value: unknown): unknown => (isNode(value) ? value.toJSON() : value);

function rowsOf(map: YAMLMap, schema: Schema, path: string): Row[] {
  return (map.items as Pair[]).flatMap((pair, index): Row[] => {
    const key = String(plain(pair.key));
    const name = path === "" ? key : `${path}.${key}`;
    const own = schema.properties?.[key] ?? {};
    const description = commentOf(pair, map, index === 0 && path !== "") || (ofKubernetes.get(key) ?? "");
    const { value } = pair;
    if (!isGroup(value, own)) return [{ name, type: typeOf(own), value: JSON.stringify(plain(value)), description }];
    const heading = description === "" ? [] : [{ name, type: "", value: "", description }];
    return [...heading, ...rowsOf(value, own, name)];
  });
}

/** In code, `<` isn't markup. */
const cell = (text: string): string =>
  text
    .replaceAll("|", "\\|")
    .split("`")
    .map((part, index) => (index % 2 === 0 ? part.replaceAll("<", "&lt;") : part))
    .join("`");

export function chartValuesTable(values: string, schema: string): string {
  const { contents } = parseDocument(values);
  if (!isMap(contents)) throw new Error("values.yaml is no map");
  const rows = rowsOf(contents, JSON.parse(schema) as Schema, "").map(({ name, type, value, description }) => {
    const shown = value === "" || value === '""' || value === "null" ? "" : `\`${value.replaceAll("|", "\\|")}\``;
    return `| \`${name}\` | ${type} | ${shown} | ${cell(description)} |`;
  });
  return ["| value | type | default | description |", "| --- | --- | --- | --- |", ...rows].join("\n");
}

export const chartReadme = (table: string): string => `# The Sluice chart

\`\`\`
helm install sluice charts/sluice --namespace sluice-system --create-namespace -f values.yaml
helm test sluice --namespace sluice-system
\`\`\`

The chart installs the CRDs, the operator and the proxies. [docs/operations.md](../../docs/operations.md) explains how to run them, [docs/gitops.md](../../docs/gitops.md) how to do it with Argo CD or Flux. \`helm install\` rejects any value that is not in this table.

As a dependency of another chart, the values below are under \`sluice\`, \`condition: sluice.enabled\` turns the chart off, and \`global\` is shared with the other charts.

## Values

Generated from values.yaml and values.schema.json by \`make generate\`.

${table}
`;

/** docs/metrics.md: every metric of proxy and operator. */
export interface DocumentedMetric {
  name: string;
  type: string;
  help: string;
  labels: readonly string[];
  /** Whether the labels of `metrics.labels` are added. */
  ofCaller?: boolean;
}

export interface MetricGroup {
  title: string;
  metrics: readonly DocumentedMetric[];
}

const row = ({ name, type, labels, ofCaller, help }: DocumentedMetric): string =>
  `| \`${name}\` | ${type} | ${[...labels, ...(ofCaller ? ["caller labels"] : [])].join(", ")} | ${help.replaceAll("|", "\\|")} |\n`;

export const metricsTable = (groups: readonly MetricGroup[]): string =>
  groups
    .map(
      ({ title, metrics }) =>
        `### ${title}\n\n| name | type | labels | what it says |\n| --- | --- | --- | --- |\n${metrics.map(row).join("")}\n`,
    )
    .join("");

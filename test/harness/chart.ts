/** What the chart renders for some values. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { type Finished, run } from "./command.ts";
import { ensureTool } from "./tools.ts";

export const chart = join(import.meta.dirname, "../../charts/sluice");

interface Container {
  name: string;
  image: string;
  env?: object[];
  args?: string[];
  [field: string]: unknown;
}

export interface PodSpec {
  containers: Container[];
  [field: string]: unknown;
}

export interface Rendered {
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string>; annotations?: Record<string, string> };
  spec: { template?: { metadata: { labels: object }; spec: PodSpec }; [field: string]: unknown };
  data?: Record<string, string>;
}

/** JSON is YAML in which no text is taken for something else. */
export async function templateChart(values: object, ...args: string[]): Promise<Finished> {
  return run(await ensureTool("helm"), ["template", "sluice", chart, "-f", "-", ...args], {
    input: JSON.stringify(values),
  });
}

export async function renderedBy(values: object, ...args: string[]): Promise<Rendered[]> {
  const { code, stdout, stderr } = await templateChart(values, ...args);
  assert.equal(code, 0, stderr);
  return parseAllDocuments(stdout).flatMap((one) => (one.toJS() as Rendered | null) ?? []);
}

export async function renderChart(
  values: object,
  ...args: string[]
): Promise<(kind: string, name: string) => Rendered> {
  const documents = await renderedBy(values, ...args);
  return (kind, name) => {
    const found = documents.find((one) => one.kind === kind && one.metadata.name === name);
    assert.ok(found, `${kind} ${name} is rendered`);
    return found;
  };
}

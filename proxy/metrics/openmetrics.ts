/**
 * Metrics in the OpenMetrics format, which has exemplars. prom-client's own writer renames the registry's counters for it
 * for good, so one registry can't serve both formats.
 */
import type { Registry } from "prom-client";
import type { Exemplar, Labels } from "./series.ts";

export const openMetricsType = "application/openmetrics-text; version=1.0.0; charset=utf-8";

interface Value {
  metricName?: string;
  labels?: Labels;
  sharedLabels?: Labels;
  value: number;
  exemplar?: Exemplar | null;
}

interface Reading {
  name: string;
  help: string;
  type: string;
  values?: readonly Value[];
}

/** What every metric of a registry has. */
interface Readable {
  name: string;
  get(): Promise<Reading> | Reading;
  getForPromString?(): Promise<Reading> | Reading;
}

const escaped = (text: string): string =>
  text.replace(/[\\"\n]/g, (character) => (character === "\n" ? "\\n" : `\\${character}`));

const plain = /^[\w ./:@+-]*$/;
function labelsText(labels: Labels): string {
  let text = "";
  for (const [name, value] of Object.entries(labels)) {
    const shown = String(value);
    text += `${text === "" ? "" : ","}${name}="${plain.test(shown) ? shown : escaped(shown)}"`;
  }
  return text;
}

/** Text of the labels that a series keeps for good. */
const sharedTexts = new WeakMap<Labels, string>();
function sharedText(labels: Labels): string {
  const cached = sharedTexts.get(labels);
  if (cached !== undefined) return cached;
  const text = labelsText(labels);
  sharedTexts.set(labels, text);
  return text;
}

function allLabels({ labels, sharedLabels }: Value): string {
  const own = labels === undefined ? "" : labelsText(labels);
  const shared = sharedLabels === undefined ? "" : sharedText(sharedLabels);
  if (own === "" && shared === "") return "";
  return own === "" || shared === "" ? `{${own}${shared}}` : `{${own},${shared}}`;
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  if (Number.isNaN(value)) return "NaN";
  return value > 0 ? "+Inf" : "-Inf";
}

/** prom-client's own metrics have exemplars of another form, which nothing here sets. */
const exemplarText = (exemplar: Exemplar | null | undefined): string =>
  exemplar?.traceId === undefined
    ? ""
    : ` # {trace_id="${exemplar.traceId}"} ${numberText(exemplar.value)} ${(exemplar.endMs / 1000).toFixed(3)}`;

/**
 * A counter's family is named without `_total`. Where another family has that name, which must be unique, the counter is
 * written with its whole name as one of unknown type: Prometheus stores the same series.
 */
function headOf({ name, type }: Reading, names: ReadonlySet<string>): { family: string; type: string } {
  if (type === "untyped") return { family: name, type: "unknown" };
  if (type !== "counter") return { family: name, type };
  const family = name.replace(/_total$/, "");
  return family === name || names.has(family) ? { family: name, type: "unknown" } : { family, type };
}

function familyText(reading: Reading, names: ReadonlySet<string>): string {
  const { family, type } = headOf(reading, names);
  let text = `# TYPE ${family} ${type}\n# HELP ${family} ${escaped(reading.help)}\n`;
  for (const value of reading.values ?? [])
    text += `${value.metricName ?? reading.name}${allLabels(value)} ${numberText(value.value)}${exemplarText(value.exemplar)}\n`;
  return text;
}

/** Bounds of buckets are written as in the other format: otherwise their series would change with the format. */
export async function openMetricsText(registry: Registry): Promise<string> {
  const metrics = registry.getMetricsAsArray() as unknown as readonly Readable[];
  const names = new Set(metrics.map(({ name }) => name));
  const readings = await Promise.all(metrics.map(async (metric) => metric.getForPromString?.() ?? metric.get()));
  return `${readings.map((reading) => familyText(reading, names)).join("")}# EOF\n`;
}

const qualityOf = (parameters: readonly string[]): number => {
  const weight = parameters.find((parameter) => parameter.startsWith("q="));
  const quality = weight === undefined ? 1 : Number(weight.slice(2));
  return Number.isNaN(quality) ? 0 : quality;
};

/** Whether `accept` prefers OpenMetrics to the older text format. Without a preference it's the older one. */
export function wantsOpenMetrics(accept: string | undefined): boolean {
  let open = 0;
  let text = 0;
  for (const range of (accept ?? "").split(",")) {
    const [type, ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
    const quality = qualityOf(parameters);
    const version = parameters.find((parameter) => parameter.startsWith("version="))?.slice(8) ?? "1.0.0";
    if (type === "application/openmetrics-text" && version === "1.0.0") open = Math.max(open, quality);
    if (type === "text/plain") text = Math.max(text, quality);
  }
  return open > 0 && open >= text;
}

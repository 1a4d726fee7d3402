/** Reads providers' exports: CSV (also gzipped) and JSON of their APIs. */

import type { Buffer } from "node:buffer";
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { createGunzip, gunzipSync } from "node:zlib";
import { CsvReader } from "../../operator/csv.ts";
import { nounCount } from "../../proxy/config/noun-count.ts";
import { dayStartMs } from "../../proxy/config/periods.ts";
import { UsageError } from "../../proxy/usage-error.ts";
import { hasMembers } from "../has-members.ts";
import { anthropicCostApi, anthropicCostCsv, anthropicUsageApi, anthropicUsageCsv } from "./anthropic.ts";
import { awsReports } from "./aws.ts";
import { azureCosts } from "./azure.ts";
import {
  type Amount,
  type ExportFormat,
  ExportRow,
  exportedAmount,
  type Invoice,
  type ReadContext,
} from "./invoice.ts";
import { openAiCosts, openAiUsage } from "./openai.ts";

const csvFormats: readonly ExportFormat[] = [
  openAiUsage,
  openAiCosts,
  anthropicUsageCsv,
  anthropicCostCsv,
  azureCosts,
  ...awsReports,
];
const jsonFormats: readonly ExportFormat[] = [openAiUsage, openAiCosts, anthropicUsageApi, anthropicCostApi];

export interface InvoiceOptions {
  /** USD per unit of another currency, by code, as the user gave them. */
  rates: ReadonlyMap<string, Amount>;
  /** The time zone of days, if the export names none. */
  timeZone: string;
}

type Cells = Record<string, unknown>;

const columnsFor = (format: ExportFormat, cells: Cells): Cells =>
  Object.fromEntries(Object.entries(cells).map(([name, value]) => [format.column?.(name) ?? name, value]));

/** Known exports in formats that can't be read. */
const otherExports: readonly { columns: readonly string[]; what: string }[] = [
  {
    columns: ["BilledCost", "ChargePeriodStart"],
    what: "in the FOCUS format, which has no column for kinds of tokens: export the provider's own format",
  },
];

function formatOf(formats: readonly ExportFormat[], names: readonly string[], place: string): ExportFormat {
  const has = (format: ExportFormat): ((name: string) => boolean) => {
    const columns = new Set(names.map((name) => format.column?.(name) ?? name));
    return (name) => columns.has(name);
  };
  const format = formats.find((format) => format.marks.every(has(format)));
  if (format === undefined) {
    const other = otherExports.find(({ columns }) => columns.every((name) => names.includes(name)));
    if (other !== undefined) throw new UsageError(`${place}: this export is ${other.what}`);
    const formatNames = [...new Set(formats.map(({ name }) => name))].join(", ");
    const columns = names.slice(0, 8).join(", ");
    throw new UsageError(
      `${place}: this is not an export that can be read (${formatNames}); it has ${columns || "no columns"}`,
    );
  }
  const missing = format.needs.filter((name) => !has(format)(name));
  if (missing.length > 0)
    throw new UsageError(
      `${place}: this looks like ${format.name}, but has no ${missing.join(", ")}: is it of another version?`,
    );
  return format;
}

/** Collects lines from any number of files. */
export class InvoiceReader {
  readonly #invoice: Invoice = { lines: [], notes: [] };
  readonly #left = new Map<string, number>();
  readonly #context: ReadContext;

  constructor({ rates, timeZone }: InvoiceOptions) {
    this.#context = {
      toUsd: (currency, row) => {
        if (currency.toUpperCase() === "USD") return (amount) => amount;
        const code = currency.toUpperCase();
        const rate =
          rates.get(code) ?? row.fail(`the amounts are in ${code}: give the rate to USD, such as --rate ${code}=1.08`);
        const times = (nano: bigint): bigint => (nano * rate.nano) / 1_000_000_000n;
        return ({ nano, halfUnitNano }) => ({ nano: times(nano), halfUnitNano: times(halfUnitNano) + 1n });
      },
      dayStartMs: (day) => dayStartMs(timeZone, day),
      leaveOut: (what) => {
        this.#left.set(what, (this.#left.get(what) ?? 0) + 1);
        return null;
      },
    };
  }

  done(): Invoice {
    const notes = [...this.#left].map(([what, count]) => `left out: ${nounCount(count, "row")} ${what}`);
    return { lines: this.#invoice.lines, notes: [...this.#invoice.notes, ...notes] };
  }

  async read(file: string): Promise<void> {
    await refuseArchives(file);
    const isJson = /\.json(\.gz)?$/i.test(file) || (await firstCharacter(file)).match(/[[{]/) !== null;
    const count = this.#invoice.lines.length;
    await (isJson ? this.#readJson(file) : this.#readCsv(file));
    if (this.#invoice.lines.length === count) this.#invoice.notes.push(`${file} has no usage of models`);
  }

  #add(format: ExportFormat, cells: Cells, place: string): void {
    const line = format.line(new ExportRow(columnsFor(format, cells), place), this.#context);
    if (line === null) return;
    if (line.endMs <= line.startMs) throw new UsageError(`${place}: it ends before it begins`);
    this.#invoice.lines.push(line);
  }

  async #readCsv(file: string): Promise<void> {
    let format: ExportFormat | null = null;
    let names: string[] = [];
    let number = 0;
    for await (const cells of csvRecords(file)) {
      number++;
      if (format === null) {
        names = cells.map((name) => name.trim());
        format = formatOf(csvFormats, names, file);
      } else if (cells.length > 1 || cells[0] !== "") {
        if (cells.length !== names.length)
          throw new UsageError(`${file}: row ${number} has ${nounCount(cells.length, "column")}, not ${names.length}`);
        this.#add(
          format,
          Object.fromEntries(names.map((name, index) => [name, cells[index]])),
          `${file}: row ${number}`,
        );
      }
    }
    if (format === null) throw new UsageError(`${file} is empty`);
  }

  async #readJson(file: string): Promise<void> {
    const bytes = await readFile(file);
    let body: unknown;
    try {
      body = JSON.parse((file.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8"));
    } catch {
      throw new UsageError(`${file} is not JSON`);
    }
    const pages = Array.isArray(body) ? body : [body];
    for (const [index, page] of pages.entries()) this.#readPage(page, file, index === pages.length - 1);
  }

  /** `isLast`: no page may follow. */
  #readPage(page: unknown, file: string, isLast: boolean): void {
    if (!hasMembers(page)) throw new UsageError(`${file}: this is not an answer of a usage or costs API`);
    if (hasMembers(page["error"])) throw new UsageError(`${file}: this is an error of the API, not a report`);
    if (!Array.isArray(page["data"]))
      throw new UsageError(`${file}: there is no list data, which reports of usage and costs have`);
    if (isLast && page["has_more"] === true)
      throw new UsageError(
        `${file}: more pages follow (has_more): put all pages into one list, or give each as a file of its own, the last one last`,
      );
    for (const [index, bucket] of page["data"].entries()) this.#readBucket(bucket, `${file}: data[${index}]`);
  }

  #readBucket(bucket: unknown, place: string): void {
    const results = hasMembers(bucket) ? (bucket["results"] ?? bucket["result"]) : undefined;
    if (!hasMembers(bucket) || !Array.isArray(results)) throw new UsageError(`${place}: there is no list results`);
    const { results: _, result: __, ...span } = bucket;
    for (const [index, result] of results.entries()) {
      const path = `${place}.results[${index}]`;
      if (!hasMembers(result)) throw new UsageError(`${path} is not an object`);
      const cells = { ...span, ...flat(result) };
      this.#add(formatOf(jsonFormats, Object.keys(cells), path), cells, path);
    }
  }
}

/** Nested members get their path as a name; OpenAI's amount is named as in the CSV. */
function flat(result: Cells): Cells {
  const cells: Cells = {};
  for (const [name, value] of Object.entries(result)) {
    if (!hasMembers(value)) cells[name] = value;
    else
      for (const [inner, member] of Object.entries(value))
        cells[name === "amount" ? `amount_${inner}` : `${name}.${inner}`] = member;
  }
  return cells;
}

/** First bytes of files that aren't text. */
const archives: readonly (readonly [string, string])[] = [
  ["PAR1", "a Parquet file: export CSV"],
  ["PK\u0003\u0004", "a ZIP archive: unpack it, and give the CSV file in it"],
];

async function refuseArchives(file: string): Promise<void> {
  let start = "";
  for await (const chunk of createReadStream(file, { end: 3 })) start += (chunk as Buffer).toString("latin1");
  const [, what] = archives.find(([begin]) => start === begin) ?? [];
  if (what !== undefined) throw new UsageError(`${file} is ${what}`);
}

function textOf(file: string): AsyncIterable<string> {
  const stream = createReadStream(file);
  if (!file.endsWith(".gz")) return stream.setEncoding("utf8");
  const unzipped = createGunzip().setEncoding("utf8");
  stream.on("error", (cause) => unzipped.destroy(cause)).pipe(unzipped);
  return unzipped;
}

async function firstCharacter(file: string): Promise<string> {
  for await (const chunk of textOf(file)) return chunk.replace(/^\uFEFF/, "").trimStart()[0] ?? "";
  return "";
}

async function* csvRecords(file: string): AsyncGenerator<string[]> {
  const reader = new CsvReader();
  let isFirst = true;
  for await (const chunk of textOf(file)) {
    // Azure's exports begin with a byte order mark.
    yield* reader.read(isFirst ? chunk.replace(/^\uFEFF/, "") : chunk);
    isFirst = false;
  }
  const rest = reader.end();
  if (rest !== null) yield rest;
}

/** Rates such as `EUR=1.08`. */
export function ratesOf(texts: readonly string[]): Map<string, Amount> {
  return new Map(
    texts.map((text) => {
      const [, code, rate = ""] = /^([A-Za-z]{3})=(.+)$/.exec(text) ?? [];
      const amount = exportedAmount(rate);
      if (code === undefined || amount === null || amount.nano <= 0n)
        throw new UsageError(`--rate must be a currency and its value in USD, such as EUR=1.08, not ${text}`);
      return [code.toUpperCase(), amount];
    }),
  );
}

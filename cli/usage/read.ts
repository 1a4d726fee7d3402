/** Reads what `sluice ledger export` wrote: CSV or JSON lines. */
import { createReadStream } from "node:fs";
import { CsvReader } from "../../operator/csv.ts";
import { type LedgerRow, ledgerDimensions, unitMeasures } from "../../proxy/config/ledger.ts";
import { nanoUsdOf, reportNames } from "../../proxy/config/usage-report.ts";
import { UsageError } from "../../proxy/usage-error.ts";

type Cells = Readonly<Record<string, unknown>>;

class Row {
  readonly #cells: Cells;
  readonly #place: string;

  constructor(cells: Cells, place: string) {
    this.#cells = cells;
    this.#place = place;
  }

  fail(why: string): never {
    throw new UsageError(`${this.#place}: ${why}; give a file that sluice ledger export wrote`);
  }

  text(name: string): string {
    const value = this.#cells[name];
    return typeof value === "string" ? value : this.fail(`there is no ${name}`);
  }

  count(name: string): number {
    const value = Number(this.#cells[name] ?? Number.NaN);
    return Number.isSafeInteger(value) && value >= 0 ? value : this.fail(`${name} is not a whole number`);
  }

  hourMs(): number {
    const parsedMs = Date.parse(this.text("hour"));
    return Number.isNaN(parsedMs) ? this.fail("hour is not a time") : parsedMs;
  }

  nanoUsd(): number {
    return nanoUsdOf(this.text("cost_usd")) ?? this.fail("cost_usd is not an amount");
  }
}

/** Columns that exports of older versions lack. */
const newer: ReadonlySet<string> = new Set(Object.values(unitMeasures));

function rowOf(cells: Cells, place: string): LedgerRow {
  const row = new Row(cells, place);
  const dimensions = Object.fromEntries(ledgerDimensions.map((name) => [name, row.text(name)]));
  const counts = Object.fromEntries(
    Object.entries(reportNames).map(([measure, name]) => [
      measure,
      newer.has(measure) && cells[name] === undefined ? 0 : row.count(name),
    ]),
  );
  return { hourMs: row.hourMs(), ...dimensions, ...counts, costNanoUsd: row.nanoUsd() } as LedgerRow;
}

function jsonOf(line: string, place: string): Cells {
  try {
    const parsed: unknown = JSON.parse(line);
    if (typeof parsed === "object" && parsed !== null) return parsed as Cells;
  } catch {
    // Reported below.
  }
  throw new UsageError(`${place}: this is not JSON; give a file that sluice ledger export wrote`);
}

async function* linesOf(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of chunks) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  yield rest;
}

async function* jsonRows(chunks: AsyncIterable<string>, file: string): AsyncGenerator<LedgerRow> {
  let number = 0;
  for await (const line of linesOf(chunks)) {
    number++;
    const place = `${file}:${number}`;
    if (line.trim() !== "") yield rowOf(jsonOf(line, place), place);
  }
}

async function* csvRows(chunks: AsyncIterable<string>, file: string): AsyncGenerator<LedgerRow> {
  const reader = new CsvReader();
  let names: readonly string[] | null = null;
  let number = 0;
  for await (const chunk of chunks)
    for (const cells of reader.read(chunk)) {
      number++;
      if (names === null) names = cells;
      else
        yield rowOf(Object.fromEntries(names.map((name, column) => [name, cells[column]])), `${file}: row ${number}`);
    }
  const rest = reader.end();
  if (rest !== null && names !== null)
    yield rowOf(Object.fromEntries(names.map((name, column) => [name, rest[column]])), `${file}: row ${number + 1}`);
}

/** Puts back a first chunk that was looked at. */
async function* withFirst(first: string, rest: AsyncIterable<string>): AsyncGenerator<string> {
  yield first;
  yield* rest;
}

/** `file`: - reads standard input. */
export async function readUsage(file: string): Promise<LedgerRow[]> {
  const stream = file === "-" ? process.stdin : createReadStream(file);
  stream.setEncoding("utf8");
  const chunks = (stream as AsyncIterable<string>)[Symbol.asyncIterator]();
  const first = await chunks.next();
  if (first.done === true) return [];
  const usage = withFirst(first.value, { [Symbol.asyncIterator]: () => chunks });
  const rows: LedgerRow[] = [];
  for await (const row of first.value.trimStart().startsWith("{") ? jsonRows(usage, file) : csvRows(usage, file))
    rows.push(row);
  return rows;
}

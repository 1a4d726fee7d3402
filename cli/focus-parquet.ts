/**
 * The FOCUS dataset as a Parquet file, with the specification's types: exact decimals, and timestamps in UTC.
 * https://parquet.apache.org/docs/file-format/
 */
import { Buffer } from "node:buffer";
import { parquetWriteBuffer, type SchemaElement } from "hyparquet-writer";
import type { LedgerRow } from "../proxy/config/ledger.ts";
import { type Cell, type FocusOptions, type FocusType, focusCharges, focusColumns, focusTypeOf } from "./focus.ts";

const decimals = 9;

/** The unscaled value of a decimal number with at most nine decimals. */
function unscaled(text: string): bigint {
  const [whole = "", fraction = ""] = text.split(".");
  return BigInt(whole + fraction.padEnd(decimals, "0"));
}

const elements: Readonly<Record<FocusType, Omit<SchemaElement, "name">>> = {
  decimal: {
    ...{ type: "FIXED_LEN_BYTE_ARRAY", type_length: 16, converted_type: "DECIMAL" },
    ...{ precision: 38, scale: decimals, repetition_type: "REQUIRED" },
  },
  count: { type: "INT64", repetition_type: "REQUIRED" },
  moment: { type: "INT64", converted_type: "TIMESTAMP_MILLIS", repetition_type: "REQUIRED" },
  text: { type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "OPTIONAL" },
};

const values: Readonly<Record<FocusType, (cell: string) => bigint | Date | string>> = {
  decimal: unscaled,
  count: BigInt,
  moment: (text) => new Date(text),
  text: (text) => text,
};

const typed = (type: FocusType, cell: Cell): bigint | Date | string | null =>
  cell === null ? null : values[type](cell);

export function focusParquet(rows: readonly LedgerRow[], options: FocusOptions): Buffer {
  const charges = focusCharges(rows, options);
  const columns = Object.entries(focusColumns).map(([name, column]) => ({ name, column, type: focusTypeOf(name) }));
  const file = parquetWriteBuffer({
    columnData: columns.map(({ name, column, type }) => ({
      name,
      data: charges.map((charge) => typed(type, column(charge, options))),
    })),
    schema: [
      { name: "root", num_children: columns.length },
      ...columns.map(({ name, type }) => ({ name, ...elements[type] })),
    ],
    createdBy: "sluice",
  });
  return Buffer.from(file);
}

/** CSV as in RFC 4180. */

/** Turns a cell that a spreadsheet would evaluate as a formula into text. */
function csvCell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export const csvLine = (cells: readonly (string | number)[]): string =>
  cells.map((cell) => csvCell(String(cell))).join(",");

/** The prefix that `csvCell` adds to a formula. */
const plainCell = (cell: string): string => (/^'[=+\-@\t\r]/.test(cell) ? cell.slice(1) : cell);

/** Splits text that arrives in pieces into records. Reads what `csvLine` writes. */
export class CsvReader {
  #cells: string[] = [];
  #cell = "";
  #quoted = false;
  /** The last character was a quote within quotes: the end of the cell, or half of a quote in it. */
  #afterQuote = false;

  /** Returns the records that are now complete. */
  read(piece: string): string[][] {
    const records: string[][] = [];
    for (const character of piece) {
      const record = this.#take(character);
      if (record !== null) records.push(record);
    }
    return records;
  }

  /** Returns the last record if no line break ended it. */
  end(): string[] | null {
    return this.#cells.length === 0 && this.#cell === "" ? null : this.#record();
  }

  #take(character: string): string[] | null {
    if (this.#quoted && !this.#afterQuote) {
      if (character === '"') this.#afterQuote = true;
      else this.#cell += character;
      return null;
    }
    if (character === '"') {
      if (this.#afterQuote) this.#cell += character;
      this.#quoted = true;
      this.#afterQuote = false;
      return null;
    }
    this.#quoted = this.#afterQuote = false;
    if (character === ",") this.#endCell();
    else if (character === "\n") return this.#record();
    else if (character !== "\r") this.#cell += character;
    return null;
  }

  #endCell(): void {
    this.#cells.push(plainCell(this.#cell));
    this.#cell = "";
  }

  #record(): string[] {
    this.#endCell();
    const record = this.#cells;
    this.#cells = [];
    return record;
  }
}

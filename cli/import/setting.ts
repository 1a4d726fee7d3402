/**
 * A setting of an imported configuration. Converters mark the settings that they understand. All others are reported as
 * not imported, so that nothing is dropped silently.
 */

import { hasMembers } from "../has-members.ts";
import type { Mark, Outcome, ReportLine, SettingPath } from "./report.ts";
import { pathText } from "./report.ts";

/** One document of a file. */
export interface ImportDocument {
  file: string;
  value: unknown;
  lineOf(path: SettingPath): number;
}

const keyOf = (path: SettingPath): string => JSON.stringify(path);

/** Whether a value is empty: null, or a list or mapping without content, even if a table has it as text. */
const isNothing = (value: unknown): boolean =>
  value === null ||
  value === "{}" ||
  value === "[]" ||
  value === undefined ||
  (typeof value === "object" && Object.keys(value).length === 0);

const unknownSetting = "no counterpart is known";

/** The marks of one document. */
class Marks {
  readonly document: ImportDocument;
  readonly #marks = new Map<string, { path: SettingPath; mark: Mark; members: ReadonlySet<string> | null }>();
  readonly #remarks = new Map<string, { path: SettingPath; mark: Mark }>();

  constructor(document: ImportDocument) {
    this.document = document;
  }

  /** A setting keeps its first mark. */
  set(path: SettingPath, mark: Mark, members: readonly string[] | undefined): void {
    const key = keyOf(path);
    if (!this.#marks.has(key)) this.#marks.set(key, { path, mark, members: members ? new Set(members) : null });
  }

  add(path: SettingPath, mark: Mark): void {
    this.#remarks.set(JSON.stringify([path, mark]), { path, mark });
  }

  lines(): ReportLine[] {
    const marks = [...this.#marks.values(), ...this.#remarks.values()];
    const lines = marks.map(({ path, mark }) => this.#line(path, mark));
    this.#addUnmarked(this.document.value, [], lines);
    return lines.sort((a, b) => a.line - b.line);
  }

  #line(path: SettingPath, { outcome, note }: Mark): ReportLine {
    return { file: this.document.file, line: this.document.lineOf(path), path: pathText(path), outcome, note };
  }

  /** Adds settings that are neither marked nor below a marked one. */
  #addUnmarked(value: unknown, path: SettingPath, lines: ReportLine[]): void {
    const marked = this.#marks.get(keyOf(path));
    if (isNothing(value) || marked?.members === null) return;
    const children: (readonly [string | number, unknown])[] = Array.isArray(value)
      ? [...value.entries()]
      : hasMembers(value)
        ? Object.entries(value)
        : [];
    for (const [step, child] of children)
      if (marked?.members?.has(String(step)) !== true) this.#addUnmarked(child, [...path, step], lines);
    if (children.length > 0 || path.length === 0 || marked !== undefined) return;
    lines.push(this.#line(path, { outcome: "NotImported", note: unknownSetting }));
  }
}

export class Setting {
  readonly path: SettingPath;
  readonly value: unknown;
  readonly #marks: Marks;

  private constructor(marks: Marks, path: SettingPath, value: unknown) {
    this.#marks = marks;
    this.path = path;
    this.value = value;
  }

  static root(document: ImportDocument): Setting {
    return new Setting(new Marks(document), [], document.value);
  }

  /** Whether the configuration sets it; null counts as absent. */
  get isSet(): boolean {
    return this.value !== undefined && this.value !== null;
  }

  get file(): string {
    return this.#marks.document.file;
  }

  get line(): number {
    return this.#marks.document.lineOf(this.path);
  }

  /** The last step of its path. */
  get name(): string {
    return String(this.path.at(-1) ?? "");
  }

  get(...steps: readonly string[]): Setting {
    let value = this.value;
    for (const step of steps) value = hasMembers(value) && Object.hasOwn(value, step) ? value[step] : undefined;
    return new Setting(this.#marks, [...this.path, ...steps], value);
  }

  /** Members of a mapping; none for anything else. */
  entries(): [string, Setting][] {
    if (!hasMembers(this.value)) return [];
    return Object.keys(this.value).map((name) => [name, this.get(name)]);
  }

  /** Elements of a list; a single value counts as a list of one, an absent one as an empty list. */
  items(): Setting[] {
    if (!this.isSet) return [];
    if (!Array.isArray(this.value)) return [this];
    return this.value.map((value: unknown, index) => new Setting(this.#marks, [...this.path, index], value));
  }

  get isMapping(): boolean {
    return hasMembers(this.value);
  }

  /** A text, number or boolean as text; undefined for anything else. */
  get text(): string | undefined {
    return typeof this.value === "string" || typeof this.value === "number" || typeof this.value === "boolean"
      ? String(this.value).trim()
      : undefined;
  }

  get texts(): string[] {
    return this.items().flatMap((item) => item.text ?? []);
  }

  /** A number, even if it is written as text. */
  get number(): number | undefined {
    if (typeof this.value === "number") return this.value;
    const { text } = this;
    // YAML 1.1 allows 20_000.
    const number = text === undefined || text === "" ? Number.NaN : Number(text.replace(/(?<=[0-9])_(?=[0-9])/g, ""));
    return Number.isFinite(number) ? number : undefined;
  }

  get isTrue(): boolean {
    return this.value === true || /^(true|t|yes|on|1)$/i.test(this.text ?? "");
  }

  /**
   * Marks the setting and everything below it that isn't marked itself. With `members`, marks only these below it, so
   * that the report names members that the converter doesn't read.
   */
  mark(outcome: Outcome, note = "", members?: readonly string[]): void {
    if (!isNothing(this.value)) this.#marks.set(this.path, { outcome, note }, members);
  }

  /** Adds a line to the report, whether or not the setting is marked. Settings below it still need their own marks. */
  remark(outcome: Outcome, note: string): void {
    this.#marks.add(this.path, { outcome, note });
  }

  imported(note = "", members?: readonly string[]): this {
    this.mark("Imported", note, members);
    return this;
  }

  changed(note: string, members?: readonly string[]): this {
    this.mark("Changed", note, members);
    return this;
  }

  notImported(note: string): this {
    this.mark("NotImported", note);
    return this;
  }

  report(): ReportLine[] {
    return this.#marks.lines();
  }
}

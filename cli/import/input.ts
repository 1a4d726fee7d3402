/** Reads files of other gateways: YAML, JSON and CSV. Errors name a place and repeat no content. */

import { LineCounter, parseAllDocuments } from "yaml";
import { offsetOf } from "../../operator/folder/yaml-place.ts";
import { nounCount } from "../../proxy/config/noun-count.ts";
import { hasMembers } from "../has-members.ts";
import type { SettingPath } from "./report.ts";
import type { ImportDocument } from "./setting.ts";

export interface ImportFile {
  name: string;
  text: string;
}

/** Configurations within a ConfigMap, with the lines of the whole file. */
function configMapDocuments(document: ImportDocument): ImportDocument[] {
  const { value, file, lineOf } = document;
  if (!hasMembers(value) || value["kind"] !== "ConfigMap" || !hasMembers(value["data"])) return [document];
  return Object.entries(value["data"]).flatMap(([key, text]) => {
    const first = lineOf(["data", key]);
    return yamlDocuments({ name: file, text: String(text) }).map((inner) => ({
      ...inner,
      lineOf: (path: SettingPath) => first + inner.lineOf(path),
    }));
  });
}

/** JSON is YAML. Anchors and merge keys are resolved. */
function yamlDocuments({ name, text }: ImportFile): ImportDocument[] {
  const lines = new LineCounter();
  // Pretty errors quote the text, which may hold secrets.
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, merge: true });
  return (Array.isArray(documents) ? documents : []).flatMap((document) => {
    const [error] = document.errors;
    if (error !== undefined) {
      const { line, col } = lines.linePos(error.pos[0]);
      throw new Error(`${name}:${line}:${col}: is not valid YAML (${error.code})`);
    }
    const value: unknown = document.toJS({ maxAliasCount: 100_000 });
    return value === null
      ? []
      : [{ file: name, value, lineOf: (path: SettingPath) => lines.linePos(offsetOf(document, path)).line }];
  });
}

/** Cells of RFC 4180, with the line on which each record begins. */
function* csvRecords(text: string): Generator<{ line: number; cells: string[] }> {
  let line = 1;
  let start = 1;
  let cells: string[] = [];
  for (const [, quoted, plain = "", end = ""] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^,"\r\n]*))(,|\r?\n|$)/g)) {
    cells.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    line += (quoted ?? "").split("\n").length - 1 + (end.includes("\n") ? 1 : 0);
    if (end === ",") continue;
    if (cells.length > 1 || cells[0] !== "") yield { line: start, cells };
    cells = [];
    start = line;
  }
}

/** One document: a list of rows by column. */
function csvDocument({ name, text }: ImportFile): ImportDocument[] {
  const [header, ...records] = csvRecords(text.replace(/^﻿/, ""));
  if (header === undefined) return [];
  const value = records.map(({ line, cells }) => {
    if (cells.length > header.cells.length)
      throw new Error(
        `${name}:${line}: has ${nounCount(cells.length, "cell")}, and the header has ${header.cells.length}`,
      );
    return Object.fromEntries(
      header.cells.map((column, index) => [column.trim(), cells[index] === "" ? undefined : cells[index]]),
    );
  });
  return [{ file: name, value, lineOf: ([row]) => (typeof row === "number" ? (records[row]?.line ?? 1) : 1) }];
}

export function importDocuments(file: ImportFile): ImportDocument[] {
  return /\.csv$/i.test(file.name) ? csvDocument(file) : yamlDocuments(file).flatMap(configMapDocuments);
}

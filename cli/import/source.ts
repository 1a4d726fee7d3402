/** An importer of another gateway's configuration: a pure function, one folder for each. */
import { Manifests } from "./manifests.ts";
import type { ReportLine } from "./report.ts";
import type { ImportDocument } from "./setting.ts";
import { Setting } from "./setting.ts";

export interface ImportOptions {
  /** Variables for settings that aren't secret, such as addresses. */
  env: Readonly<Record<string, string | undefined>>;
}

export interface ImportSource {
  /** The word on the command line. */
  name: string;
  /** Describes its FILEs, for the help. */
  files: string;
  convert(documents: readonly Setting[], manifests: Manifests, options: ImportOptions): void;
}

export interface ImportResult {
  manifests: Manifests;
  report: ReportLine[];
}

export function importWith(
  source: ImportSource,
  documents: readonly ImportDocument[],
  options: ImportOptions,
): ImportResult {
  const manifests = new Manifests();
  const settings = documents.map((document) => Setting.root(document));
  source.convert(settings, manifests, options);
  return { manifests, report: settings.flatMap((setting) => setting.report()) };
}

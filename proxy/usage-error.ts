/**
 * Invalid flags or environment variables. They end the process with exit code 2, like errors from node:util's argument
 * parser.
 */

export class UsageError extends Error {
  readonly code = "ERR_PARSE_ARGS_USAGE";
}

interface Issue {
  path: readonly PropertyKey[];
  message: string;
}

/** Converts a schema's first complaint to an error that names the flag. `flags`: flag → setting. */
export function settingError(issue: Issue | undefined, flags: Readonly<Record<string, string>>): UsageError {
  const name = String(issue?.path[0] ?? "settings");
  const flag = Object.entries(flags).find(([, field]) => field === name)?.[0];
  const said = issue?.message ?? "is not valid";
  return new UsageError(
    `${flag === undefined ? name : `--${flag}`}: ${said.endsWith("received NaN") ? "must be a number" : said}`,
  );
}

/** Words on the command line, or in the environment, that can't be. They end a process with exit code 2, as those do that node:util refuses. */

export class UsageError extends Error {
  readonly code = "ERR_PARSE_ARGS_USAGE";
}

interface Issue {
  path: readonly PropertyKey[];
  message: string;
}

/** Of a schema's first complaint about settings, by the flag that gives what is wrong. `flags`: flag → setting. */
export function settingError(issue: Issue | undefined, flags: Readonly<Record<string, string>>): UsageError {
  const name = String(issue?.path[0] ?? "settings");
  const flag = Object.entries(flags).find(([, field]) => field === name)?.[0];
  const said = issue?.message ?? "is not valid";
  return new UsageError(
    `${flag === undefined ? name : `--${flag}`}: ${said.endsWith("received NaN") ? "must be a number" : said}`,
  );
}

/** What is wrong with a process's settings, by the flag that gives them; exit code 2, as for any misuse of the command line. */

export class SettingError extends Error {
  readonly code = "ERR_PARSE_ARGS_SETTING";
}

interface Issue {
  path: readonly PropertyKey[];
  message: string;
}

/** Of a schema's first complaint. `flags`: flag → setting. */
export function settingError(issue: Issue | undefined, flags: Readonly<Record<string, string>>): SettingError {
  const name = String(issue?.path[0] ?? "settings");
  const flag = Object.entries(flags).find(([, field]) => field === name)?.[0];
  const said = issue?.message ?? "is not valid";
  return new SettingError(`${flag === undefined ? name : `--${flag}`}: ${said.endsWith("received NaN") ? "must be a number" : said}`);
}

/** Error messages for the terminal: Node's own say what happened, but not what to do about it. */

/** Whether the arguments themselves are wrong, rather than what they refer to: CI must be able to tell these apart. */
export const isMisuse = (cause: unknown): boolean =>
  String((cause as { code?: unknown } | null)?.code).startsWith("ERR_PARSE_ARGS");

const quoted = (text: string): string => /'([^']*)'/.exec(text)?.[1] ?? "";

/** Messages for the argument parser's errors, by code. */
const misuses: Readonly<Record<string, (command: string, said: string) => string>> = {
  ERR_PARSE_ARGS_UNKNOWN_OPTION: (command, said) =>
    `sluice ${command} has no option ${quoted(said)}; sluice ${command} --help lists those it has`,
  ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL: (command, said) =>
    `sluice ${command} takes only options, not ${quoted(said)}; sluice ${command} --help lists them`,
  ERR_PARSE_ARGS_INVALID_OPTION_VALUE: (command, said) => {
    const option = quoted(said).replace(/ <value>$/, "");
    if (said.includes("does not take an argument")) return `${option} takes no value`;
    const long = /--[a-z-]+/.exec(option)?.[0] ?? option;
    return `${option} needs a value; one that begins with a dash is written ${long}=VALUE (sluice ${command} --help)`;
  },
};

const files: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file or folder",
  EACCES: "may not be read or written by this user",
  EISDIR: "is a folder, and a file is wanted",
  ENOTDIR: "is a file, and a folder is wanted",
};

const portFlags: Readonly<Record<string, string>> = { operator: "--status-port" };

interface SystemError {
  code?: unknown;
  path?: unknown;
  syscall?: unknown;
  address?: unknown;
  port?: unknown;
}

/** `command`: the subcommand that failed. */
export function cliErrorText(command: string, cause: unknown): string {
  const said = cause instanceof Error ? cause.message : String(cause);
  const { code, path, syscall, address, port } = (cause ?? {}) as SystemError;
  const name = String(code);
  if (Object.hasOwn(misuses, name)) return misuses[name]?.(command, said) ?? said;
  if (syscall === "listen" && name === "EADDRINUSE")
    return `port ${String(port)} of ${String(address)} is in use by another process; choose another with ${portFlags[command] ?? "--port or --status-port"}`;
  if (typeof path === "string" && Object.hasOwn(files, name))
    return `${path}: ${files[name]}${fileHint(command, path)}`;
  return said;
}

const fileHint = (command: string, path: string): string =>
  command === "operator" && path === "/etc/sluice/operator.yaml"
    ? "; --settings says where else the operator's settings are"
    : "";

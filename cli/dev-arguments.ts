/** Arguments of `sluice dev`: folders, flags of the command, and flags of the proxy. */

/** Every proxy flag takes a value, and may come before, between or after the folders. */
export function divide(args: readonly string[]): { paths: string[]; flags: string[] } {
  const paths: string[] = [];
  const flags: string[] = [];
  for (const [index, arg] of args.entries()) {
    const before = args[index - 1] ?? "";
    const value = before.startsWith("--") && !before.includes("=");
    (value || arg.startsWith("--") ? flags : paths).push(arg);
  }
  return { paths, flags };
}

/** Removes a flag that the proxy doesn't know from `flags` and returns its value; null if it isn't set. */
export function takeFlag(flags: string[], name: string): string | null {
  const index = flags.findIndex((flag) => flag === `--${name}` || flag.startsWith(`--${name}=`));
  if (index < 0) return null;
  const [flag = ""] = flags.splice(index, 1);
  return flag.includes("=") ? flag.slice(flag.indexOf("=") + 1) : (flags.splice(index, 1)[0] ?? "");
}

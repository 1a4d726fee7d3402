/** The product's command line, run to its end from this tree. */
import { join } from "node:path";
import { type CommandOptions, type Finished, run } from "./command.ts";

const main = join(import.meta.dirname, "../../cli/main.ts");

export const sluice = (...args: string[]): Promise<Finished> => sluiceWith({}, ...args);

export const sluiceWith = (options: CommandOptions, ...args: string[]): Promise<Finished> =>
  run(process.execPath, [main, ...args], options);

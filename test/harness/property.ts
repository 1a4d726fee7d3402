/**
 * fast-check with the settings of our tests. Each run of the suite tries the same cases, so that a failure comes from
 * the change at hand. `make test-unit` tries the first fifth of them, `make fuzz` new ones, and more.
 *
 *   PROPERTY_SEED   an integer, or "random" (default 1)
 *   PROPERTY_RUNS   multiplies the number of cases of each property (default 1)
 */
import fc from "fast-check";

const { PROPERTY_SEED: seed = "1", PROPERTY_RUNS: factor = "1" } = process.env;

/** The number of cases of a property, for `numRuns`. */
export const runs = (count: number): number => Math.ceil(count * Number(factor));

fc.configureGlobal({ numRuns: runs(100), ...(seed === "random" ? {} : { seed: Number(seed) }) });

export { default } from "fast-check";

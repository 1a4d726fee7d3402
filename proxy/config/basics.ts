/** Building blocks of the contract. Durations are integer milliseconds, money is integer nano-USD. */
import { z } from "zod";

export const millis = z.int().min(0);
export const nanoUsd = z.int().min(0);
/**
 * Can exceed every amount, and the integers that a number holds exactly: beyond USD 9,007,199 it is rounded, by less
 * than a millionth of a USD.
 */
export const spentNanoUsd = z.number().min(0).refine(Number.isInteger, "must be whole");
/** `namespace/name` of the object that an entry was compiled from. */
export const id = z.string();
/** null matches anything. */
export const names = z.array(z.string()).nullable();

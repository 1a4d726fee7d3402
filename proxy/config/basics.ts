/** Building blocks of the contract. Durations are integer milliseconds, money is integer nano-USD. */
import { z } from "zod";

export const millis = z.int().min(0);
export const nanoUsd = z.int().min(0);
/** `namespace/name` of the object that an entry was compiled from. */
export const id = z.string();
/** null matches anything. */
export const names = z.array(z.string()).nullable();

/** What parts of the contract are made of. Durations are integer milliseconds, money is integer nano-USD. */
import { z } from "zod";

export const millis = z.int().min(0);
export const nanoUsd = z.int().min(0);
/** `namespace/name` of the object that an entry was made from. */
export const id = z.string();
/** null: whatever it is. */
export const names = z.array(z.string()).nullable();

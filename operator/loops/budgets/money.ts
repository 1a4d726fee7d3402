/** Amounts and times as a Budget's status writes them. */
import { nanoPerUsd, usd } from "../../../proxy/config/usage-report.ts";

export const isoTime = (ms: number): string => new Date(ms).toISOString();

/** When a period ends, for readers: in whole seconds, as Kubernetes writes times. */
export const resetTime = (ms: number): string => isoTime(ms).replace(".000Z", "Z");

/** nano-USD → USD with as many places as it takes, at least two. */
export const usdText = (nanoUsd: number): string => usd(nanoUsd);

/** Spending can exceed the integers that a number holds exactly; then the nearest one is used. */
export const nanoOfText = (text: string | undefined): number => {
  const [whole = "0", fraction = ""] = (text ?? "0").split(".");
  return Number(BigInt(whole) * nanoPerUsd + BigInt(fraction.padEnd(9, "0")));
};

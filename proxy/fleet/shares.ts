/**
 * What each proxy that used a budget lately has of it. Proxies get these shares with each answer and show them to a
 * store that has lost its memory, so that it knows which part of their view each proxy's own totals replace.
 */

/** One holder's part of a counter. */
export interface Share {
  /** Granted, less what was given back. */
  used: number;
  spent: number;
  /** Its last operation, by the store's clock. */
  seenMs: number;
}

/** A share counts as part of the rest once its holder was silent for this long, in milliseconds. */
export const recentMs = 60_000;

/** As in the store's script. */
export const packShares = (shares: ReadonlyMap<string, Share>): string => {
  let text = "";
  for (const [name, { used, spent, seenMs }] of shares) text += `${name} ${used} ${spent} ${Math.floor(seenMs)};`;
  return text;
};

export function parseShares(text: string): Map<string, Share> {
  const shares = new Map<string, Share>();
  for (const entry of text.split(";")) {
    const [name = "", used, spent, seenMs] = entry.split(" ");
    if (name !== "") shares.set(name, { used: Number(used), spent: Number(spent), seenMs: Number(seenMs) });
  }
  return shares;
}

/** Enters one holder's share, and drops those of holders that have been silent. */
export function noteShare(shares: Map<string, Share>, name: string, share: Share): void {
  shares.set(name, share);
  for (const [other, { seenMs }] of shares) if (share.seenMs - seenMs > recentMs) shares.delete(other);
}

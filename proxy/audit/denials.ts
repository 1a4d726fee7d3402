/**
 * Attempts that were turned away before they were a call: connections because of their client certificate, and requests
 * to the status port. Clients decide how many there are, so records of one kind are at least a second apart;
 * each says how many attempts it stands for.
 */
import type { Clock } from "../clock.ts";

export interface Denial {
  what: "client_certificate" | "status_token";
  /** From a closed list. */
  reason: string;
  /** "" if unknown. */
  address: string;
  /** Of a certificate. */
  subject?: string;
  /** That was asked for at the status port, without its query. */
  path?: string;
}

const apartMs = 1_000;
const maxTextLength = 256;

interface Counted {
  last: Denial;
  count: number;
}

function membersOf({ what, reason, address, subject = "", path = "" }: Denial, count: number): string {
  const texts = { what, reason, address, subject, path };
  const shown = Object.entries(texts).filter(([, text]) => text !== "");
  return `${shown.map(([name, text]) => `"${name}":${JSON.stringify(text.slice(0, maxTextLength))}`).join(",")},"count":${count}`;
}

export class Denials {
  readonly #write: (members: string) => void;
  readonly #after: Clock["after"];
  /** What came since the last record, by kind; a kind without an entry may be written at once. */
  readonly #waiting = new Map<string, Counted | null>();

  constructor(write: (members: string) => void, after: Clock["after"]) {
    this.#write = write;
    this.#after = after;
  }

  add(denial: Denial): void {
    const kind = `${denial.what} ${denial.reason}`;
    const waiting = this.#waiting.get(kind);
    if (waiting === undefined) this.#put(kind, denial, 1);
    else this.#waiting.set(kind, { last: denial, count: (waiting?.count ?? 0) + 1 });
  }

  /** Writes what waits. */
  flush(): void {
    for (const [kind, waiting] of this.#waiting) {
      if (waiting !== null) this.#write(membersOf(waiting.last, waiting.count));
      this.#waiting.set(kind, null);
    }
  }

  #put(kind: string, denial: Denial, count: number): void {
    this.#write(membersOf(denial, count));
    this.#waiting.set(kind, null);
    this.#after(apartMs, () => {
      const waiting = this.#waiting.get(kind) ?? null;
      if (waiting === null) this.#waiting.delete(kind);
      else this.#put(kind, waiting.last, waiting.count);
    });
  }
}

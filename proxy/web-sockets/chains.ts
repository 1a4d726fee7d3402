/**
 * What connections remember of their last responses, so that a client can send only the new items of a turn. Providers
 * are asked over HTTP and need the whole input. Bounded over all connections; what is used least recently goes first.
 */

/** A response and everything before it, as members of an input list. */
export interface EarlierTurns {
  responseId: string;
  items: string;
}

export class Chains {
  readonly #maxBytes: number;
  /** By owner: a lane of a connection. The one used least recently is the first. */
  readonly #chains = new Map<object, EarlierTurns>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  of(owner: object, responseId: string): EarlierTurns | null {
    const chain = this.#chains.get(owner);
    return chain?.responseId === responseId ? chain : null;
  }

  keep(owner: object, chain: EarlierTurns): void {
    this.forget(owner);
    this.#chains.set(owner, chain);
    this.#bytes += chain.items.length;
    for (const [oldest] of this.#chains) {
      if (this.#bytes <= this.#maxBytes) return;
      this.forget(oldest);
    }
  }

  forget(owner: object): void {
    const chain = this.#chains.get(owner);
    if (chain === undefined) return;
    this.#chains.delete(owner);
    this.#bytes -= chain.items.length;
  }
}

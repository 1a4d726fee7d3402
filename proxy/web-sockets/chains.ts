/**
 * What connections remember of their last responses, so that a client can send only the new items of a turn. Providers
 * are asked over HTTP and need the whole input. Bounded over all connections: beyond that, the caller who has most loses
 * what it used least recently, so that no caller pushes out what others have.
 */

/** A response and everything before it, as members of an input list. */
export interface EarlierTurns {
  responseId: string;
  items: string;
}

/** What one caller's connections remember. */
class Share {
  /** By lane of a connection. The one used least recently is the first. */
  readonly chains = new Map<object, EarlierTurns>();
  bytes = 0;

  keep(lane: object, chain: EarlierTurns): void {
    this.chains.set(lane, chain);
    this.bytes += chain.items.length;
  }

  /** Returns the bytes that are free now. */
  forget(lane: object): number {
    const freed = this.chains.get(lane)?.items.length ?? 0;
    this.chains.delete(lane);
    this.bytes -= freed;
    return freed;
  }
}

export class Chains {
  readonly #maxBytes: number;
  readonly #shares = new Map<string, Share>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  of(owner: string, lane: object, responseId: string): EarlierTurns | null {
    const chain = this.#shares.get(owner)?.chains.get(lane);
    return chain?.responseId === responseId ? chain : null;
  }

  keep(owner: string, lane: object, chain: EarlierTurns): void {
    this.forget(owner, lane);
    const share = this.#shares.get(owner) ?? new Share();
    this.#shares.set(owner, share);
    share.keep(lane, chain);
    this.#bytes += chain.items.length;
    while (this.#bytes > this.#maxBytes) this.#makeRoom();
  }

  /** There is something to forget. */
  #makeRoom(): void {
    let owner = "";
    let bytes = 0;
    for (const [name, share] of this.#shares) if (share.bytes > bytes) [owner, bytes] = [name, share.bytes];
    const [lane] = this.#shares.get(owner)?.chains.keys() ?? [];
    if (lane !== undefined) this.forget(owner, lane);
  }

  forget(owner: string, lane: object): void {
    const share = this.#shares.get(owner);
    if (share === undefined) return;
    this.#bytes -= share.forget(lane);
    if (share.chains.size === 0) this.#shares.delete(owner);
  }
}

/** Where audit records go. */
export interface End {
  chain: string;
  seq: number;
  hash: string;
}

/** What is kept too long already. It is deleted only once the chain tells so, or a fall in between would look like tampering. */
export interface Expired {
  /**
   * The last record of each chain, or of each file, that goes; and what records that go had told of chains of which
   * something stays.
   */
  ends: readonly End[];
  remove(): Promise<void>;
}

export interface AuditSink {
  readonly name: string;
  /** Once `write` is over the records survive this process and this machine's fall. */
  readonly durable: boolean;
  /** Whole lines, in their order. Throws where they were not taken: they come again. */
  write(lines: string): Promise<void>;
  /** The end of what another process wrote last, where that can be known. */
  previous?(): Promise<End | null>;
  /** For how long records are kept, in milliseconds; null, or left out: for ever. */
  readonly keptMs?: number | null;
  /** null where nothing is. */
  expired?(): Promise<Expired | null>;
  close(): Promise<void>;
}

/** On stdout, between the lines of the log: `"chain"` tells them apart. */
export const stdoutSink = (): AuditSink => ({
  name: "stdout",
  durable: false,
  write: (lines) =>
    new Promise((resolve, reject) => {
      process.stdout.write(lines, (cause) => (cause ? reject(cause) : resolve()));
    }),
  close: () => Promise.resolve(),
});

/** Where audit records go. */
export interface End {
  chain: string;
  seq: number;
  hash: string;
}

export interface AuditSink {
  readonly name: string;
  /** Once `write` is over the records survive this process and this machine's fall. */
  readonly durable: boolean;
  /** Whole lines, in their order. Throws where they were not taken: they come again. */
  write(lines: string): Promise<void>;
  /** The end of what another process wrote last, where that can be known. */
  previous?(): Promise<End | null>;
  /** Deletes what is kept too long already. */
  retire?(): Promise<End[]>;
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

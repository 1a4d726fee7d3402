/** Where audit records are written. */
export interface End {
  chain: string;
  seq: number;
  hash: string;
}

/** Expired records. They are deleted only once the chain announces it; otherwise a crash would look like tampering. */
export interface Expired {
  /**
   * The last record of each chain, or of each file, to be deleted; and announcements in those records about chains that
   * still have records.
   */
  ends: readonly End[];
  remove(): Promise<void>;
}

/** Records that will never be taken; 0 for a warning. */
export interface RefusedRecords {
  records: number;
  why: string;
}

export interface AuditSink {
  readonly name: string;
  /** Once `write` resolves, the records survive a crash of this process and this machine. */
  readonly durable: boolean;
  /**
   * Whole lines, in order. Throws if they were not stored; they are then written again. `refused`: receives what will
   * never be stored.
   */
  write(lines: string, refused?: (what: RefusedRecords) => void): Promise<void>;
  /** Where another process's last chain ended, if that can be known. */
  previous?(): Promise<End | null>;
  /** How long records are kept, in milliseconds; null or absent: for ever. */
  readonly keptMs?: number | null;
  /** null if nothing is expired. */
  expired?(): Promise<Expired | null>;
  close(): Promise<void>;
}

/** On stdout, between log lines; `"chain"` tells them apart. */
export const stdoutSink = (): AuditSink => ({
  name: "stdout",
  durable: false,
  write: (lines) =>
    new Promise((resolve, reject) => {
      process.stdout.write(lines, (cause) => (cause ? reject(cause) : resolve()));
    }),
  close: () => Promise.resolve(),
});

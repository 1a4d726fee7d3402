/** Where an upstream is, and how to connect to it. */
export interface UpstreamAddress {
  /** `scheme://host:port` */
  origin: string;
  allowPrivate: boolean;
  connectMs: number;
  /** An upstream that takes nothing of a request for this long is given up. */
  writeMs: number;
  /** Absent: the public authorities, the origin's own name, and no certificate of ours. */
  tls?: UpstreamTls;
}

export interface UpstreamTls {
  ca: string | null;
  serverName: string | null;
  /** Shown to a server that asks. `id` tells one pair from another and holds nothing of it; the rest is PEM, the chain in `cert`. */
  client: { id: string; cert: string; key: string } | null;
}

/** Where an upstream is, and how to connect to it. */
export interface UpstreamAddress {
  /** `scheme://host:port` */
  origin: string;
  allowPrivate: boolean;
  connectMs: number;
  /** Longest time, in milliseconds, that an upstream may read nothing of a request before the call fails. */
  writeMs: number;
  /** Absent: public authorities, the origin's host name, and no client certificate. */
  tls?: UpstreamTls;
}

export interface UpstreamTls {
  ca: string | null;
  serverName: string | null;
  /**
   * Client certificate for servers that ask for one. `id` identifies the pair without revealing it; the rest is PEM,
   * with the chain in `cert`.
   */
  client: { id: string; cert: string; key: string } | null;
}

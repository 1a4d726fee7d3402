/** `host:port` of servers, as they are published. Pure. */

/** Most servers of a pool: all are published, and proxies compare all of them for each call. */
const maxPods = 256;

const written = (address: string, port: number): string =>
  address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;

/** Each address at each port, once, sorted. */
export const atPort = (addresses: readonly string[], ports: readonly number[]): string[] =>
  [...new Set(addresses.flatMap((address) => ports.map((port) => written(address, port))))].sort().slice(0, maxPods);

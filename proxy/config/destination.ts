/**
 * The addresses to which a provider's endpoint may lead. Names are resolved, every address is checked, and the
 * connection goes to a checked address, so a name that changes between check and use gains nothing.
 */

import { type LookupAddress, lookup } from "node:dns";
import { BlockList, isIP } from "node:net";
import ipaddr from "ipaddr.js";

/** Never allowed: cloud metadata and other link-local, unspecified, multicast and broadcast addresses. */
const never = new BlockList();
never.addSubnet("0.0.0.0", 8, "ipv4");
never.addSubnet("169.254.0.0", 16, "ipv4");
never.addSubnet("224.0.0.0", 4, "ipv4");
never.addSubnet("240.0.0.0", 4, "ipv4");
never.addAddress("::", "ipv6");
never.addSubnet("fe80::", 10, "ipv6");
never.addSubnet("ff00::", 8, "ipv6");
never.addAddress("fd00:ec2::254", "ipv6");
never.addSubnet("2001::", 32, "ipv6");

/** Allowed only with `allowPrivateEndpoint`: loopback, private networks, carrier-grade NAT, benchmarking. */
const internal = new BlockList();
internal.addSubnet("127.0.0.0", 8, "ipv4");
internal.addSubnet("10.0.0.0", 8, "ipv4");
internal.addSubnet("172.16.0.0", 12, "ipv4");
internal.addSubnet("192.168.0.0", 16, "ipv4");
internal.addSubnet("100.64.0.0", 10, "ipv4");
internal.addSubnet("192.0.0.0", 24, "ipv4");
internal.addSubnet("198.18.0.0", 15, "ipv4");
internal.addAddress("::1", "ipv6");
internal.addSubnet("fc00::", 7, "ipv6");
internal.addSubnet("fec0::", 10, "ipv6");
internal.addSubnet("64:ff9b:1::", 48, "ipv6");

/**
 * Returns the IPv4 address that packets for this IPv6 address finally reach, or null: mapped (::ffff:0:0/96), NAT64
 * (64:ff9b::/96), 6to4 (2002::/16) and the withdrawn ::a.b.c.d.
 */
function translated(address: string): string | null {
  const parts = ipaddr.IPv6.parse(address.split("%", 1)[0] ?? "").parts;
  const [first = 0, second = 0, third = 0] = parts;
  const dotted = (high: number, low: number): string => [high >> 8, high & 255, low >> 8, low & 255].join(".");
  const middle = parts.slice(2, 5).every((part) => part === 0) ? (parts[5] ?? 0) : Number.NaN;
  const end = dotted(parts[6] ?? 0, parts[7] ?? 0);
  if (first === 0x2002) return dotted(second, third);
  if (first === 0x64 && second === 0xff9b && middle === 0) return end;
  if (first !== 0 || second !== 0) return null;
  // `::` and `::1` embed no IPv4 address.
  return middle === 0xffff || (middle === 0 && !end.startsWith("0.0.")) ? end : null;
}

export function addressAllowed(address: string, allowPrivate: boolean): boolean {
  const inner = isIP(address) === 6 ? translated(address) : null;
  if (inner !== null && !addressAllowed(inner, allowPrivate)) return false;
  const family = isIP(address) === 6 ? "ipv6" : "ipv4";
  if (never.check(address, family)) return false;
  return allowPrivate || !internal.check(address, family);
}

export class DestinationRefusedError extends Error {
  override readonly name = "DestinationRefusedError";
  readonly code = "ESLUICEDESTINATION";
}

type LookupCallback = (error: Error | null, address?: string | LookupAddress[], family?: number) => void;

/** Returns a `lookup` for net.connect that fails unless every address is allowed. */
export function guardedLookup(allowPrivate: boolean) {
  return (
    hostname: string,
    options: { all?: boolean; family?: number | "IPv4" | "IPv6" },
    callback: LookupCallback,
  ): void => {
    lookup(
      hostname,
      { family: options.family === "IPv6" ? 6 : options.family === "IPv4" ? 4 : (options.family ?? 0), all: true },
      (error, addresses) => {
        if (error) return callback(error);
        const refused = addresses.find(({ address }) => !addressAllowed(address, allowPrivate));
        if (refused)
          return callback(new DestinationRefusedError(`${hostname} resolves to an address that is not allowed`));
        if (options.all) return callback(null, addresses);
        const first = addresses[0];
        if (first === undefined) return callback(new Error(`${hostname} has no address`));
        callback(null, first.address, first.family);
      },
    );
  };
}

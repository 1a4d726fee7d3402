/** Networks and addresses. An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`) is treated as the IPv4 address. */
import { isIP } from "node:net";
import ipaddr from "ipaddr.js";

type Address = ReturnType<typeof ipaddr.process>;
type Network = readonly [Address, number];

/**
 * Returns null if the text is not an address. Octal, hexadecimal and short forms, which parsers read differently, are
 * not accepted.
 */
function parseAddress(text: string): Address | null {
  const plain = text.split("%", 1)[0] ?? "";
  // The form `::192.0.2.1` is withdrawn, but the library would read it as the IPv4 address.
  return isIP(plain) === 0 || /^[0:]+:\d+\./.test(plain) ? null : ipaddr.process(plain);
}

/** Returns the shortest form; null if the text is not an address. */
export function canonicalAddress(text: string): string | null {
  if (isIP(text) === 4) return text;
  return parseAddress(text)?.toString() ?? null;
}

/** Accepts `10.0.0.0/8`, `2001:db8::/32` or a single address; otherwise returns null. */
export function parseNetwork(text: string): Network | null {
  const [base = "", length, ...more] = text.split("/");
  const address = parseAddress(base);
  if (address === null || more.length > 0) return null;
  const bits = address.kind() === "ipv4" ? 32 : 128;
  if (length === undefined) return [address, bits];
  if (!/^\d{1,3}$/.test(length)) return null;
  // An IPv4-mapped network counts its bits from the start of the IPv6 address.
  const prefix = bits === 32 && base.includes(":") ? Number(length) - 96 : Number(length);
  return prefix < 0 || prefix > bits ? null : [address, prefix];
}

/** Returns the network with the bits after its prefix cleared; null if there are none, or the text is not a network. */
export function withoutHostBits(text: string): string | null {
  const network = parseNetwork(text);
  if (network === null || !text.includes("/") || text.includes(".") === text.includes(":")) return null;
  const [address, prefix] = network;
  const whole = `${address.toString()}/${prefix}`;
  const base =
    address.kind() === "ipv4" ? ipaddr.IPv4.networkAddressFromCIDR(whole) : ipaddr.IPv6.networkAddressFromCIDR(whole);
  return base.toString() === address.toString() ? null : `${base.toString()}/${prefix}`;
}

export class Networks {
  readonly #networks: readonly Network[];
  readonly empty: boolean;

  /** Ignores entries that are not networks: a list with only such entries contains no address. */
  constructor(texts: readonly string[]) {
    this.#networks = texts.map(parseNetwork).filter((network) => network !== null);
    this.empty = texts.length === 0;
  }

  has(text: string): boolean {
    const address = parseAddress(text);
    if (address === null) return false;
    return this.#networks.some(
      ([network, prefix]) => network.kind() === address.kind() && address.match([network, prefix] as never),
    );
  }
}

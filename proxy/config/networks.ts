/** Networks and addresses. An IPv4 address that comes as IPv6 (`::ffff:192.0.2.1`) is the IPv4 address. */
import { isIP } from "node:net";
import ipaddr from "ipaddr.js";

type Address = ReturnType<typeof ipaddr.process>;
type Network = readonly [Address, number];

/** Octal, hexadecimal and short forms, which parsers read in different ways, are no addresses here. null: not an address. */
function parseAddress(text: string): Address | null {
  const plain = text.split("%", 1)[0] ?? "";
  // `::192.0.2.1` was withdrawn long ago; the library would take it for the IPv4 address.
  return isIP(plain) === 0 || /^[0:]+:\d+\./.test(plain) ? null : ipaddr.process(plain);
}

/** The shortest form; null where it is not an address. */
export function canonicalAddress(text: string): string | null {
  if (isIP(text) === 4) return text;
  return parseAddress(text)?.toString() ?? null;
}

/** `10.0.0.0/8`, `2001:db8::/32`, or one address. null: neither. */
export function parseNetwork(text: string): Network | null {
  const [base = "", length, ...more] = text.split("/");
  const address = parseAddress(base);
  if (address === null || more.length > 0) return null;
  const bits = address.kind() === "ipv4" ? 32 : 128;
  if (length === undefined) return [address, bits];
  if (!/^\d{1,3}$/.test(length)) return null;
  // A mapped network counts its bits from the start of the IPv6 address.
  const prefix = bits === 32 && base.includes(":") ? Number(length) - 96 : Number(length);
  return prefix < 0 || prefix > bits ? null : [address, prefix];
}

/** What the network is called without the bits behind its prefix; null where it has none, or is no network. */
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

  /** What is no network is left out: a list with only such entries holds nobody. */
  constructor(texts: readonly string[]) {
    this.#networks = texts.map(parseNetwork).filter((one) => one !== null);
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

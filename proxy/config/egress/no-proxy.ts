/**
 * Which destinations are reached without the egress proxy. Reads NO_PROXY as kubectl, helm and other programs in Go do:
 * https://pkg.go.dev/golang.org/x/net/http/httpproxy
 */
import { BlockList, isIP } from "node:net";

interface Entry {
  /** Port that the entry is for; null for any. */
  port: number | null;
  covers(host: string): boolean;
}

const withoutBrackets = (host: string): string => host.replace(/^\[|\]$/g, "");

const familyOf = (address: string): "ipv4" | "ipv6" => (isIP(address) === 6 ? "ipv6" : "ipv4");

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/** An address or a network; null if the text is neither. */
function addresses(text: string): ((host: string) => boolean) | null {
  const [address = "", prefix, ...rest] = text.split("/");
  const version = isIP(address);
  if (version === 0 || rest.length > 0) return null;
  const list = new BlockList();
  if (prefix === undefined) list.addAddress(address, familyOf(address));
  else if (!/^\d{1,3}$/.test(prefix) || Number(prefix) > (version === 6 ? 128 : 32)) return null;
  else list.addSubnet(address, Number(prefix), familyOf(address));
  return (host) => isIP(host) !== 0 && list.check(host, familyOf(host));
}

/** `example.com`: the name and all below it; `.example.com` and `*.example.com`: only what is below it. */
function names(text: string): ((host: string) => boolean) | null {
  const suffix = text.replace(/^\*(?=\.)/, "");
  const name = suffix.replace(/^\./, "");
  if (!/^[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?$/.test(name)) return null;
  const bare = name.replace(/\.$/, "");
  const itself = !suffix.startsWith(".");
  return (host) => host.endsWith(`.${bare}`) || (itself && host === bare);
}

function entryOf(text: string): Entry | null {
  const whole = addresses(withoutBrackets(text));
  if (whole !== null) return { port: null, covers: whole };
  const [, host = text, digits] = /^(.*):(\d{1,5})$/.exec(text) ?? [];
  const inner = withoutBrackets(host);
  const covers = inner.includes("/") ? null : (addresses(inner) ?? names(inner));
  return covers === null ? null : { port: digits === undefined ? null : Number(digits), covers };
}

export class NoProxy {
  /** Entries that can't be read; they cover nothing. */
  readonly unreadable: readonly string[];
  readonly #all: boolean;
  readonly #entries: readonly Entry[];

  constructor(text: string) {
    const words = text
      .toLowerCase()
      .split(/[\s,]+/)
      .filter((word) => word !== "");
    this.#all = words.includes("*");
    const read = words.filter((word) => word !== "*").map((word) => ({ word, entry: entryOf(word) }));
    this.#entries = read.flatMap(({ entry }) => entry ?? []);
    this.unreadable = read.filter(({ entry }) => entry === null).map(({ word }) => word);
  }

  /** `host`: a name, or an address with or without brackets. This host and loopback addresses are always covered. */
  covers(host: string, port: number): boolean {
    const plain = withoutBrackets(host).toLowerCase().replace(/\.$/, "");
    if (this.#all || plain === "localhost") return true;
    if (isIP(plain) !== 0 && loopback.check(plain, familyOf(plain))) return true;
    return this.#entries.some((entry) => (entry.port === null || entry.port === port) && entry.covers(plain));
  }
}

/**
 * The caller's address. A header counts only if a trusted proxy wrote it: the chain is walked from its end, which the
 * nearest proxy wrote, as long as the named addresses are trusted; the first one that isn't is the caller. Everything
 * before it was written by the caller and is ignored.
 */

import { canonicalAddress, Networks } from "../config/networks.ts";
import type { OriginSettings } from "../config/schema.ts";

/** A longer chain is no real path. */
const maxHops = 32;

const portless = /^(?:\[([^\]]+)\](?::\d{1,5})?|(\d{1,3}(?:\.\d{1,3}){3}):\d{1,5})$/;

/** Accepts `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1` and `[2001:db8::1]:443`. null for anything else, such as `unknown`. */
function hopAddress(text: string): string | null {
  const trimmed = text.trim();
  const match = portless.exec(trimmed);
  return canonicalAddress(match?.[1] ?? match?.[2] ?? trimmed);
}

/** Elements of a list whose separators may occur within quoted strings. */
function splitQuoted(text: string, separator: "," | ";"): string[] {
  const parts: string[] = [];
  let quoted = false;
  let part = "";
  for (let index = 0; index < text.length; index++) {
    const character = text[index] as string;
    if (quoted && character === "\\") part += text[++index] ?? "";
    else if (character === '"') quoted = !quoted;
    else if (!quoted && character === separator) {
      parts.push(part);
      part = "";
    } else part += character;
  }
  return [...parts, part];
}

/** `for=` of one element of Forwarded (RFC 7239); "" if it has none or two. */
function forOf(element: string): string {
  const named = splitQuoted(element, ";").flatMap((pair) => {
    const equals = pair.indexOf("=");
    return pair.slice(0, equals).trim().toLowerCase() === "for" ? [pair.slice(equals + 1)] : [];
  });
  return named.length === 1 ? (named[0] ?? "") : "";
}

export interface CallerOrigin {
  /** null if a trusted proxy named something that isn't an address: the caller is then unknown. */
  address: string | null;
  /** Whether the connection comes from a trusted proxy. */
  viaProxy: boolean;
}

/** The peer of a connection, usually a load balancer, so there are few different ones. */
interface Peer {
  address: string | null;
  trusted: boolean;
}

/** Number of peers to keep. */
const maxPeers = 1_000;

export interface HeaderLookup {
  /** By name in lower case. */
  header(name: string): string | null;
}

export class Origins {
  readonly #trusted: Networks;
  readonly #header: string;
  readonly #countryHeader: string | null;
  readonly #peers = new Map<string, Peer>();

  constructor(settings: OriginSettings) {
    this.#trusted = new Networks(settings.trustedProxies);
    this.#header = settings.forwardedHeader.toLowerCase();
    this.#countryHeader = settings.countryHeader;
  }

  of(socketAddress: string, headers: HeaderLookup): CallerOrigin {
    const { address, trusted } = this.#peer(socketAddress);
    if (address === null || !trusted) return { address, viaProxy: false };
    const chain = headers.header(this.#header);
    return { address: chain === null ? address : this.#walk(address, chain), viaProxy: true };
  }

  #peer(socketAddress: string): Peer {
    const cached = this.#peers.get(socketAddress);
    if (cached !== undefined) return cached;
    const address = canonicalAddress(socketAddress);
    const peer = { address, trusted: address !== null && !this.#trusted.empty && this.#trusted.has(address) };
    if (this.#peers.size >= maxPeers) this.#peers.clear();
    this.#peers.set(socketAddress, peer);
    return peer;
  }

  #walk(peer: string, chain: string): string | null {
    const hops = this.#header === "forwarded" ? splitQuoted(chain, ",").map(forOf) : chain.split(",");
    if (hops.length > maxHops) return null;
    let last: string | null = peer;
    for (const hop of hops.reverse()) {
      last = hopAddress(hop);
      if (last === null || !this.#trusted.has(last)) return last;
    }
    return last;
  }

  /** The country according to a trusted proxy; null if there is no such proxy, or no country code. */
  country(origin: CallerOrigin, headers: HeaderLookup): string | null {
    if (this.#countryHeader === null || !origin.viaProxy) return null;
    return countryCode(headers.header(this.#countryHeader));
  }
}

/** Proxies that set such a header use XX for unknown and T1 for an anonymising network. */
export function countryCode(text: unknown): string | null {
  const code = typeof text === "string" ? text.trim().toUpperCase() : "";
  return /^[A-Z]{2}$/.test(code) && code !== "XX" && code !== "ZZ" ? code : null;
}

/**
 * Where a call comes from. A header says so only if a trusted proxy wrote it: the chain is walked from its end, which
 * the nearest proxy wrote, for as long as those named are trusted; the first who isn't is the caller. What stands
 * before that was written by the caller and is worth nothing.
 */

import { canonicalAddress, Networks } from "../config/networks.ts";
import type { OriginSettings } from "../config/schema.ts";

/** Longer chains are nobody's real path. */
const maxHops = 32;

const portless = /^(?:\[([^\]]+)\](?::\d{1,5})?|(\d{1,3}(?:\.\d{1,3}){3}):\d{1,5})$/;

/** `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1`, `[2001:db8::1]:443`. null: something else, such as `unknown`. */
function hopAddress(text: string): string | null {
  const trimmed = text.trim();
  const found = portless.exec(trimmed);
  return canonicalAddress(found?.[1] ?? found?.[2] ?? trimmed);
}

/** Elements of a list whose separators may stand within quoted strings. */
function splitQuoted(text: string, separator: "," | ";"): string[] {
  const parts: string[] = [];
  let quoted = false;
  let part = "";
  for (let at = 0; at < text.length; at++) {
    const character = text[at] as string;
    if (quoted && character === "\\") part += text[++at] ?? "";
    else if (character === '"') quoted = !quoted;
    else if (!quoted && character === separator) {
      parts.push(part);
      part = "";
    } else part += character;
  }
  return [...parts, part];
}

/** `for=` of one element of Forwarded (RFC 7239); "" where it has none or two. */
function forOf(element: string): string {
  const named = splitQuoted(element, ";").flatMap((pair) => {
    const equals = pair.indexOf("=");
    return pair.slice(0, equals).trim().toLowerCase() === "for" ? [pair.slice(equals + 1)] : [];
  });
  return named.length === 1 ? (named[0] ?? "") : "";
}

export interface CallerOrigin {
  /** null where a trusted proxy named something that is no address: then nobody knows. */
  address: string | null;
  /** The connection comes from a trusted proxy. */
  viaProxy: boolean;
}

/** Whoever is at the other end of a connection: a load balancer, as a rule, so that few are seen again and again. */
interface Peer {
  address: string | null;
  trusted: boolean;
}

/** Peers that are kept. */
const mostPeers = 1_000;

export type HeaderLookup = (name: string) => string | null;

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

  of(socketAddress: string, header: HeaderLookup): CallerOrigin {
    const { address, trusted } = this.#peer(socketAddress);
    if (address === null || !trusted) return { address, viaProxy: false };
    const chain = header(this.#header);
    return { address: chain === null ? address : this.#walk(address, chain), viaProxy: true };
  }

  #peer(socketAddress: string): Peer {
    const known = this.#peers.get(socketAddress);
    if (known !== undefined) return known;
    const address = canonicalAddress(socketAddress);
    const peer = { address, trusted: address !== null && !this.#trusted.empty && this.#trusted.has(address) };
    if (this.#peers.size >= mostPeers) this.#peers.clear();
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

  /** What a trusted proxy says of the country; null where none is trusted to, or it says nothing that is a country's code. */
  country(origin: CallerOrigin, header: HeaderLookup): string | null {
    if (this.#countryHeader === null || !origin.viaProxy) return null;
    return countryCode(header(this.#countryHeader));
  }
}

/** XX and T1 stand for unknown and for an anonymising network where proxies set such a header. */
export function countryCode(text: unknown): string | null {
  const code = typeof text === "string" ? text.trim().toUpperCase() : "";
  return /^[A-Z]{2}$/.test(code) && code !== "XX" && code !== "ZZ" ? code : null;
}

/** A database of countries in MaxMind's format, written for a test: https://maxmind.github.io/MaxMind-DB/ */
import { Buffer } from "node:buffer";
import { isIPv4 } from "node:net";
import ipaddr from "ipaddr.js";

type Value = string | number | { [name: string]: Value };

/** Type and size in one byte: every value here is short. */
function encode(value: Value): Buffer {
  if (typeof value === "string") return Buffer.concat([Buffer.of((2 << 5) | value.length), Buffer.from(value)]);
  if (typeof value === "number")
    return Buffer.concat([
      Buffer.of((6 << 5) | 4),
      Buffer.of((value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255),
    ]);
  const entries = Object.entries(value);
  return Buffer.concat([
    Buffer.of((7 << 5) | entries.length),
    ...entries.flatMap(([name, member]) => [encode(name), encode(member)]),
  ]);
}

type Node = [Node | string | null, Node | string | null];

/** Bits of a network in the IPv6 tree, where IPv4 stands under ::/96. */
function bitsOf(network: string): number[] {
  const [base = "", length = ""] = network.split("/");
  const bytes = isIPv4(base)
    ? [...new Array<number>(12).fill(0), ...ipaddr.parse(base).toByteArray()]
    : ipaddr.parse(base).toByteArray();
  const count = Number(length) + (isIPv4(base) ? 96 : 0);
  return Array.from({ length: count }, (_, at) => ((bytes[at >> 3] ?? 0) >> (7 - (at & 7))) & 1);
}

export function countryDatabase(networks: Readonly<Record<string, string>>): Buffer {
  const root: Node = [null, null];
  for (const [network, country] of Object.entries(networks)) {
    const bits = bitsOf(network);
    let node = root;
    for (const [index, bit] of bits.entries()) {
      if (index === bits.length - 1) node[bit] = country;
      else {
        const next = node[bit];
        const deeper: Node = typeof next === "object" && next !== null ? next : [null, null];
        node[bit] = deeper;
        node = deeper;
      }
    }
  }
  const nodes: Node[] = [root];
  for (const node of nodes)
    for (const child of node) if (typeof child === "object" && child !== null) nodes.push(child);
  const offsets = new Map<string, number>();
  const data: Buffer[] = [];
  let size = 0;
  for (const country of new Set(Object.values(networks))) {
    const entry = encode({ country: { iso_code: country } });
    offsets.set(country, size);
    data.push(entry);
    size += entry.length;
  }
  const record = (child: Node | string | null): number =>
    child === null
      ? nodes.length
      : typeof child === "string"
        ? nodes.length + 16 + (offsets.get(child) ?? 0)
        : nodes.indexOf(child);
  const tree = Buffer.alloc(nodes.length * 6);
  for (const [index, node] of nodes.entries()) {
    tree.writeUIntBE(record(node[0]), index * 6, 3);
    tree.writeUIntBE(record(node[1]), index * 6 + 3, 3);
  }
  const metadata = encode({
    node_count: nodes.length,
    record_size: 24,
    ip_version: 6,
    database_type: "test",
    binary_format_major_version: 2,
    binary_format_minor_version: 0,
    build_epoch: 0,
  });
  return Buffer.concat([tree, Buffer.alloc(16), ...data, Buffer.from("abcdef4d61784d696e642e636f6d", "hex"), metadata]);
}

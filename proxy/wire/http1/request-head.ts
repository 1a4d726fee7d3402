/** A request to a provider as bytes. */
import { Buffer } from "node:buffer";
import type { UpstreamRequest } from "../provider-wire.ts";
import { TextBytes } from "../text-bytes.ts";
import { addField } from "./fields.ts";

/** Fields that the connection sets itself. */
const ownFields: ReadonlySet<string> = new Set(["host", "connection", "content-length", "transfer-encoding", "expect"]);
const outOfPath = /[^\x21-\x7e\x80-\xff]/;

const isOwn = (name: string): boolean => ownFields.has(name) || ownFields.has(name.toLowerCase());

/** The request's body as bytes; null for none. */
export function bytesOf(body: UpstreamRequest["body"]): Uint8Array | null {
  if (typeof body === "string") return Buffer.from(body);
  return body instanceof Uint8Array ? body : null;
}

/** Starts of heads, as a connection's requests have few paths. */
const starts = new Map<string, Map<string, Buffer>>();
const maxStarts = 1_024;
const maxKeptLength = 256;

/** The request line and the connection's own fields. Throws if the path could be read as more than that. */
function startOf(method: UpstreamRequest["method"], path: string, host: string): Buffer {
  let ofHost = starts.get(host);
  if (ofHost === undefined) {
    if (starts.size >= maxStarts) starts.clear();
    starts.set(host, (ofHost = new Map()));
  }
  const cached = method === "POST" ? ofHost.get(path) : undefined;
  if (cached !== undefined) return cached;
  if (outOfPath.test(path)) throw new TypeError("the path has a character that is not allowed");
  const start = Buffer.from(`${method} ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: keep-alive\r\n`, "latin1");
  // Paths of other methods contain ids, so they are rarely repeated.
  if (method === "POST" && path.length <= maxKeptLength && ofHost.size < maxStarts) ofHost.set(path, start);
  return start;
}

const lengthStart = Buffer.from("content-length: ");
const lineEnd = Buffer.from("\r\n");
const text = new TextBytes();

/** Throws if a field or the path could be read as more than one. The bytes are valid until the next call. */
export function requestHead(
  { method, path, headers }: UpstreamRequest,
  host: string,
  bodyBytes: number | null,
): TextBytes {
  text.clear().raw(startOf(method, path, host));
  for (const name in headers) {
    const value = headers[name];
    if (value !== undefined && !isOwn(name)) addField(text, name, value);
  }
  if (bodyBytes !== null || method === "POST")
    text
      .raw(lengthStart)
      .number(bodyBytes ?? 0)
      .raw(lineEnd);
  return text.raw(lineEnd);
}

/** A request to a provider as bytes. */
import { Buffer } from "node:buffer";
import type { UpstreamRequest } from "../provider-wire.ts";
import { fieldLine } from "./fields.ts";

/** Fields that the connection sets itself. */
const ownFields: ReadonlySet<string> = new Set(["host", "connection", "content-length", "transfer-encoding", "expect"]);
const outOfPath = /[^\x21-\x7e\x80-\xff]/;

/** The request's body as bytes; null for none. */
export function bytesOf(body: UpstreamRequest["body"]): Uint8Array | null {
  if (typeof body === "string") return Buffer.from(body);
  return body instanceof Uint8Array ? body : null;
}

/** Throws if a field or the path could be read as more than one. */
export function requestHead(
  { method, path, headers }: UpstreamRequest,
  host: string,
  bodyBytes: number | null,
): string {
  if (outOfPath.test(path)) throw new TypeError("the path has a character that is not allowed");
  let text = `${method} ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: keep-alive\r\n`;
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined) continue;
    const line = fieldLine(name, value);
    if (!ownFields.has(name.toLowerCase())) text += line;
  }
  if (bodyBytes !== null || method === "POST") text += `content-length: ${bodyBytes ?? 0}\r\n`;
  return `${text}\r\n`;
}

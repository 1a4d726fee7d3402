/**
 * Messages of envoy.service.ext_proc.v3, as far as endpoint pickers use them: the Gateway API Inference Extension's
 * endpoint picker protocol, version 1.0.0. Numbers of fields are those of Envoy's API.
 */
import { Buffer } from "node:buffer";
import { lengthy, numberField, ProtobufReader, tag, textField, varint } from "../wire/protobuf.ts";

export const processPath = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";

/** Both the header and the key of the metadata that name the chosen servers. */
const destination = "x-gateway-destination-endpoint";

const latin1 = (value: string): string => Buffer.from(value, "utf8").toString("latin1");

/** HeaderValue, whose value is in `raw_value`, as Envoy sends it. */
const headerValue = (name: string, value: string): string => lengthy(1, textField(1, name) + lengthy(3, latin1(value)));

/** HttpHeaders */
const httpHeaders = (headers: Readonly<Record<string, string>>, isLast: boolean): string =>
  lengthy(
    1,
    Object.entries(headers)
      .map(([name, value]) => headerValue(name, value))
      .join(""),
  ) + (isLast ? numberField(3, 1) : "");

/** Metadata with one entry of a namespace. `value`: a Value. */
const metadata = (namespace: string, key: string, value: string): string => {
  const field = lengthy(1, textField(1, key) + lengthy(2, value));
  return lengthy(8, lengthy(1, textField(1, namespace) + lengthy(2, field)));
};

/** Bodies in pieces, which the picker returns in pieces; no bodies of answers. */
const protocol = lengthy(11, numberField(1, 4) + numberField(3, 1));

/** `among`: the servers to choose from; null for all of the pool. */
export function requestHeaders(headers: Readonly<Record<string, string>>, among: readonly string[] | null): Buffer {
  const values = (among ?? []).map((server) => lengthy(1, textField(3, server))).join("");
  const hint = among === null ? "" : metadata("envoy.lb.subset_hint", `${destination}-subset`, lengthy(6, values));
  return Buffer.from(lengthy(2, httpHeaders(headers, false)) + hint + protocol, "latin1");
}

/** A piece of the request's body. */
export function requestBody(piece: Uint8Array, isLast: boolean): Buffer {
  const end = isLast ? numberField(2, 1) : "";
  const before = tag(1, 2) + varint(piece.length);
  const head = tag(4, 2) + varint(before.length + piece.length + end.length) + before;
  return Buffer.concat([Buffer.from(head, "latin1"), piece, Buffer.from(end, "latin1")]);
}

/** The head of the answer, and the server that gave it. */
export function responseHeaders(headers: Readonly<Record<string, string>>, served: string): Buffer {
  const servedBy = metadata("envoy.lb", `${destination}-served`, textField(3, served));
  return Buffer.from(lengthy(3, httpHeaders(headers, false)) + servedBy, "latin1");
}

/** What a picker answers. */
export type Picked =
  | { kind: "servers"; servers: string[]; headers: Record<string, string> }
  | { kind: "refused"; status: number; body: Buffer };

type Field = bigint | Buffer;

/** The last value of each field; proto3 lets a later one replace an earlier one. */
function fieldsOf(bytes: Buffer): Map<number, Field> {
  const fields = new Map<number, Field>();
  new ProtobufReader(bytes).each((field, value) => fields.set(field, value));
  return fields;
}

const messageIn = (fields: ReadonlyMap<number, Field>, field: number): Buffer | null => {
  const value = fields.get(field);
  return value === undefined || typeof value === "bigint" ? null : value;
};

function insideOf(bytes: Buffer | null, ...path: readonly number[]): Buffer | null {
  let inside = bytes;
  for (const field of path) inside = inside === null ? null : messageIn(fieldsOf(inside), field);
  return inside;
}

/** HeaderMutation.set_headers, by lower-case name. */
function setHeaders(mutation: Buffer | null): Record<string, string> {
  const headers: Record<string, string> = {};
  if (mutation === null) return headers;
  new ProtobufReader(mutation).each((field, option) => {
    const header = field === 1 && typeof option !== "bigint" ? insideOf(option, 1) : null;
    if (header === null) return;
    const fields = fieldsOf(header);
    const name = messageIn(fields, 1)?.toString("utf8").toLowerCase() ?? "";
    if (name !== "") headers[name] = (messageIn(fields, 3) ?? messageIn(fields, 2))?.toString("utf8") ?? "";
  });
  return headers;
}

/** The text under a key of a Struct's member. */
function textAt(struct: Buffer | null, ...path: readonly string[]): string | null {
  let value: Buffer | null = null;
  let inside = struct;
  for (const key of path) {
    value = null;
    if (inside === null) return null;
    new ProtobufReader(inside).each((field, entry) => {
      if (field !== 1 || typeof entry === "bigint") return;
      const fields = fieldsOf(entry);
      if (messageIn(fields, 1)?.toString("utf8") === key) value = messageIn(fields, 2);
    });
    inside = insideOf(value, 5);
  }
  return insideOf(value, 3)?.toString("utf8") ?? null;
}

const listed = (servers: string): string[] =>
  servers
    .split(",")
    .map((server) => server.trim())
    .filter((server) => server !== "");

/** null if the message chooses nothing. Throws RangeError if it can't be read. */
export function pickedIn(message: Buffer): Picked | null {
  const fields = fieldsOf(message);
  const immediate = messageIn(fields, 7);
  if (immediate !== null) {
    const inside = fieldsOf(immediate);
    const code = fieldsOf(messageIn(inside, 1) ?? Buffer.alloc(0)).get(1);
    return {
      kind: "refused",
      status: typeof code === "bigint" ? Number(code) : 500,
      body: messageIn(inside, 3) ?? Buffer.alloc(0),
    };
  }
  // HeadersResponse and BodyResponse have the same fields.
  const response = messageIn(fields, 1) ?? messageIn(fields, 3);
  const headers = setHeaders(insideOf(response, 1, 2));
  const servers = headers[destination] ?? textAt(messageIn(fields, 8), "envoy.lb", destination);
  if (servers === null || servers === undefined) return null;
  delete headers[destination];
  return { kind: "servers", servers: listed(servers), headers };
}

/**
 * An endpoint picker as the Gateway API Inference Extension's protocol describes it: ext_proc over gRPC, with bodies in
 * full-duplex pieces. It reads messages by their field numbers in Envoy's API, and refuses what a picker refuses.
 */
import { createSecureServer, createServer, type Http2Server, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";

type Fields = Map<number, (bigint | Buffer)[]>;

function fieldsOf(bytes: Buffer): Fields {
  const fields: Fields = new Map();
  let next = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes.readUInt8(next++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (next < bytes.length) {
    const key = Number(varint());
    if ((key & 7) !== 0 && (key & 7) !== 2) throw new Error(`wire type ${key & 7}`);
    let value: bigint | Buffer = varint();
    if ((key & 7) === 2) {
      const end = next + Number(value);
      if (end > bytes.length) throw new Error("a field ends too late");
      value = bytes.subarray(next, end);
      next = end;
    }
    fields.set(key >>> 3, [...(fields.get(key >>> 3) ?? []), value]);
  }
  return fields;
}

function only(fields: Fields, ...known: number[]): Fields {
  for (const field of fields.keys()) if (!known.includes(field)) throw new Error(`unknown field ${field}`);
  return fields;
}
const bytesAt = (fields: Fields, field: number): Buffer =>
  (fields.get(field)?.[0] as Buffer | undefined) ?? Buffer.alloc(0);
const isSet = (fields: Fields, field: number): boolean => fields.get(field)?.[0] === 1n;

/** HttpHeaders: names in lower case, values as raw bytes, as Envoy sends them. */
function headersIn(message: Buffer): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const header of only(fieldsOf(bytesAt(only(fieldsOf(message), 1, 3), 1)), 1).get(1) ?? []) {
    const fields = only(fieldsOf(header as Buffer), 1, 3);
    const name = bytesAt(fields, 1).toString();
    if (name === "" || name !== name.toLowerCase()) throw new Error(`header ${name}`);
    headers[name] = bytesAt(fields, 3).toString();
  }
  return headers;
}

/** Metadata: namespace → key → the text or the texts. */
function metadataIn(message: Buffer): Record<string, Record<string, string | string[]>> {
  const all: Record<string, Record<string, string | string[]>> = {};
  for (const entry of only(fieldsOf(message), 1).get(1) ?? []) {
    const namespace = only(fieldsOf(entry as Buffer), 1, 2);
    const into: Record<string, string | string[]> = {};
    all[bytesAt(namespace, 1).toString()] = into;
    for (const member of only(fieldsOf(bytesAt(namespace, 2)), 1).get(1) ?? []) {
      const field = only(fieldsOf(member as Buffer), 1, 2);
      const value = only(fieldsOf(bytesAt(field, 2)), 3, 6);
      const list = value.get(6)?.[0] as Buffer | undefined;
      into[bytesAt(field, 1).toString()] =
        list === undefined
          ? bytesAt(value, 3).toString()
          : (only(fieldsOf(list), 1).get(1) ?? []).map((one) =>
              bytesAt(only(fieldsOf(one as Buffer), 3), 3).toString(),
            );
    }
  }
  return all;
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.from([...bytes, rest]);
}
const field = (number: number, content: Buffer | string): Buffer => {
  const bytes = Buffer.from(content);
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
};
const whole = (number: number, value: number): Buffer => Buffer.concat([varint(number * 8), varint(value)]);
const setHeader = (name: string, value: string): Buffer =>
  field(1, field(1, Buffer.concat([field(1, name), field(3, value)])));
const inStruct = (key: string, value: Buffer): Buffer => field(1, Buffer.concat([field(1, key), field(2, value)]));

const destination = "x-gateway-destination-endpoint";

/** What the picker was asked for one attempt. */
export interface Asked {
  headers: Record<string, string>;
  body: Record<string, unknown>;
  pieces: number;
  /** The servers that it must choose from; null for all. */
  among: string[] | null;
  /** Headers of the answer, and the server that gave it; null until then. */
  answered: { headers: Record<string, string>; served: string } | null;
  /** Whether the gateway ended its half of the stream. */
  ended: boolean;
}

export type PickerAnswer =
  | { servers: string; by?: "header" | "metadata"; headers?: Record<string, string> }
  | { status: number; body: string }
  | { grpcStatus: number }
  | { bytes: Buffer }
  | "silence"
  | "nothing";

export interface EndpointPicker {
  address: string;
  asked: Asked[];
  /** What it refused as no message of the protocol. */
  wrong: string[];
  answer(next: (asked: Asked) => PickerAnswer): void;
  /** Breaks all connections and takes no more. */
  close(): Promise<void>;
}

const framed = (message: Buffer): Buffer => {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
};

/** A picker returns the request's headers, and then its body in pieces of at most 62,000 bytes. */
function* choice(servers: string, by: string, headers: Record<string, string>, body: Buffer): Generator<Buffer> {
  const all = by === "header" ? { ...headers, [destination]: servers } : headers;
  const mutation = Buffer.concat(Object.entries(all).map(([name, value]) => setHeader(name, value)));
  const response = field(1, Buffer.concat([field(2, mutation), whole(5, 1)]));
  const metadata = field(8, inStruct("envoy.lb", field(5, inStruct(destination, field(3, servers)))));
  yield Buffer.concat([field(1, response), ...(by === "header" ? [] : [metadata])]);
  for (let from = 0; from < body.length; from += 62_000) {
    const piece = body.subarray(from, from + 62_000);
    const streamed = Buffer.concat([field(1, piece), whole(2, from + 62_000 >= body.length ? 1 : 0)]);
    yield field(3, field(1, field(3, field(3, streamed))));
  }
}

class Conversation {
  readonly #stream: ServerHttp2Stream;
  readonly #asked: Asked = { headers: {}, body: {}, pieces: 0, among: null, answered: null, ended: false };
  readonly #body: Buffer[] = [];
  #state: "headers" | "body" | "answer" | "over" = "headers";

  constructor(stream: ServerHttp2Stream) {
    this.#stream = stream;
  }

  take(message: Buffer, decide: (asked: Asked) => PickerAnswer): void {
    const fields = only(fieldsOf(message), 2, 3, 4, 8, 11);
    const asked = this.#asked;
    if (this.#state === "headers") {
      const protocol = only(fieldsOf(bytesAt(fields, 11)), 1, 3);
      if (protocol.get(1)?.[0] !== 4n || !isSet(protocol, 3)) throw new Error("bodies must be FULL_DUPLEX_STREAMED");
      if (!fields.has(2) || isSet(fieldsOf(bytesAt(fields, 2)), 3)) throw new Error("headers of a request come first");
      asked.headers = headersIn(bytesAt(fields, 2));
      const hint = metadataIn(bytesAt(fields, 8))["envoy.lb.subset_hint"];
      asked.among = (hint?.[`${destination}-subset`] as string[] | undefined) ?? null;
      this.#state = "body";
    } else if (this.#state === "body") {
      const body = only(fieldsOf(bytesAt(fields, 4)), 1, 2);
      if (!fields.has(4)) throw new Error("the body comes after the headers");
      this.#body.push(bytesAt(body, 1));
      asked.pieces++;
      if (!isSet(body, 2)) return;
      this.#state = "answer";
      asked.body = JSON.parse(Buffer.concat(this.#body).toString()) as Record<string, unknown>;
      if (typeof asked.body["model"] !== "string") throw new Error("model not found in request");
      this.#reply(decide(asked));
    } else if (this.#state === "answer" && fields.has(3)) {
      const served = metadataIn(bytesAt(fields, 8))["envoy.lb"]?.[`${destination}-served`];
      if (typeof served !== "string") throw new Error("the answer's server is missing");
      asked.answered = { headers: headersIn(bytesAt(fields, 3)), served };
      this.#state = "over";
      this.#stream.write(framed(field(2, Buffer.alloc(0))));
    } else throw new Error("an unexpected message");
  }

  get asked(): Asked {
    return this.#asked;
  }

  #reply(answer: PickerAnswer): void {
    const stream = this.#stream;
    if (answer === "silence") return;
    if (answer === "nothing") stream.end();
    else if ("grpcStatus" in answer) {
      stream.emit("status", answer.grpcStatus);
      stream.end();
    } else if ("bytes" in answer) stream.write(answer.bytes);
    else if ("status" in answer) {
      const immediate = Buffer.concat([field(1, whole(1, answer.status)), field(3, answer.body)]);
      stream.end(framed(field(7, immediate)));
    } else {
      const { servers, by = "metadata", headers = {} } = answer;
      for (const message of choice(servers, by, headers, Buffer.concat(this.#body))) stream.write(framed(message));
    }
  }
}

function converse(
  stream: ServerHttp2Stream,
  picker: Pick<EndpointPicker, "asked" | "wrong">,
  decide: () => (asked: Asked) => PickerAnswer,
): void {
  const conversation = new Conversation(stream);
  let status = 0;
  let held = Buffer.alloc(0);
  stream.on("error", () => undefined);
  stream.on("status", (code: number) => (status = code));
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": String(status) }));
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("data", (chunk: Buffer) => {
    held = Buffer.concat([held, chunk]);
    try {
      while (held.length >= 5 && held.length >= 5 + held.readUInt32BE(1)) {
        const end = 5 + held.readUInt32BE(1);
        if (held[0] !== 0 || end > 4_194_304) throw new Error("a message is compressed or too long");
        const message = held.subarray(5, end);
        held = held.subarray(end);
        conversation.take(message, (asked) => {
          picker.asked.push(asked);
          return decide()(asked);
        });
      }
    } catch (cause) {
      picker.wrong.push((cause as Error).message);
      status = 3;
      stream.end();
    }
  });
  stream.on("end", () => {
    conversation.asked.ended = true;
    if (!stream.writableEnded) stream.end();
  });
}

/** `tls`: a certificate and its key, PEM; absent: plaintext. */
export async function startEndpointPicker(
  first: (asked: Asked) => PickerAnswer,
  tls?: { cert: string; key: string },
): Promise<EndpointPicker> {
  let decide = first;
  const picker = { asked: [] as Asked[], wrong: [] as string[] };
  const server: Http2Server = tls === undefined ? createServer() : (createSecureServer(tls) as unknown as Http2Server);
  const sessions = new Set<{ destroy(): void }>();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
    session.on("error", () => undefined);
  });
  server.on("stream", (stream, headers) => {
    const { ":path": path, ":method": method, "content-type": type, te } = headers;
    const isCall =
      path === "/envoy.service.ext_proc.v3.ExternalProcessor/Process" && method === "POST" && te === "trailers";
    if (isCall && type === "application/grpc") converse(stream, picker, () => decide);
    else {
      picker.wrong.push(`${method} ${path}`);
      stream.respond({ ":status": 415 }, { endStream: true });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    ...picker,
    answer: (next) => void (decide = next),
    async close() {
      for (const session of sessions) session.destroy();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
    },
  };
}

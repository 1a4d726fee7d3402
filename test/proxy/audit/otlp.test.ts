/** Audit records on their way to a collector of OpenTelemetry, by TLS. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttp2Server, type Http2Server } from "node:http2";
import { createServer, type Server } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it, type TestContext } from "node:test";
import { OtlpSink } from "../../../proxy/audit/otlp.ts";
import { Outlet } from "../../../proxy/audit/outlet.ts";
import type { RefusedRecords } from "../../../proxy/audit/sink.ts";
import { systemClock } from "../../../proxy/clock.ts";
import { parseProxySettings } from "../../../proxy/settings.ts";
import { type Authority, certificateAuthority } from "../../harness/certificates.ts";

const line = `${JSON.stringify({ time: "2027-03-01T00:00:00.000Z", type: "call" })}\n`;

describe("a collector with a certificate of a private authority", () => {
  let ours: Authority;
  let other: Authority;
  let folder: string;
  let url: string;
  let server: Server;
  let taken = 0;
  const sockets = new Set<Socket>();

  before(async () => {
    [ours, other] = await Promise.all([certificateAuthority("Ours"), certificateAuthority("Other")]);
    folder = await mkdtemp(join(tmpdir(), "sluice-otlp-"));
    server = createServer(await ours.issue("127.0.0.1"), (request, response) => {
      sockets.add(request.socket);
      request.resume().on("end", () => {
        taken++;
        response.end("{}");
      });
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/v1/logs`;
  });
  after(async () => {
    server.close();
    await rm(folder, { recursive: true, force: true });
  });

  const fileOf = async (name: string, text: string): Promise<string> => {
    const path = join(folder, name);
    await writeFile(path, text);
    return path;
  };

  it("takes records where that is named, all on one connection", async () => {
    const sink = new OtlpSink({ url, ca: await fileOf("ours.crt", ours.cert) });
    const before = taken;
    for (let at = 0; at < 3; at++) await sink.write(line);
    await sink.close();
    assert.deepEqual([taken - before, sockets.size], [3, 1]);
  });

  for (const [name, ca] of [
    ["none is named", () => null],
    ["another is named", () => fileOf("other.crt", other.cert)],
  ] as const)
    it(`gets none where ${name}, and it is said why`, async () => {
      const sink = new OtlpSink({ url, ca: await ca() });
      const before = taken;
      await assert.rejects(sink.write(line), {
        message:
          "the collector is not reached: its certificate is signed by an unknown authority (tls_unknown_authority)",
      });
      await sink.close();
      assert.equal(taken, before);
    });

  it("takes records again once the file holds its new authority", async () => {
    const path = await fileOf("renewed.crt", other.cert);
    const sink = new OtlpSink({ url, ca: path });
    await assert.rejects(sink.write(line));
    await writeFile(path, ours.cert);
    await sink.write(line);
    await sink.close();
  });

  it("is no reason to start with a file that is not there, or with a URL that has no TLS", () => {
    assert.throws(() => new OtlpSink({ url, ca: join(folder, "none.crt") }), { code: "ENOENT" });
    const flags = ["--audit-otlp-url=http://collector:4318/v1/logs", "--audit-otlp-ca=/ca.crt"];
    assert.throws(
      () => parseProxySettings(flags, {}),
      /--audit-otlp-ca needs an --audit-otlp-url that begins with https/,
    );
    assert.throws(
      () => parseProxySettings(["--audit-otlp-url=http://c:4317/v1/logs", "--audit-otlp-protocol=grpc"], {}),
      /--audit-otlp-url must have no path with --audit-otlp-protocol grpc/,
    );
  });
});

describe("a collector that rejects some records", () => {
  const partial = {
    "http/json": JSON.stringify({ partialSuccess: { rejectedLogRecords: "1", errorMessage: "too old" } }),
    // ExportLogsServiceResponse { partial_success: { rejected_log_records: 1, error_message: "too old" } }
    protobuf: Buffer.from([0x0a, 0x0b, 0x08, 0x01, 0x12, 0x07, ...Buffer.from("too old")]),
  };
  const framed = Buffer.concat([Buffer.from([0, 0, 0, 0, partial.protobuf.length]), partial.protobuf]);

  async function listening(context: TestContext, isGrpc: boolean, answer: Buffer | string) {
    const bodies: Buffer[] = [];
    const types: string[] = [];
    const server = isGrpc ? createHttp2Server() : createHttpServer();
    if (isGrpc)
      (server as Http2Server).on("stream", (stream, headers) => {
        types.push(`${headers[":path"]} ${headers["content-type"]}`);
        stream.on("data", (chunk: Buffer) => bodies.push(chunk));
        stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
        stream.on("end", () => {
          stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
          stream.end(answer);
        });
      });
    else
      server.on("request", (request: IncomingMessage, response: ServerResponse) => {
        types.push(`${request.url} ${request.headers["content-type"]}`);
        request.on("data", (chunk: Buffer) => bodies.push(chunk));
        request.on("end", () => response.end(answer));
      });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    context.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    return { url: `http://127.0.0.1:${port}`, types, body: () => Buffer.concat(bodies) };
  }

  for (const [protocol, path, type, answer] of [
    ["http/json", "/v1/logs", "/v1/logs application/json", partial["http/json"]],
    ["http/protobuf", "/custom", "/custom application/x-protobuf", partial.protobuf],
    ["grpc", "", "/opentelemetry.proto.collector.logs.v1.LogsService/Export application/grpc", framed],
  ] as const)
    it(`is heard: ${protocol}`, async (context) => {
      const collector = await listening(context, protocol === "grpc", answer);
      const sink = new OtlpSink({ url: `${collector.url}${path}`, protocol });
      const refused: RefusedRecords[] = [];
      await sink.write(line, (what) => refused.push(what));
      await sink.close();
      assert.deepEqual(refused, [{ records: 1, why: "too old" }]);
      assert.deepEqual(collector.types, [type]);
      const text = collector.body().toString("latin1");
      for (const part of ["sluice.audit.call", "INFO", "sluice-proxy", "2027-03-01T00:00:00.000Z"])
        assert.ok(text.includes(part), part);
    });

  it("is counted, and nothing is sent again", async (context) => {
    const collector = await listening(context, false, partial["http/json"]);
    const sink = new OtlpSink({ url: `${collector.url}/v1/logs` });
    const figures = { records: 0, dropped: new Map<string, number>(), failures: new Map<string, number>() };
    const troubles: string[] = [];
    const outlet = new Outlet(
      sink,
      {
        ...systemClock,
        trouble: (_sink, cause) => void troubles.push(String(cause)),
        refused: (_sink, { records, why }) => void troubles.push(`${records}: ${why}`),
      },
      figures,
    );
    outlet.push(line, 1);
    assert.equal(await outlet.written(30_000), true);
    await outlet.close(1_000);
    assert.deepEqual([figures.dropped.get("otlp"), figures.failures.size], [1, 0]);
    assert.deepEqual([troubles, collector.types.length], [["1: too old"], 1]);
  });
});

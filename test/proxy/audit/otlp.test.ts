/** Audit records on their way to a collector of OpenTelemetry, by TLS. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { OtlpSink } from "../../../proxy/audit/otlp.ts";
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
    const sink = new OtlpSink(url, {}, await fileOf("ours.crt", ours.cert));
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
      const sink = new OtlpSink(url, {}, await ca());
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
    const sink = new OtlpSink(url, {}, path);
    await assert.rejects(sink.write(line));
    await writeFile(path, ours.cert);
    await sink.write(line);
    await sink.close();
  });

  it("is no reason to start with a file that is not there, or with a URL that has no TLS", () => {
    assert.throws(() => new OtlpSink(url, {}, join(folder, "none.crt")), { code: "ENOENT" });
    const flags = ["--audit-otlp-url=http://collector:4318/v1/logs", "--audit-otlp-ca=/ca.crt"];
    assert.throws(
      () => parseProxySettings(flags, {}),
      /--audit-otlp-ca needs an --audit-otlp-url that begins with https/,
    );
  });
});

/** A sidecar with a gateway whose TLS certificate has a private authority. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { FleetAuthority } from "../../proxy/sidecar/authority.ts";
import { type RunningSidecar, startSidecar } from "../../proxy/sidecar/main.ts";
import { parseSidecarSettings } from "../../proxy/sidecar/settings.ts";
import { createLogger } from "../../proxy/telemetry/log.ts";
import { type Authority, certificateAuthority } from "../harness/certificates.ts";
import { removeFolder, temporaryFolder } from "../harness/child.ts";

const quiet = createLogger("silent", "test");

describe("a sidecar in front of a gateway with a private authority", () => {
  let folder: string;
  let authority: Authority;
  let other: Authority;
  let gateway: Server;
  let fleet: string;
  const running: RunningSidecar[] = [];
  before(async () => {
    folder = await temporaryFolder("sidecar-tls");
    [authority, other] = await Promise.all([certificateAuthority(), certificateAuthority("Another CA")]);
    gateway = createServer(await authority.issue("localhost"), (request, response) => {
      response.end(JSON.stringify({ authorization: request.headers.authorization }));
    });
    gateway.listen(0, "127.0.0.1");
    await once(gateway, "listening");
    fleet = `https://localhost:${(gateway.address() as AddressInfo).port}`;
    await writeFile(join(folder, "token"), "a.b.c");
  });
  after(async () => {
    await Promise.all(running.map((sidecar) => sidecar.close()));
    gateway?.close();
    await removeFolder(folder);
  });

  const start = async (pem: string | null): Promise<RunningSidecar> => {
    const flags = [`--fleet=${fleet}`, "--port=0", "--status-port=0", `--token-file=${join(folder, "token")}`];
    if (pem !== null) {
      await writeFile(join(folder, "ca.crt"), pem);
      flags.push(`--ca-file=${join(folder, "ca.crt")}`, "--attempts=1");
    }
    const sidecar = await startSidecar(parseSidecarSettings(flags, {}), quiet);
    running.push(sidecar);
    return sidecar;
  };

  it("reaches it with the authority in --ca-file", async () => {
    const { url } = await start(authority.cert);
    assert.deepEqual(await (await fetch(`${url}/v1/models`)).json(), { authorization: "Bearer a.b.c" });
  });

  it("sends it nothing with another authority, or with the system's", async () => {
    for (const pem of [other.cert, null]) {
      const { url } = await start(pem);
      const answer = await fetch(`${url}/v1/models`);
      assert.equal(answer.status, 502);
      assert.equal(((await answer.json()) as { error: { code: string } }).error.code, "gateway_unreachable");
    }
  });

  for (const [what, text] of [
    ["an empty file", ""],
    ["a file that is no certificate", "hello"],
    [
      "a certificate that can't be read",
      "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----",
    ],
  ] as const)
    it(`does not start with ${what}`, async () => {
      await assert.rejects(start(text), /--ca-file .*must be PEM certificates/);
    });

  it("uses a renewed authority, and keeps the last good one when the file breaks", async () => {
    const file = join(folder, "renewed.crt");
    await writeFile(file, authority.cert);
    let nowMs = 0;
    const rejected: unknown[] = [];
    const kept = await FleetAuthority.read(
      file,
      () => nowMs,
      (cause) => rejected.push(cause),
    );
    await writeFile(file, `${authority.cert}\n${other.cert}`);
    nowMs += 60_000;
    assert.equal(await kept.current(), `${authority.cert}\n${other.cert}`);
    await writeFile(file, "");
    nowMs += 60_000;
    assert.equal(await kept.current(), `${authority.cert}\n${other.cert}`);
    assert.equal(rejected.length, 1);
  });
});

/** Edge cases of client certificates: invalid bundles, revocation, and sessions that outlive a certificate. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { request } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect, createServer, type TLSSocket } from "node:tls";
import { promisify } from "node:util";
import { pino } from "pino";
import { Registry } from "prom-client";
import { watchClients } from "../../proxy/client-certificates.ts";
import { readTls } from "../../proxy/wire/tls.ts";
import { type Authority, certificateAuthority, type Pair } from "../harness/certificates.ts";
import { eventually, key, startGateway, type TestGateway } from "../harness/gateway.ts";

const run = promisify(execFile);
const openssl = await run("openssl", ["version"]).then(
  () => false as const,
  () => "openssl is not installed" as const,
);
const alice = "slc_tls_clients_alice_0001";

describe("certificates of clients", () => {
  let authority: Authority;
  let others: Authority;
  let dir: string;
  let client: Pair;
  const path = (name: string): string => join(dir, name);

  before(async () => {
    authority = await certificateAuthority();
    others = await certificateAuthority("Others");
    client = await authority.issue("client");
    dir = await mkdtemp(join(tmpdir(), "sluice-clients-"));
    const pair = await authority.issue("127.0.0.1", "localhost");
    await Promise.all([
      writeFile(path("tls.crt"), pair.cert),
      writeFile(path("tls.key"), pair.key),
      writeFile(path("ca.crt"), authority.cert),
    ]);
  });
  after(() => rm(dir, { recursive: true, force: true }));

  const gateway = async (...more: string[]): Promise<TestGateway> => {
    const started = await startGateway(key("alice", alice), [
      `--tls-cert=${path("tls.crt")}`,
      `--tls-key=${path("tls.key")}`,
      `--tls-client-ca=${path("ca.crt")}`,
      "--poll-ms=50",
      ...more,
    ]);
    after(() => started.close());
    return started;
  };
  /** The status, or why there is none. */
  const models = (url: string, pair: Partial<Pair> = {}): Promise<number | string> =>
    new Promise((resolve) => {
      const headers = { authorization: `Bearer ${alice}` };
      const call = request(`${url}/v1/models`, { headers, ca: authority.cert, agent: false, ...pair }, (response) => {
        response.resume();
        response.on("end", () => resolve(response.statusCode ?? 0));
      });
      call.on("error", (cause: { code?: string }) => resolve(cause.code ?? "error"));
      call.end();
    });
  const broken = (): [string, string][] => [
    ["an empty file", ""],
    ["blanks", " \n\n"],
    ["no PEM", "not a pem"],
    ["a key", client.key],
    ["a broken certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"],
    [
      "a good certificate and a broken one",
      `${authority.cert}\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`,
    ],
    ["half a certificate", authority.cert.slice(0, authority.cert.length / 2)],
  ];

  it("need valid authorities: without them the listener doesn't start", async () => {
    for (const [what, text] of broken()) {
      await writeFile(path("bad.crt"), text);
      const files = {
        cert: path("tls.crt"),
        key: path("tls.key"),
        clientCa: path("bad.crt"),
        clientCrl: "",
        clientAuth: "Required",
      } as const;
      await assert.rejects(readTls(files), /bad\.crt/, what);
    }
  });

  it("are still checked against the last valid authorities when the file becomes invalid", async () => {
    const started = await gateway();
    const stranger = await others.issue("client");
    // Each fault has its own message, which is logged once.
    for (const [what, text] of broken().filter((_, index) => [0, 3, 4].includes(index))) {
      const failures = (): number =>
        started.logs.filter((line) => line["msg"] === "certificate not loaded; the old one stays in use").length;
      const earlier = failures();
      await writeFile(path("ca.crt"), text);
      await eventually(() => failures() > earlier);
      assert.equal(await models(started.url, client), 200, what);
      assert.notEqual(await models(started.url, stranger), 200, what);
    }
    await writeFile(path("ca.crt"), authority.cert);
    assert.match(await started.metrics(), /sluice_tls_reload_failures_total [1-9]/);
    await started.close();
  });

  it("that are refused are logged and counted, with the reason", async () => {
    const started = await gateway();
    const refused = async (pair: Partial<Pair>, reason: string): Promise<void> => {
      assert.notEqual(await models(started.url, pair), 200);
      await eventually(async () =>
        (await started.metrics()).includes(`sluice_tls_client_refused_total{reason="${reason}"} 1`),
      );
    };
    await refused({}, "no_certificate");
    await refused(await others.issue("client"), "unknown_authority");
    await refused(await authority.issueExpired("client"), "expired");
    const line = started.logs.find((log) => log["msg"] === "client certificate refused");
    assert.ok(line !== undefined && typeof line["address"] === "string");
    assert.equal(await models(started.url, client), 200);
    await started.close();
  });

  it("are unaffected when an expired listener certificate would replace a valid one", async () => {
    const started = await gateway();
    const expired = await authority.issueExpired("127.0.0.1", "localhost");
    const [cert, privateKey] = await Promise.all([
      readFile(path("tls.crt"), "utf8"),
      readFile(path("tls.key"), "utf8"),
    ]);
    await writeFile(path("tls.crt"), expired.cert);
    await writeFile(path("tls.key"), expired.key);
    await eventually(() => started.logs.some((line) => /expired at/.test(String(line["err"]))));
    assert.equal(await models(started.url, client), 200);
    await writeFile(path("tls.crt"), cert);
    await writeFile(path("tls.key"), privateKey);
    await started.close();
  });

  for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const)
    it(`are not outlived by a resumed session, with ${maxVersion}`, async () => {
      const clock = { now: Date.now() };
      const registry = new Registry();
      const { options } = await readTls({
        cert: path("tls.crt"),
        key: path("tls.key"),
        clientCa: path("ca.crt"),
        clientCrl: "",
        clientAuth: "Required",
      });
      const server = createServer({ ...options, maxVersion }, (socket) => {
        if (!socket.destroyed) socket.end("in");
      });
      watchClients(server, {
        required: true,
        nowMs: () => clock.now,
        log: pino({ level: "silent" }),
        registry,
        denied: () => undefined,
      });
      await once(server.listen(0, "127.0.0.1"), "listening");
      after(() => server.close());
      const { port } = server.address() as AddressInfo;
      const enter = (session?: Buffer): Promise<{ said: string; session: Buffer | undefined; reused: boolean }> =>
        new Promise((resolve) => {
          let latest: Buffer | undefined;
          let said = "";
          const ticket = session === undefined ? client : { session };
          const socket: TLSSocket = connect({ port, host: "127.0.0.1", ca: authority.cert, ...ticket });
          let reused = false;
          socket.on("secureConnect", () => (reused = socket.isSessionReused()));
          socket.on("session", (one: Buffer) => (latest = one));
          socket.on("data", (data: Buffer) => (said += data.toString()));
          socket.on("error", () => undefined);
          socket.on("close", () => resolve({ said, session: latest, reused }));
        });
      const first = await enter();
      assert.equal(first.said, "in");
      assert.ok(first.session);
      const again = await enter(first.session);
      assert.deepEqual([again.said, again.reused], ["in", true]);
      clock.now += 3 * 86_400_000;
      const late = await enter(again.session ?? first.session);
      assert.equal(late.said, "");
      assert.match(await registry.metrics(), /sluice_tls_client_refused_total\{reason="expired"\} 1/);
    });

  it("can be revoked by a list, which is read again when it changes", { skip: openssl }, async () => {
    const config = path("openssl.cnf");
    await writeFile(
      config,
      `[ca]\ndefault_ca=d\n[d]\ndatabase=${path("index.txt")}\ncrlnumber=${path("crlnumber")}\ndefault_md=sha256\ndefault_crl_days=1\n[req]\ndistinguished_name=n\n[n]\n`,
    );
    await Promise.all([writeFile(path("index.txt"), ""), writeFile(path("crlnumber"), "01\n")]);
    const make = (name: string, ...more: string[]): Promise<unknown> =>
      run("openssl", [
        ...["req", "-x509", "-config", config, "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", `/CN=${name}`],
        ...["-keyout", path(`${name}.key`), "-out", path(`${name}.crt`), ...more],
      ]);
    await make("signer", "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign,cRLSign");
    const signer = ["-CA", path("signer.crt"), "-CAkey", path("signer.key"), "-addext", "basicConstraints=CA:FALSE"];
    const pairOf = async (name: string): Promise<Pair> => {
      await make(name, ...signer);
      const [cert, secret] = await Promise.all([
        readFile(path(`${name}.crt`), "utf8"),
        readFile(path(`${name}.key`), "utf8"),
      ]);
      return { cert, key: secret };
    };
    const [revoked, another] = [await pairOf("revoked"), await pairOf("another")];
    const ca = ["ca", "-config", config, "-keyfile", path("signer.key"), "-cert", path("signer.crt")];
    const list = (): Promise<unknown> => run("openssl", [...ca, "-gencrl", "-out", path("crl.pem")]);
    await list();
    const started = await gateway(`--tls-client-ca=${path("signer.crt")}`, `--tls-client-crl=${path("crl.pem")}`);
    assert.equal(await models(started.url, revoked), 200);
    await run("openssl", [...ca, "-revoke", path("revoked.crt")]);
    await list();
    await eventually(async () => (await models(started.url, revoked)) !== 200);
    assert.equal(await models(started.url, another), 200);
    assert.match(await started.metrics(), /sluice_tls_client_refused_total\{reason="revoked"\} [1-9]/);
    await writeFile(path("crl.pem"), "");
    await eventually(() => started.logs.some((line) => /no certificate revocation list/.test(String(line["err"]))));
    assert.notEqual(await models(started.url, revoked), 200, "an empty file doesn't give it back");
    await started.close();
  });
});

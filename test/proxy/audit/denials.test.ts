/** What is turned away before it is a call: in the chain, counted, and bounded. */
import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { connect } from "node:tls";
import { type Denial, Denials } from "../../../proxy/audit/denials.ts";
import { certificateAuthority } from "../../harness/certificates.ts";
import { removeFolder, temporaryFolder } from "../../harness/child.ts";
import { startGateway } from "../../harness/gateway.ts";
import { until } from "../../harness/until.ts";

type Written = Record<string, unknown>;

async function recordsIn(folder: string): Promise<Written[]> {
  const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith(".jsonl"));
  const texts = await Promise.all(files.map((name) => readFile(join(folder, name), "utf8")));
  return texts
    .flatMap((text) => text.split("\n"))
    .filter((line) => line.includes('"type":"denied"'))
    .map((line) => JSON.parse(line) as Written);
}

describe("denied attempts in the audit log", () => {
  it("are those with a wrong token at the status port", async (context) => {
    const folder = await temporaryFolder("audit");
    const gateway = await startGateway([], ["--status-host=0.0.0.0", `--audit-dir=${folder}`]);
    context.after(async () => {
      await gateway.close();
      removeFolder(folder);
    });
    const url = gateway.statusUrl.replace("0.0.0.0", "127.0.0.1");
    await fetch(`${url}/usage?from=secret`, { headers: { authorization: "Bearer sst_guess" } });
    await fetch(`${url}/budgets`);
    const records = await until("both are there", async () => {
      const found = await recordsIn(folder);
      assert.equal(found.length, 2);
      return found;
    });
    assert.deepEqual(
      records.map(({ what, reason, address, path, count }) => [what, reason, address, path, count]),
      [
        ["status_token", "wrong_token", "127.0.0.1", "/usage", 1],
        ["status_token", "missing_token", "127.0.0.1", "/budgets", 1],
      ],
    );
    assert.ok(!JSON.stringify(records).includes("sst_guess") && !JSON.stringify(records).includes("secret"));
  });

  it("are those with a client certificate of another authority", async (context) => {
    const folder = await temporaryFolder("audit");
    const [own, others] = [await certificateAuthority(), await certificateAuthority("Others")];
    const pair = await own.issue("127.0.0.1");
    const path = (name: string): string => join(folder, name);
    await Promise.all([
      writeFile(path("tls.crt"), pair.cert),
      writeFile(path("tls.key"), pair.key),
      writeFile(path("ca.crt"), own.cert),
    ]);
    const gateway = await startGateway(
      [],
      [
        `--tls-cert=${path("tls.crt")}`,
        `--tls-key=${path("tls.key")}`,
        `--tls-client-ca=${path("ca.crt")}`,
        `--audit-dir=${path("records")}`,
      ],
    );
    context.after(async () => {
      await gateway.close();
      removeFolder(folder);
    });
    const socket = connect({
      port: Number(new URL(gateway.url).port),
      host: "127.0.0.1",
      ca: own.cert,
      ...(await others.issue("mallory")),
    });
    socket.on("error", () => undefined);
    socket.resume();
    await new Promise((resolve) => socket.on("close", resolve));
    const [record] = await until("it is there", async () => {
      const found = await recordsIn(path("records"));
      assert.equal(found.length, 1);
      return found;
    });
    assert.equal(record?.["what"], "client_certificate");
    assert.equal(record?.["reason"], "unknown_authority");
    assert.match(String(record?.["address"]), /127\.0\.0\.1$/);
  });

  it("are one record a second of each kind and reason, and none is left uncounted", () => {
    const written: string[] = [];
    const due: (() => void)[] = [];
    const denials = new Denials(
      (members) => written.push(members),
      (_ms, then) => {
        due.push(then);
        return () => undefined;
      },
    );
    const denial = (reason: string, address: string): Denial => ({ what: "status_token", reason, address });
    for (let at = 0; at < 1_000; at++) denials.add(denial("wrong_token", `10.0.0.${at % 256}`));
    denials.add(denial("missing_token", "10.1.0.1"));
    assert.equal(written.length, 2);
    for (const then of due.splice(0)) then();
    assert.equal(written.length, 3);
    assert.match(written[2] ?? "", /"reason":"wrong_token","address":"10\.0\.0\.231","count":999$/);
    // The other kind had none since, so that its next is written at once.
    denials.add(denial("missing_token", "10.1.0.2"));
    assert.match(written[3] ?? "", /"address":"10\.1\.0\.2","count":1$/);
    denials.add(denial("wrong_token", "10.0.0.9"));
    denials.flush();
    assert.match(written[4] ?? "", /"address":"10\.0\.0\.9","count":1$/);
    denials.flush();
    assert.equal(written.length, 5);
  });
});

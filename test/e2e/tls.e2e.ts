/** TLS on the Service: the certificate is renewed as cert-manager does, while calls are under way. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type Authority, certificateAuthority, type Pair } from "../harness/certificates.ts";
import { until } from "../harness/until.ts";
import { type Installation, startInstallation, system } from "./installation.ts";

const host = `sluice.${system}.svc.cluster.local`;

describe("a certificate that is renewed", () => {
  let release: Installation;
  let authority: Authority;
  let folder: string;
  const caFile = (): string => join(folder, "ca.crt");
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "sluice-tls-"));
    authority = await certificateAuthority();
    await writeFile(caFile(), authority.cert);
    ({ release } = await startInstallation());
  });
  after(async () => {
    await release?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const writeSecret = async (pair: Pair): Promise<void> => {
    const stringData = { "tls.crt": pair.cert, "tls.key": pair.key, "ca.crt": authority.cert };
    const metadata = { name: "sluice-tls", namespace: system };
    await release.node.apply(
      JSON.stringify({ apiVersion: "v1", kind: "Secret", metadata, type: "kubernetes.io/tls", stringData }),
    );
  };
  /** Serial number of the certificate that is served at an address. */
  const servedAt = async (address: string): Promise<string> => {
    const options = ["-connect", address, "-servername", host, "-CAfile", caFile(), "-verify_return_error"];
    const shown = await release.node.mustWith({ input: "" }, "openssl", "s_client", ...options);
    const pem = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/.exec(shown)?.[0] ?? "";
    return new X509Certificate(pem).serialNumber;
  };
  const servedByAll = async (): Promise<string[]> =>
    Promise.all((await release.pods("proxy")).map(({ ip }) => servedAt(`${ip}:8080`)));

  it("is served by every proxy within two minutes, and no call fails", async () => {
    const [first, second] = [await authority.issue(host), await authority.issue(host)];
    const serialOf = ({ cert }: Pair): string => new X509Certificate(cert).serialNumber;
    await writeSecret(first);
    await release.helm(
      "install",
      "operator.privateEndpointNamespaces={team-a}",
      "proxy.tls.secretName=sluice-tls",
      "service.port=443",
    );
    await release.applyTenant();
    assert.deepEqual(await servedByAll(), [serialOf(first), serialOf(first)]);
    const options = { url: `https://${host}`, caFile: caFile() };
    const ready = async (): Promise<void> => {
      const { ok } = await (await release.startLoad(1, "fresh", 1, 50, options))();
      assert.ok(ok > 0);
    };
    await until("calls are answered", ready);

    const renew = async (): Promise<void> => {
      await writeSecret(second);
      await until(
        "every proxy serves the new certificate",
        async () => assert.deepEqual(await servedByAll(), [serialOf(second), serialOf(second)]),
        120_000,
        1_000,
      );
      for (let connection = 0; connection < 20; connection++)
        assert.equal(await servedAt(`${host}:443`), serialOf(second));
    };
    const results = await release.loadDuring(renew, { kept: 6, stream: 6, fresh: 2 }, options);
    assert.deepEqual(
      results.flatMap(({ failures }) => failures),
      [],
    );
    assert.ok(results.every(({ ok }) => ok > 0));
    const url = await release.node.kubectl("-n", "team-a", "get", "secret", "alice-llm-key", "-o", "json");
    const { data } = JSON.parse(url);
    assert.equal(Buffer.from(data.baseURL, "base64").toString(), `https://sluice.${system}.svc/v1`);
  });
});

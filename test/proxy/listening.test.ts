/** The addresses that the ports listen on. */
import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import { describe, it } from "node:test";
import { operatorSettings } from "../../operator/settings/settings.ts";
import { onHost } from "../../proxy/config/listen-host.ts";
import { parseProxySettings } from "../../proxy/settings.ts";
import { parseSidecarSettings } from "../../proxy/sidecar/settings.ts";

const hasIPv6 = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ family }) => family === "IPv6"),
);

const listening = (server: Server, host: string): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once("error", reject).listen(0, host, resolve);
  });

describe("the default address", () => {
  it("is all addresses for ports that the cluster reaches, and loopback for the sidecar's own", () => {
    const proxy = parseProxySettings([], {});
    const sidecar = parseSidecarSettings(["--fleet=http://a"], {});
    const operator = operatorSettings.parse({ namespace: "sluice-system" });
    assert.deepEqual(
      [proxy.host, proxy.statusHost, operator.statusHost, sidecar.statusHost, sidecar.host],
      ["::", "::", "::", "::", "127.0.0.1"],
    );
  });

  it("is reachable over IPv4 and IPv6", { skip: hasIPv6 ? false : "this machine has no IPv6" }, async (context) => {
    const server = createServer((_request, response) => response.end("ok"));
    context.after(() => server.close());
    await onHost("::", (host) => listening(server, host));
    const { port } = server.address() as AddressInfo;
    for (const host of ["127.0.0.1", "[::1]"])
      assert.equal(await (await fetch(`http://${host}:${port}`, { headers: { connection: "close" } })).text(), "ok");
  });

  const failing = (code: string) => async (host: string) => {
    if (host === "::") throw Object.assign(new Error(code), { code });
  };
  for (const code of ["EAFNOSUPPORT", "EADDRNOTAVAIL"])
    it(`is IPv4 if the kernel has no IPv6 (${code})`, async () => {
      const tried: string[] = [];
      await onHost("::", (host) => {
        tried.push(host);
        return failing(code)(host);
      });
      assert.deepEqual(tried, ["::", "0.0.0.0"]);
    });

  it("does not hide that a port is in use, or that a configured address doesn't exist", async () => {
    await assert.rejects(onHost("::", failing("EADDRINUSE")), /EADDRINUSE/);
    const elsewhere = (): Promise<never> => Promise.reject(Object.assign(new Error("no"), { code: "EADDRNOTAVAIL" }));
    await assert.rejects(onHost("fd00::1", elsewhere), /no/);
  });
});

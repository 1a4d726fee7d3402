/** TLS to the store: authorities and certificates that change, and why a connection is refused. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { createServer, type Server } from "node:tls";
import { connectRedis } from "../../../proxy/fleet/redis-client.ts";
import { type Authority, certificateAuthority, type Pair } from "../../harness/certificates.ts";
import { eventually } from "../../harness/gateway.ts";

describe("TLS to the store", () => {
  let dir: string;
  let authority: Authority;
  let others: Authority;
  let client: Pair;
  let server: Server;
  let authorized = 0;
  const path = (name: string): string => join(dir, name);

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), "sluice-redis-tls-"));
    [authority, others] = [await certificateAuthority(), await certificateAuthority("Others")];
    client = await authority.issue("sluice");
    const { cert, key } = await authority.issue("127.0.0.1", "localhost");
    // As Redis by default (tls-auth-clients yes).
    server = createServer({ cert, key, ca: authority.cert, requestCert: true, rejectUnauthorized: true }, (socket) => {
      authorized++;
      socket.destroy();
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
  });
  after(async () => {
    server.close();
    await rm(dir, { recursive: true, force: true });
  });

  it("reads authorities and the proxy's own certificate again for each connection, and says what was wrong", async () => {
    const causes: string[] = [];
    await Promise.all([
      writeFile(path("ca.crt"), others.cert),
      writeFile(path("tls.crt"), client.cert),
      writeFile(path("tls.key"), client.key),
    ]);
    const { port } = server.address() as AddressInfo;
    const files = { ca: path("ca.crt"), cert: path("tls.crt"), key: path("tls.key") };
    const store = connectRedis(`rediss://localhost:${port}`, null, files, (cause) => {
      if (cause !== null) causes.push(`${(cause as { code?: string }).code ?? ""} ${cause.message}`);
    });
    after(() => store.disconnect());
    await eventually(() => causes.some((cause) => /certificate|SIGNATURE|ISSUER/i.test(cause)));
    assert.equal(authorized, 0);
    await writeFile(path("ca.crt"), "");
    await eventually(() => causes.some((cause) => /ca\.crt/.test(cause)), 15_000);
    assert.equal(authorized, 0, "an empty file doesn't open the connection to every authority");
    await writeFile(path("ca.crt"), authority.cert);
    await eventually(() => authorized > 0);
  });

  it("does not begin with files that it can't use", async () => {
    await writeFile(path("empty.crt"), "");
    assert.throws(() => connectRedis("rediss://localhost:1", null, path("empty.crt")), /empty\.crt/);
    assert.throws(() => connectRedis("rediss://localhost:1", null, path("none.crt")), /ENOENT/);
  });
});

/** Calls to providers through an egress proxy that wants credentials, refuses, is slow, or breaks off. */
import assert from "node:assert/strict";
import dns from "node:dns/promises";
import { createServer, type Server } from "node:https";
import { syncBuiltinESMExports } from "node:module";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { after, afterEach, before, beforeEach, describe, it, mock } from "node:test";
import { egressOf } from "../../../proxy/config/egress/egress.ts";
import { causeOf } from "../../../proxy/wire/causes.ts";
import type { Http1Choice } from "../../../proxy/wire/connection-pool.ts";
import { type UpstreamErrorKind, type UpstreamRequest, Upstreams } from "../../../proxy/wire/upstream.ts";
import type { UpstreamAddress } from "../../../proxy/wire/upstream-address.ts";
import { type Authority, certificateAuthority, type Pair } from "../../harness/certificates.ts";
import { type ConnectProxy, type ProxyMood, startConnectProxy } from "../../harness/connect-proxy.ts";
import { until } from "../../harness/until.ts";

const password = "s3cret:/ä";

interface Outcome {
  status: number;
  body: string;
  end: "end" | UpstreamErrorKind;
  cause: string | null;
  error: string;
}

function ask(
  upstreams: Upstreams,
  address: UpstreamAddress,
  body: UpstreamRequest["body"] = "{}",
  begun: () => void = () => undefined,
): Promise<Outcome> {
  const outcome = { status: 0, body: "", cause: null as string | null, error: "" };
  return new Promise((resolve) => {
    upstreams.send(
      address,
      { method: "POST", path: "/v1/chat", headers: { authorization: "Bearer of-the-provider" }, body },
      {
        head(status) {
          outcome.status = status;
          begun();
        },
        data(chunk) {
          outcome.body += chunk.toString();
          return true;
        },
        end: () => resolve({ ...outcome, end: "end" }),
        error: (end, thrown) =>
          resolve({ ...outcome, end, cause: causeOf(thrown, outcome.status > 0), error: String(thrown) }),
      },
    );
  });
}

describe("the egress proxy", () => {
  let authority: Authority;
  let pair: Pair;
  let model: Server;
  let proxy: ConnectProxy;
  let upstreams: Upstreams;
  let seen: { path: string | undefined; headers: NodeJS.Dict<string | string[]>; body: string }[] = [];
  let resolved: Record<string, string | "late" | Error> = {};
  const connections = new Set<unknown>();

  before(async () => {
    authority = await certificateAuthority();
    pair = await authority.issue("api.example.test", "203.0.113.7");
    model = createServer(pair, (request, response) => {
      connections.add(request.socket);
      let body = "";
      request.on("data", (part) => {
        body += part;
      });
      request.on("end", () => {
        seen.push({ path: request.url, headers: request.headers, body });
        if (body === '"stream"') response.write("first");
        else response.end("answer");
      });
    }).listen(0, "127.0.0.1");
    const { port } = await new Promise<AddressInfo>((resolve) =>
      model.once("listening", () => resolve(model.address() as AddressInfo)),
    );
    proxy = await startConnectProxy({
      routes: { "api.example.test:443": port, "api.example.test:8443": port, "203.0.113.7:443": port },
      user: "gate way",
      password,
    });
    mock.method(dns, "lookup", async (name: string) => {
      const answer = resolved[name] ?? new Error("ENOTFOUND");
      if (answer === "late") return new Promise(() => undefined);
      if (answer instanceof Error) throw answer;
      return [{ address: answer, family: answer.includes(":") ? 6 : 4 }];
    });
    syncBuiltinESMExports();
  });
  beforeEach(() => {
    proxy.mood = "working";
    proxy.asked.length = 0;
    seen = [];
    resolved = {};
    connections.clear();
    start("Own");
  });
  afterEach(() => {
    upstreams.close();
    assert.deepEqual(proxy.complaints, []);
  });
  after(async () => {
    mock.restoreAll();
    syncBuiltinESMExports();
    model?.close();
    model?.closeAllConnections();
    await proxy?.close();
  });

  const start = (http1: Http1Choice, more: Record<string, string> = {}): void => {
    upstreams?.close();
    const env = {
      HTTPS_PROXY: `http://gate%20way:${encodeURIComponent(password)}@localhost:${proxy.port}`,
      ...more,
    };
    upstreams = new Upstreams(http1, egressOf(env));
  };
  const at = (origin = "https://api.example.test", more: Partial<UpstreamAddress> = {}): UpstreamAddress => ({
    origin,
    allowPrivate: false,
    connectMs: 20_000,
    writeMs: 20_000,
    tls: { ca: authority.cert, serverName: null, client: null },
    ...more,
  });

  const clients = ["Own", "Node"] as const;
  for (const http1 of clients) {
    it(`${http1}: carries calls on kept connections, and the provider sees nothing of the proxy`, async () => {
      start(http1);
      const address = at();
      for (let call = 0; call < 3; call++)
        assert.deepEqual(await ask(upstreams, address, `{"call":${call}}`), {
          status: 200,
          body: "answer",
          end: "end",
          cause: null,
          error: "",
        });
      assert.deepEqual(proxy.asked, ["api.example.test:443"]);
      assert.equal(connections.size, 1);
      assert.deepEqual(
        seen.map(({ path, body }) => [path, body]),
        [0, 1, 2].map((call) => ["/v1/chat", `{"call":${call}}`]),
      );
      for (const { headers } of seen) {
        assert.equal(headers["host"], "api.example.test");
        assert.equal(headers["authorization"], "Bearer of-the-provider");
        assert.ok(!Object.keys(headers).some((name) => name.startsWith("proxy-")));
      }
    });

    it(`${http1}: carries large bodies both ways`, async () => {
      start(http1);
      const text = "x".repeat(3_000_000);
      assert.equal((await ask(upstreams, at(), text)).end, "end");
      assert.equal(seen[0]?.body.length, text.length);
    });

    const failures: readonly (readonly [string, ProxyMood, UpstreamErrorKind, string])[] = [
      ["refuses", 403, "connect", "proxy_refused"],
      ["can't reach the provider", 503, "connect", "proxy_no_route"],
      ["closes without an answer", "broken", "connect", "proxy_broke"],
      ["speaks something else", "other", "connect", "proxy_broke"],
    ];
    for (const [what, mood, kind, cause] of failures)
      it(`${http1}: it ${what}`, async () => {
        start(http1);
        proxy.mood = mood;
        const { end, cause: found, error } = await ask(upstreams, at());
        assert.deepEqual([end, found], [kind, cause]);
        assert.ok(!/s3cret|Basic|gate/.test(error), error);
        proxy.mood = "working";
        assert.equal((await ask(upstreams, at())).body, "answer");
      });

    it(`${http1}: it refuses the credentials`, async () => {
      start(http1, { SLUICE_EGRESS_PROXY_PASSWORD: "wr0ng" });
      const { end, cause, error } = await ask(upstreams, at());
      assert.deepEqual([end, cause], ["connect", "proxy_auth_refused"]);
      assert.ok(!/s3cret|wr0ng|Basic/.test(error), error);
      assert.equal(seen.length, 0);
    });

    it(`${http1}: it is slow: the limit on connecting counts`, async () => {
      start(http1);
      proxy.mood = "slow";
      const { end, cause } = await ask(upstreams, at(undefined, { connectMs: 100 }));
      assert.deepEqual([end, cause], ["connectTimeout", "connect_timeout"]);
    });

    it(`${http1}: it is not there`, async () => {
      start(http1, { HTTPS_PROXY: "http://localhost:1" });
      const { end, cause } = await ask(upstreams, at());
      assert.deepEqual([end, cause], ["connect", "proxy_unreachable"]);
    });

    it(`${http1}: it dies in the middle of an answer`, async () => {
      start(http1);
      const { end, body } = await ask(upstreams, at(), '"stream"', () => {
        for (const socket of proxy.tunnels) socket.destroy();
      });
      assert.equal(end, "reset");
      assert.ok(body === "" || body === "first");
    });

    it(`${http1}: certificates of providers are checked as without it`, async () => {
      start(http1);
      const tls = { ca: null, serverName: null, client: null };
      assert.equal((await ask(upstreams, at(undefined, { tls }))).cause, "tls_unknown_authority");
    });

    it(`${http1}: NO_PROXY goes past it`, async () => {
      start(http1, { NO_PROXY: ".example.test" });
      assert.notEqual((await ask(upstreams, at())).end, "end");
      assert.deepEqual(proxy.asked, []);
    });

    const addresses: readonly (readonly [string, string, boolean, string])[] = [
      ["https://10.1.2.3", "", false, "address_not_allowed"],
      ["https://169.254.169.254", "", true, "address_not_allowed"],
      ["https://[fd00::1]", "", false, "address_not_allowed"],
      ["https://api.example.test", "10.1.2.3", false, "address_not_allowed"],
      ["https://api.example.test", "169.254.169.254", true, "address_not_allowed"],
      ["https://api.example.test", "::ffff:10.0.0.1", false, "address_not_allowed"],
      ["https://api.example.test", "10.1.2.3", true, ""],
      ["https://api.example.test", "203.0.113.9", false, ""],
      ["https://203.0.113.7", "", false, ""],
    ];
    for (const [origin, local, allowPrivate, cause] of addresses)
      it(`${http1}: ${origin}${local && `, here ${local},`} ${allowPrivate ? "and private ones " : ""}${cause ? "is refused unasked" : "is asked for"}`, async () => {
        start(http1);
        resolved = local === "" ? {} : { "api.example.test": local };
        const outcome = await ask(upstreams, at(origin, { allowPrivate }));
        assert.equal(outcome.cause ?? "", cause, outcome.error);
        assert.equal(proxy.asked.length, cause === "" ? 1 : 0);
      });
  }

  it("a body that is a stream goes through it", async () => {
    assert.equal((await ask(upstreams, at(), Readable.from(["a", "b"]))).body, "answer");
    assert.equal(seen[0]?.body, "ab");
    assert.deepEqual(proxy.asked, ["api.example.test:443"]);
  });

  it("a name server that doesn't answer delays the first call only", async () => {
    resolved = { "api.example.test": "late" };
    const lookups = (dns.lookup as unknown as { mock: { callCount(): number } }).mock;
    const before = lookups.callCount();
    assert.equal((await ask(upstreams, at("https://api.example.test:8443"))).body, "answer");
    const more = [at("https://api.example.test:8443", { writeMs: 1_000 }), at()];
    for (const address of more) assert.equal((await ask(upstreams, address)).body, "answer");
    assert.ok(lookups.callCount() - before <= 1);
  });

  it("a call that is given up while the tunnel is opened leaves nothing behind", async () => {
    proxy.mood = "slow";
    const call = upstreams.send(
      at(),
      { method: "POST", path: "/", headers: {}, body: "{}" },
      { head: () => undefined, data: () => true, end: () => undefined, error: () => undefined },
    );
    await until("asked", () => assert.equal(proxy.asked.length, 1));
    call.abort();
  });

  it("may itself use TLS, whose certificate is checked", async () => {
    const { port } = model.address() as AddressInfo;
    const secure = await startConnectProxy({
      routes: { "api.example.test:443": port },
      tls: await authority.issue("localhost"),
    });
    try {
      start("Own", { HTTPS_PROXY: secure.url });
      assert.equal((await ask(upstreams, at())).cause, "proxy_unreachable");
      assert.deepEqual(secure.asked, []);
    } finally {
      await secure.close();
    }
  });
});

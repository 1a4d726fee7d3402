/** Server-side request forgery through a provider's endpoint, a redirect or a request body. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { addressAllowed } from "../../proxy/config/destination.ts";
import { key, type Manifest, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { openai, startUpstream, type Upstream } from "../harness/upstream.ts";

const clear = "slc_alice_key_0001";

describe("server-side request forgery", () => {
  let inside: Upstream;
  let upstream: Upstream;
  let gateway: TestGateway;
  const port = (): string => new URL(inside.url).port;

  before(async () => {
    inside = await startUpstream();
    upstream = await startUpstream();
    const served: Manifest[] = Object.entries(endpoints).flatMap(([name, [host, allowPrivateEndpoint]]) => [
      provider(name, "", {
        endpoint: `http://${host}:${port()}/v1`,
        allowPrivateEndpoint,
        models: [{ name }],
        timeouts: { connect: "500ms" },
      }),
      secret(`${name}-credentials`, { apiKey: "sk-inside" }),
      policy(name, { match: { models: [name] }, routing: { targets: [{ provider: { name } }] } }),
    ]);
    gateway = await startGateway([
      ...served,
      provider("up", upstream.url, { circuitBreaker: { failureThreshold: 1000 } }),
      secret("up-credentials", { apiKey: "sk-upstream" }),
      policy("chat", { match: { models: ["gpt-4o"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
      ...key("alice", clear),
    ]);
  });
  after(async () => {
    await gateway.close();
    await inside.close();
    await upstream.close();
  });

  const call = async (model: string, more: object = {}) => {
    const answer = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
      body: JSON.stringify({ model, messages: [{ role: "user", content: "Hi" }], ...more }),
    });
    return { status: answer.status, text: await answer.text() };
  };

  /** Each row is a host and whether the provider allows private addresses. Some hosts are forbidden even then. */
  const endpoints: Record<string, [host: string, allowPrivate: boolean]> = {
    loopback: ["127.0.0.1", false],
    "loopback-high": ["127.255.255.254", false],
    "loopback-name": ["localhost", false],
    "loopback-v6": ["[::1]", false],
    "loopback-mapped-hex": ["[::ffff:7f00:1]", false],
    "loopback-nat64": ["[64:ff9b::7f00:1]", false],
    "private-10": ["10.0.0.1", false],
    "private-172": ["172.31.0.1", false],
    "private-192": ["192.168.1.1", false],
    "private-v6": ["[fd00::1]", false],
    "shared-space": ["100.64.0.1", false],
    unspecified: ["0.0.0.0", true],
    "unspecified-v6": ["[::]", true],
    metadata: ["169.254.169.254", true],
    "metadata-mapped-hex": ["[::ffff:a9fe:a9fe]", true],
    "metadata-nat64": ["[64:ff9b::a9fe:a9fe]", true],
    "metadata-6to4": ["[2002:a9fe:a9fe::1]", true],
    "metadata-compatible": ["[::a9fe:a9fe]", true],
    "metadata-v6": ["[fd00:ec2::254]", true],
    "link-local-v6": ["[fe80::1]", true],
    teredo: ["[2001:0:a9fe:a9fe::1]", true],
    multicast: ["224.0.0.1", true],
    "multicast-v6": ["[ff02::1]", true],
    broadcast: ["255.255.255.255", true],
  };
  for (const [name, [host, allowPrivate]] of Object.entries(endpoints)) {
    it(`an endpoint at ${host}${allowPrivate ? ", though private ones are allowed" : ""}: 502, and no connection`, async () => {
      const { status, text } = await call(name);
      assert.equal(status, 502);
      assert.match(text, /"code":"upstream_unreachable"/);
      assert.match(text, /not allowed/);
      assert.doesNotMatch(text, /sk-inside/);
      assert.deepEqual(inside.requests, []);
    });
  }

  /** Forms that URL parsers accept as an address. The object is refused before it reaches a proxy. */
  const forms = [
    "http://2130706433",
    "http://0x7f000001",
    "http://0x7f.0.0.1",
    "http://0177.0.0.1",
    "http://127.1",
    "http://127.0.1",
    "http://0",
    "http://017700000001",
    "http://127.0.0.1.",
    "http://１２７.0.0.1",
    "http://127。0。0。1",
    "http://user:secret@127.0.0.1",
    "http://example.com@127.0.0.1",
    "http://127.0.0.1?x=example.com",
    "http://127.0.0.1#example.com",
    "http://[::ffff:127.0.0.1]",
    "http://[0:0:0:0:0:ffff:169.254.169.254]",
    "http://[::127.0.0.1]",
    "http://[::1%25eth0]",
    "http:\\\\127.0.0.1",
    "//127.0.0.1",
    "file:///etc/passwd",
    "gopher://127.0.0.1",
    "unix:/var/run/docker.sock",
    "http://127.0.0.1:0x50",
    "http://exa mple.com",
    "http://example.com\r\nHost: evil",
  ];
  for (const form of forms) {
    it(`an endpoint written ${JSON.stringify(form)} is refused when it is applied`, async () => {
      const other = await startGateway([
        provider("odd", "", { endpoint: form, allowPrivateEndpoint: false, models: [{ name: "odd" }] }),
        secret("odd-credentials", { apiKey: "sk-inside" }),
      ]);
      try {
        assert.match(other.printed.join("\n"), /Invalid: spec\.endpoint/);
        assert.deepEqual((await other.status())["providers"], []);
      } finally {
        await other.close();
      }
    });
  }

  for (const status of [301, 302, 303, 307, 308]) {
    it(`a ${status} to another server is not followed`, async () => {
      upstream.answer((_request, response) => {
        response.writeHead(status, { location: `${inside.url}/v1/chat/completions` });
        response.end();
      });
      const answer = await call("gpt-4o");
      upstream.answer(openai);
      assert.equal(answer.status, 502);
      assert.deepEqual(inside.requests, []);
    });
  }

  for (const name of [
    "api_base",
    "base_url",
    "baseURL",
    "endpoint",
    "api_url",
    "custom_llm_provider",
    "extra_headers",
    "extra_body",
    "proxy",
    "webhook_url",
  ]) {
    it(`${name} in a body changes neither the destination nor the credential`, async () => {
      const before = upstream.requests.length;
      await call("gpt-4o", {
        [name]: name === "extra_headers" ? { authorization: "Bearer stolen", host: "evil" } : inside.url,
        api_key: "stolen",
      });
      const seen = upstream.requests[before];
      assert.deepEqual([seen?.path, seen?.headers.authorization], ["/v1/chat/completions", "Bearer sk-upstream"]);
      assert.deepEqual(inside.requests, []);
    });
  }

  it("the URL of an image is for the provider to fetch, never for the gateway", async () => {
    await call("gpt-4o", {
      messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: `${inside.url}/metadata` } }] }],
    });
    assert.deepEqual(inside.requests, []);
  });

  it("a model name is never used as a path", async () => {
    for (const model of ["../files", "gpt-4o/../../files", "gpt-4o?x=1", "gpt-4o\r\nx: y", "http://127.0.0.1"]) {
      const { status, text } = await call(model);
      assert.deepEqual([status, /"code":"([a-z_]+)"/.exec(text)?.[1]], [404, "model_not_found"]);
    }
  });
});

describe("addresses in alternative notations", () => {
  const cases: [address: string, withoutPrivate: boolean, withPrivate: boolean][] = [
    ["93.184.216.34", true, true],
    ["2606:2800:220:1::1", true, true],
    ["64:ff9b::5db8:d822", true, true],
    ["64:ff9b::a00:1", false, true],
    ["64:ff9b::a9fe:a9fe", false, false],
    ["64:ff9b:1::a00:1", false, true],
    ["2002:5db8:d822::1", true, true],
    ["2002:7f00:1::", false, true],
    ["2002:a9fe:a9fe::", false, false],
    ["::127.0.0.1", false, true],
    ["::169.254.169.254", false, false],
    ["::ffff:169.254.169.254", false, false],
    ["::ffff:0a00:1", false, true],
    ["::1", false, true],
    ["::", false, false],
    ["fec0::1", false, true],
    ["fe80::1%eth0", false, false],
    ["2001:0:4136:e378:8000:63bf:3fff:fdd2", false, false],
  ];
  for (const [address, withoutPrivate, withPrivate] of cases) {
    it(`${address}: ${withoutPrivate ? "yes" : withPrivate ? "only where private ones are allowed" : "never"}`, () => {
      assert.deepEqual([addressAllowed(address, false), addressAllowed(address, true)], [withoutPrivate, withPrivate]);
    });
  }
});

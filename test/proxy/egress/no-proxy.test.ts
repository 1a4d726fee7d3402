/** What HTTPS_PROXY, HTTP_PROXY and NO_PROXY mean. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EgressSettingError, egressOf, urlWithCredentials } from "../../../proxy/config/egress/egress.ts";
import { NoProxy } from "../../../proxy/config/egress/no-proxy.ts";

/** NO_PROXY, host, port, and whether the proxy is left out. */
const table: readonly (readonly [string, string, number, boolean])[] = [
  ["", "api.openai.com", 443, false],
  ["*", "api.openai.com", 443, true],
  ["other.com,*", "10.0.0.1", 443, true],
  ["example.com", "example.com", 443, true],
  ["example.com", "a.b.example.com", 443, true],
  ["example.com", "badexample.com", 443, false],
  ["example.com", "example.com.evil.net", 443, false],
  [".example.com", "a.example.com", 443, true],
  [".example.com", "example.com", 443, false],
  ["*.example.com", "a.example.com", 443, true],
  ["*.example.com", "example.com", 443, false],
  ["EXAMPLE.com", "Example.COM", 443, true],
  ["example.com", "example.com.", 443, true],
  ["example.com.", "example.com", 443, true],
  ["example.com:8443", "example.com", 8443, true],
  ["example.com:8443", "example.com", 443, false],
  [".svc, .cluster.local", "vllm.models.svc", 80, true],
  [".svc .cluster.local", "vllm.models.svc.cluster.local", 80, true],
  [".svc", "svc", 80, false],
  ["10.0.0.0/8", "10.20.30.40", 443, true],
  ["10.0.0.0/8", "11.0.0.1", 443, false],
  ["10.0.0.0/8", "a10.com", 443, false],
  ["10.0.0.1", "10.0.0.1", 6443, true],
  ["10.0.0.1:6443", "10.0.0.1", 6443, true],
  ["10.0.0.1:6443", "10.0.0.1", 443, false],
  ["10.0.0.1", "10.0.0.10", 443, false],
  ["fd00::/8", "[fd00::10]", 443, true],
  ["[fd00::10]", "fd00::10", 443, true],
  ["[fd00::10]:443", "fd00::10", 443, true],
  ["[fd00::10]:443", "fd00::10", 80, false],
  ["fd00::10", "fd00::11", 443, false],
  ["10.0.0.0/8", "::ffff:10.0.0.1", 443, true],
  ["", "localhost", 443, true],
  ["", "127.0.0.2", 443, true],
  ["", "[::1]", 443, true],
  ["", "localhost.example.com", 443, false],
  [" , ,", "example.com", 443, false],
];

describe("NO_PROXY", () => {
  for (const [text, host, port, direct] of table)
    it(`${JSON.stringify(text)} ${direct ? "covers" : "does not cover"} ${host}:${port}`, () =>
      assert.equal(new NoProxy(text).covers(host, port), direct));

  it("names the entries that can't be read, and goes by the others", () => {
    const list = new NoProxy("10.0.0.0/33, a b, http://x, exa mple.com, :443, 1.2.3.4/8/9");
    assert.deepEqual(list.unreadable, ["10.0.0.0/33", "http://x", ":443", "1.2.3.4/8/9"]);
    assert.ok(list.covers("mple.com", 443));
  });
});

describe("HTTPS_PROXY and HTTP_PROXY", () => {
  const proxied = (env: Record<string, string>, url: string): string | null => {
    const proxy = egressOf(env).proxyFor(new URL(url));
    return proxy === null ? null : urlWithCredentials(proxy);
  };
  const cases: readonly (readonly [Record<string, string>, string, string | null])[] = [
    [{}, "https://a.com", null],
    [{ HTTPS_PROXY: "http://p:3128" }, "https://a.com", "http://p:3128"],
    [{ HTTPS_PROXY: "http://p:3128" }, "http://a.com", null],
    [{ HTTP_PROXY: "http://p:3128" }, "http://a.com", "http://p:3128"],
    [{ https_proxy: "https://p" }, "https://a.com", "https://p:443"],
    [{ HTTPS_PROXY: "http://upper:1", https_proxy: "http://lower:1" }, "https://a.com", "http://upper:1"],
    [{ HTTPS_PROXY: "p:3128" }, "https://a.com", "http://p:3128"],
    [{ HTTPS_PROXY: "http://[fd00::1]:3128" }, "https://a.com", "http://[fd00::1]:3128"],
    [{ HTTPS_PROXY: "http://us%40er:p%3Aw@p:1" }, "https://a.com", "http://us%40er:p%3Aw@p:1"],
    [
      { HTTPS_PROXY: "http://p:1", SLUICE_EGRESS_PROXY_USERNAME: "u", SLUICE_EGRESS_PROXY_PASSWORD: "a:b/c" },
      "https://a.com",
      "http://u:a%3Ab%2Fc@p:1",
    ],
    [{ HTTPS_PROXY: "http://p:1", NO_PROXY: "a.com" }, "https://a.com", null],
    [{ HTTPS_PROXY: "http://p:1", no_proxy: "a.com:8443" }, "https://a.com", "http://p:1"],
    [{ HTTPS_PROXY: "http://p:1", NO_PROXY: "b.com", no_proxy: "a.com" }, "https://a.com", "http://p:1"],
  ];
  for (const [env, url, expected] of cases)
    it(`${JSON.stringify(env)}: ${url} by ${expected ?? "no proxy"}`, () => assert.equal(proxied(env, url), expected));

  for (const wrong of [
    "socks5://user:hunter2@p:1080",
    "http://",
    "http://user:hunter2@p:99999",
    "http://%zz:hunter2@p",
  ])
    it(`${wrong} is refused, without its password`, () =>
      assert.throws(
        () => egressOf({ HTTPS_PROXY: wrong }),
        (error: Error) => error instanceof EgressSettingError && !error.message.includes("hunter2"),
      ));

  it("what is logged names the proxy without its credentials", () => {
    const summary = egressOf({ HTTPS_PROXY: "http://user:hunter2@p:1", NO_PROXY: "1.2.3.4/99" }).summary();
    assert.deepEqual(summary, { https: "http://p:1", unreadable: ["1.2.3.4/99"] });
  });
});

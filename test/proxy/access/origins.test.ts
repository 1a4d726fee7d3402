import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Origins } from "../../../proxy/access/client-address.ts";
import { canonicalAddress, Networks, parseNetwork, withoutHostBits } from "../../../proxy/config/networks.ts";
import { originSettings } from "../../../proxy/config/schema.ts";
import fc from "../../harness/property.ts";

describe("where a call comes from", () => {
  const trusted = ["10.0.0.0/8", "2001:db8:1::/48"];
  const of = (peer: string, headers: Record<string, string>, settings: object = {}) => {
    const origins = new Origins(originSettings.parse({ trustedProxies: trusted, ...settings }));
    const header = (name: string) => headers[name] ?? null;
    const origin = origins.of(peer, { header });
    return { ...origin, country: origins.country(origin, { header }) };
  };

  const chains: [what: string, peer: string, chain: string, address: string | null][] = [
    ["a stranger's word for it counts for nothing", "192.0.2.9", "203.0.113.1", "192.0.2.9"],
    ["a trusted proxy is believed", "10.1.2.3", "203.0.113.1", "203.0.113.1"],
    ["as an IPv4-mapped address too", "::ffff:10.1.2.3", "203.0.113.1", "203.0.113.1"],
    ["over IPv6", "2001:db8:1::5", "2001:DB8:2::0001", "2001:db8:2::1"],
    ["the last stranger in the chain is the caller", "10.1.2.3", "1.1.1.1, 203.0.113.1, 10.9.9.9", "203.0.113.1"],
    ["what a caller writes in front is not read", "10.1.2.3", "10.0.0.1, 127.0.0.1, 203.0.113.1", "203.0.113.1"],
    ["whose mapped form is the same address", "10.1.2.3", "203.0.113.7, ::ffff:10.0.0.9", "203.0.113.7"],
    ["in a chain of trusted ones the first is the caller", "10.1.2.3", "10.0.0.7, 10.0.0.8", "10.0.0.7"],
    ["a port is no part of it", "10.1.2.3", "203.0.113.1:5555", "203.0.113.1"],
    ["with brackets and port", "10.1.2.3", "[2001:db8:2::1]:443", "2001:db8:2::1"],
    ["with brackets alone", "10.1.2.3", "[2001:db8:2::1]", "2001:db8:2::1"],
    ["a word is no address, and then nobody knows", "10.1.2.3", "203.0.113.1, unknown", null],
    ["nor is an octal form", "10.1.2.3", "0177.0.0.1", null],
    ["nor a number", "10.1.2.3", "2130706433", null],
    ["nor a short form", "10.1.2.3", "127.1", null],
    ["nor nothing", "10.1.2.3", "", null],
    ["nor an empty entry", "10.1.2.3", "203.0.113.1,", null],
    ["a chain that goes on for ever is nobody's path", "10.1.2.3", Array(33).fill("10.0.0.1").join(","), null],
  ];
  for (const [what, peer, chain, address] of chains) {
    it(`X-Forwarded-For: ${what}`, () => assert.equal(of(peer, { "x-forwarded-for": chain }).address, address));
  }

  const forwarded: [chain: string, address: string | null][] = [
    ["for=203.0.113.1", "203.0.113.1"],
    ["for=1.1.1.1, for=203.0.113.1;proto=https, For=10.2.2.2", "203.0.113.1"],
    ['for="[2001:db8:2::1]:4711"', "2001:db8:2::1"],
    ['by="a,b";for="203.0.113.1:80"', "203.0.113.1"],
    ["for=_hidden", null],
    ["for=unknown", null],
    ["proto=https", null],
    ["for=203.0.113.1;for=10.0.0.1", null],
  ];
  for (const [chain, address] of forwarded) {
    it(`Forwarded: ${chain} → ${address}`, () =>
      assert.equal(of("10.1.2.3", { forwarded: chain }, { forwardedHeader: "Forwarded" }).address, address));
  }

  it("reads one header only, since proxies that write the one let the other through", () => {
    assert.equal(of("10.1.2.3", { forwarded: "for=203.0.113.1" }).address, "10.1.2.3");
    assert.equal(
      of("10.1.2.3", { "x-forwarded-for": "203.0.113.1" }, { forwardedHeader: "Forwarded" }).address,
      "10.1.2.3",
    );
  });

  it("believes a country from trusted proxies only, and only what can be one", () => {
    const country = (peer: string, value: string) =>
      of(peer, { "cf-ipcountry": value }, { countryHeader: "cf-ipcountry" }).country;
    assert.equal(country("10.1.2.3", "de"), "DE");
    assert.equal(country("192.0.2.9", "DE"), null);
    for (const nonsense of ["XX", "T1", "", "DEU", "D"]) assert.equal(country("10.1.2.3", nonsense), null, nonsense);
  });

  it("takes any chain without throwing, and never yields what a stranger in front wrote", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), fc.ipV4(), (front, caller) => {
        fc.pre(!caller.startsWith("10."));
        assert.equal(
          of("10.1.2.3", { "x-forwarded-for": `${front},${caller}, 10.4.4.4` }).address,
          front.split(",").length > 30 ? null : caller,
        );
        of("10.1.2.3", { forwarded: front }, { forwardedHeader: "Forwarded" });
      }),
    );
  });
});

describe("networks", () => {
  const members: [network: string, inside: string[], outside: string[]][] = [
    [
      "10.0.0.0/8",
      ["10.0.0.0", "10.255.255.255", "::ffff:10.1.1.1", "::ffff:a01:101"],
      ["11.0.0.0", "::10.0.0.1", "nonsense", ""],
    ],
    ["192.0.2.7", ["192.0.2.7", "::ffff:192.0.2.7"], ["192.0.2.8"]],
    ["0.0.0.0/0", ["1.2.3.4", "::ffff:1.2.3.4"], ["2001:db8::1"]],
    ["::/0", ["2001:db8::1"], ["1.2.3.4"]],
    ["2001:db8::/32", ["2001:db8:ffff::1", "2001:DB8::"], ["2001:db9::"]],
    ["::ffff:10.0.0.0/104", ["10.1.1.1", "::ffff:10.1.1.1"], ["11.1.1.1"]],
    ["203.0.113.0/31", ["203.0.113.0", "203.0.113.1"], ["203.0.113.2"]],
    ["fe80::/10", ["fe80::1%eth0"], ["fec0::1"]],
  ];
  for (const [network, inside, outside] of members) {
    it(`${network} holds ${inside.join(", ")}, not ${outside.join(", ")}`, () => {
      const networks = new Networks([network]);
      for (const address of inside) assert.equal(networks.has(address), true, address);
      for (const address of outside) assert.equal(networks.has(address), false, address);
    });
  }

  it("are distinguished from other texts", () => {
    for (const text of [
      "10.0.0.0/33",
      "10.0.0/8",
      "10.0.0.0/",
      "010.0.0.1",
      "2001:db8::/129",
      "::ffff:10.0.0.0/8",
      "a/8",
      "1.2.3.4/8/8",
      "1.2.3.4/-1",
      "",
    ])
      assert.equal(parseNetwork(text), null, text);
    assert.equal(withoutHostBits("10.1.2.3/8"), "10.0.0.0/8");
    assert.equal(withoutHostBits("2001:db8::1/32"), "2001:db8::/32");
    for (const text of ["10.0.0.0/8", "10.1.2.3", "2001:db8::/32"]) assert.equal(withoutHostBits(text), null, text);
    assert.equal(canonicalAddress("::ffff:7f00:1"), "127.0.0.1");
  });
});

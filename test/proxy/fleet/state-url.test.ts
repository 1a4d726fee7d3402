import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseStateUrl } from "../../../proxy/fleet/redis-client.ts";
import { parseProxySettings } from "../../../proxy/settings.ts";

describe("the store's URL", () => {
  for (const [url, expected] of [
    ["redis://valkey", { form: "single", tls: false, hosts: [{ host: "valkey", port: 6_379 }], db: 0 }],
    [
      "rediss://app@valkey.cache:6380/2",
      { form: "single", tls: true, hosts: [{ host: "valkey.cache", port: 6_380 }], username: "app", db: 2 },
    ],
    [
      "redis://default:p%40ss@[::1]:7000",
      { hosts: [{ host: "::1", port: 7_000 }], username: "default", password: "p@ss" },
    ],
    [
      "redis+sentinel://a:1,b/mymaster/1",
      {
        form: "sentinel",
        hosts: [
          { host: "a", port: 1 },
          { host: "b", port: 26_379 },
        ],
        master: "mymaster",
        db: 1,
      },
    ],
    [
      "rediss+cluster://a:1,b:2",
      {
        form: "cluster",
        tls: true,
        hosts: [
          { host: "a", port: 1 },
          { host: "b", port: 2 },
        ],
      },
    ],
  ] as const) {
    it(`${url} is understood`, () => {
      const parsed = parseStateUrl(url) as unknown as Record<string, unknown>;
      for (const [name, value] of Object.entries(expected)) assert.deepEqual(parsed[name], value, name);
    });
  }

  for (const [url, complaint] of [
    ["valkey:6379", /not understood; write redis:\/\/host:6379/],
    ["http://valkey:6379", /not understood/],
    ["redis://a:1,b:2", /several hosts need redis\+sentinel:\/\/ or redis\+cluster:\/\//],
    ["redis://a:99999", /is not a host with a port/],
    ["redis+sentinel://a:1", /Sentinel needs the master's name/],
    ["redis://a/x", /is not a database number/],
    ["redis+cluster://a:1/3", /is not a database number/],
  ] as const) {
    it(`${url} is refused with an explanation`, () => assert.throws(() => parseStateUrl(url), complaint));
  }

  it("has its password from the environment and never from a flag", () => {
    assert.equal(
      parseProxySettings(["--state-url", "redis://a"], { SLUICE_STATE_PASSWORD: "s3cret" }).statePassword,
      "s3cret",
    );
    assert.throws(() => parseProxySettings(["--state-password", "s3cret"], {}), /state-password/);
  });
});

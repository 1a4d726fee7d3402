import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parse } from "yaml";
import type { Kind } from "../../crds/kinds.ts";
import { nearest, type ParsedSpec, parseObject, parseSpec } from "../../crds/parse.ts";
import { decimalToNano, durationMs } from "../../crds/quantity.ts";
import { parseNetwork } from "../../proxy/config/networks.ts";
import { others, worded } from "./mistakes.ts";
import { accepted, boundRefusals, ruleRefusals, unknownFields } from "./rows.ts";

const messages = (parsed: ParsedSpec<Kind>): string =>
  parsed.ok ? "" : parsed.problems.map((problem) => problem.message).join("\n");

describe("a spec is refused offline", () => {
  for (const [name, { kind, spec, offline }] of Object.entries({ ...ruleRefusals, ...boundRefusals })) {
    it(`with ${name}`, () => {
      const parsed = parseSpec(kind, spec);
      assert.match(messages(parsed), offline);
      assert.ok(!parsed.ok && parsed.problems.every((problem) => problem.path[0] === "spec" && !problem.unknownField));
    });
  }
  for (const [name, { kind, spec, offline }] of Object.entries(unknownFields)) {
    it(`with ${name}, which is marked as unknown`, () => {
      const parsed = parseSpec(kind, spec);
      assert.match(messages(parsed), offline);
      assert.ok(!parsed.ok && parsed.problems.length === 1 && parsed.problems[0]?.unknownField);
    });
  }
});

describe("a spec is taken offline", () => {
  for (const [name, { kind, spec }] of Object.entries(accepted)) {
    it(`for ${name}`, () => assert.equal(messages(parseSpec(kind, spec)), ""));
  }

  it("with its defaults filled in", () => {
    const parsed = parseSpec("LLMProvider", { type: "OpenAI", models: [{ name: "a" }] });
    assert.ok(parsed.ok);
    assert.deepEqual(parsed.spec.timeouts, {
      connect: "10s",
      write: "30s",
      response: "10m",
      firstToken: "120s",
      idle: "60s",
      total: "30m",
    });
    assert.deepEqual(parsed.spec.allowedNamespaces, { from: "Same" });
    assert.equal(parsed.spec.unsupportedParameters, "Drop");
  });

  it("with an empty field taken for absent, as the API server takes it", () => {
    const parsed = parseSpec("LLMProvider", {
      type: "OpenAI",
      models: [{ name: "a", sunset: null }],
      endpoint: null,
      retry: null,
    });
    assert.deepEqual(parsed, parseSpec("LLMProvider", { type: "OpenAI", models: [{ name: "a" }] }));
  });

  it("with what is empty within a free-form object kept", () => {
    const parsed = parseSpec("RoutingPolicy", {
      match: { models: ["a"] },
      request: { defaults: { stop: null } },
      routing: { targets: [{ provider: { name: "a" } }] },
    });
    assert.ok(parsed.ok);
    assert.deepEqual(parsed.spec.request?.defaults, { stop: null });
  });

  it("and parsing what was parsed changes nothing", () => {
    for (const { kind, spec } of Object.values(accepted)) {
      const once = parseSpec(kind, spec);
      assert.ok(once.ok);
      assert.deepEqual(parseSpec(kind, once.spec), once);
    }
  });
});

describe("what is said of a mistake", () => {
  it("covers all fields at once, each with its path", () => {
    const parsed = parseSpec("LLMProvider", {
      type: "OpenAI",
      models: [{ name: "" }, { name: "b", bar: 1 }],
      retry: { attempts: 0 },
    });
    assert.ok(!parsed.ok);
    assert.deepEqual(parsed.problems, [
      {
        path: ["spec", "models", 0, "name"],
        message:
          "spec.models[0].name must be a model's name: letters, digits and ._:/@+-, the first and last a letter or digit, such as gpt-4o",
        unknownField: false,
      },
      { path: ["spec", "models", 1, "bar"], message: "unknown field spec.models[1].bar", unknownField: true },
      { path: ["spec", "retry", "attempts"], message: "spec.retry.attempts must be at least 1", unknownField: false },
    ]);
  });

  it("never repeats a value, which could be a secret", () => {
    const secret = "sk-planted-0123456789";
    const specs = [
      { type: secret, models: secret },
      {
        type: "OpenAI",
        models: [{ name: `${secret} ` }],
        endpoint: `https://${secret}@a.example`,
        credentials: { secretRef: secret },
      },
      {
        type: "OpenAI",
        models: [{ name: "a" }],
        credentials: { secretRef: { name: `${secret}!`, key: `${secret} ` } },
      },
      { type: "OpenAI", models: [{ name: "a" }], credentials: { apiKey: secret }, options: { a: [secret] } },
    ];
    for (const spec of specs) {
      const parsed = parseSpec("LLMProvider", spec);
      assert.ok(!parsed.ok);
      assert.doesNotMatch(JSON.stringify(parsed), /planted/);
    }
  });

  const values: [string, unknown, RegExp][] = [
    ["empty", null, /spec: name at least one model in spec\.models, or set spec\.discovery/],
    ["an empty entry", [null], /spec\.models\[0\] must be an object, but is empty/],
    ["text", "gpt-4o", /spec\.models must be a list, but is a string/],
    ["an object", { name: "a" }, /spec\.models must be a list, but is an object/],
    ["a list of text", ["gpt-4o"], /spec\.models\[0\] must be an object, but is a string/],
  ];
  for (const [name, models, message] of values) {
    it(`names what is there where a list should be: ${name}`, () =>
      assert.match(messages(parseSpec("LLMProvider", { type: "OpenAI", models })), message));
  }

  for (const spec of [null, "text", 7, [], undefined]) {
    it(`copes with a spec that is ${JSON.stringify(spec)}`, () =>
      assert.match(messages(parseSpec("Budget", spec)), /^spec (is required|must be an object)/));
  }
});

describe("what lint says of", () => {
  for (const [what, { kind, manifest, lint }] of Object.entries({ ...worded, ...others })) {
    if (lint === undefined) continue;
    it(what, () => {
      const said = messages(parseObject(kind, parse(manifest) as Record<string, unknown>));
      assert.ok(said.includes(lint), said);
    });
  }
});

describe("a network", () => {
  const octets = ["0", "7", "10", "99", "100", "199", "249", "255", "256", "300", "08", "999"];
  const lengths = ["", "/0", "/8", "/08", "/32", "/33", "/99"];

  it("of IPv4 is taken where it is one", () => {
    for (const [index, octet] of octets.entries()) {
      for (const length of lengths) {
        const parts = ["10", "0", "0", "1"];
        parts[index % 4] = octet;
        const network = parts.join(".") + length;
        const spec = {
          match: { models: ["a"] },
          routing: { targets: [{ provider: { name: "a" } }] },
          access: { networks: [network] },
        };
        assert.equal(parseSpec("RoutingPolicy", spec).ok, parseNetwork(network) !== null, network);
      }
    }
  });
});

describe("an endpoint", () => {
  const hosts = [
    "a.example",
    "A-1.b",
    "localhost",
    "10.0.0.7",
    "1.2.3.999",
    "1.2.3",
    "0x7f.1",
    "a.1",
    "[::1]",
    "[fd00::7]",
    "[::ffff:1.2.3.4]",
    "[:::]",
    "a..b",
    "-a",
    "a_b",
    "é.example",
    "",
    "u@h",
  ];
  const ports = ["", ":", ":0", ":80", ":65535", ":65536", ":99999", ":x"];
  const paths = ["", "/", "/v1", "/v1/a%20b", "/%zz", "//", "/a b", "/v1?q", "/v1#f", "/../x", "/\u0000", "/v1\n"];

  it("that is taken is one that URL parses, to the same host, without user, query and fragment", () => {
    const all = ["http", "https", "HTTPS", "ftp", ""].flatMap((scheme) =>
      hosts.flatMap((host) =>
        ports.flatMap((port) => paths.map((path) => ({ host, endpoint: `${scheme}://${host}${port}${path}` }))),
      ),
    );
    const taken = all.filter(
      ({ endpoint }) => parseSpec("LLMProvider", { type: "OpenAI", models: [{ name: "a" }], endpoint }).ok,
    );
    assert.ok(taken.length > 100);
    for (const { host, endpoint } of taken) {
      const url = new URL(endpoint);
      assert.equal(url.hostname, host.toLowerCase(), endpoint);
      assert.equal(url.username + url.password + url.search + url.hash, "", endpoint);
    }
  });
});

describe("a whole object", () => {
  const whole = {
    apiVersion: "sluice.dev/v1alpha1",
    kind: "ApiKey",
    metadata: { name: "a" },
    spec: { user: "a", writeTo: { name: "b" } },
  };

  it("is taken with what Kubernetes adds to it", () => assert.ok(parseObject("ApiKey", { ...whole, status: {} }).ok));
  it("is refused with an unknown field next to spec", () => {
    const parsed = parseObject("ApiKey", { ...whole, specs: {} });
    assert.deepEqual(parsed, {
      ok: false,
      problems: [{ path: ["specs"], message: "unknown field specs; did you mean spec?", unknownField: true }],
    });
  });
  it("is refused in a version that doesn't exist", () => {
    assert.match(
      messages(parseObject("ApiKey", { ...whole, apiVersion: "sluice.dev/v1" })),
      /apiVersion must be sluice\.dev\/v1alpha1/,
    );
  });
});

describe("the word that was meant", () => {
  const rows: [string, string[], string | null][] = [
    ["endpont", ["endpoint", "region"], "endpoint"],
    ["EndPoint", ["endpoint", "region"], "endpoint"],
    ["modle", ["model", "models"], "model"],
    ["foo", ["endpoint", "region"], null],
    ["x".repeat(10_000), ["endpoint"], null],
    ["", ["endpoint"], null],
  ];
  for (const [word, words, meant] of rows) {
    it(`of ${JSON.stringify(word.slice(0, 20))} is ${meant ?? "none"}`, () =>
      assert.equal(nearest(word, words), meant));
  }
});

describe("a quantity", () => {
  const durations: [string, number][] = [
    ["1ms", 1],
    ["30s", 30_000],
    ["1m30s", 90_000],
    ["90d", 7_776_000_000],
    ["1h0m0s", 3_600_000],
    ["99999d99999d99999d99999d99999d", 5 * 99_999 * 86_400_000],
  ];
  for (const [text, expected] of durations)
    it(`reads ${text} as ${expected} ms`, () => assert.equal(durationMs(text), expected));

  const decimals: [string, number][] = [
    ["0", 0],
    ["2.50", 2_500_000_000],
    ["0.1", 100_000_000],
    ["0.000000001", 1],
    ["8999999.999999999", 8_999_999_999_999_999],
  ];
  for (const [text, expected] of decimals)
    it(`reads ${text} as ${expected} billionths, exactly`, () => assert.equal(decimalToNano(text), expected));

  for (const text of ["", "1", "s", "1.5s", "-1s", "1w", " 1s", "9999999999999999d"]) {
    it(`throws for ${JSON.stringify(text)} as a duration, which the schema lets nobody write`, () =>
      assert.throws(() => durationMs(text), RangeError));
  }
  for (const text of ["", "-1", "1e3", "1.", ".5", "1.0000000001", "99999999"]) {
    it(`throws for ${JSON.stringify(text)} as money, which the schema lets nobody write`, () =>
      assert.throws(() => decimalToNano(text), RangeError));
  }
});

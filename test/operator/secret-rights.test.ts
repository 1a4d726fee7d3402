/** What objects may do with Secrets that are not theirs, and which values may be API keys. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type DueRotation, ownRotations } from "../../operator/cluster/rotation.ts";
import { rightsOf, writtenSecret, wrote } from "../../operator/cluster/secret-ownership.ts";
import { compile } from "../../operator/compile/compile.ts";
import type { SecretRights, WorldObject } from "../../operator/compile/world.ts";
import { secretFact } from "../../operator/secrets.ts";
import { compileSettings } from "../../operator/settings/compile-settings.ts";
import { asOperatorSettings } from "../../operator/settings/settings.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";
import { mintKey } from "../../proxy/config/key-form.ts";
import { certificateAuthority } from "../harness/certificates.ts";

const nowMs = Date.parse("2026-11-20T12:00:00Z");
const pepper = new Uint8Array(32).fill(7);
const settings = compileSettings(
  asOperatorSettings("test", "namespace: sluice-system\nprivateEndpointNamespaces: ['*']"),
);

const object = (kind: WorldObject["kind"], name: string, spec: unknown, createdAtMs = 1): WorldObject => ({
  kind,
  meta: { name, namespace: "a", uid: name, generation: 1, createdAtMs, labels: {} },
  spec,
  status: {},
});
const provider = (spec: object): WorldObject =>
  object("LLMProvider", "p", {
    type: "OpenAICompatible",
    endpoint: "https://llm.example.com/v1",
    models: [{ name: "m" }],
    ...spec,
  });
const none: SecretRights = { readable: false, writable: false, foreign: [] };

function outcome(objects: WorldObject[], values: Record<string, string>, rights: Partial<SecretRights> = {}) {
  const facts = Object.fromEntries(Object.entries(values).map(([key, value]) => [key, secretFact(pepper, value)]));
  const world = {
    objects,
    namespaces: { a: {} },
    secrets: { "a/s": facts },
    secretRights: { "a/s": { ...none, ...rights } },
  };
  return compile({ world, settings, previous: null, nowMs }, capabilitiesByType);
}

const pair = await (await certificateAuthority()).issue("client.internal");
const value = "a-value-that-is-long-enough-0001";
const when = { errorRate: ">5%", window: "5m", minimumRequests: 10 };

describe("a Secret without its owner's consent", () => {
  const ref = { secretRef: { name: "s", key: "k" } };
  const tls = { clientCertificate: { secretRef: { name: "s" } } };
  const uses: readonly [string, WorldObject, Record<string, string>][] = [
    ["a provider's credential", provider({ credentials: ref }), { k: value }],
    [
      "a provider's credential of the type's own fields",
      provider({ credentials: { secretRef: { name: "s" } } }),
      { apiKey: value },
    ],
    ["a client certificate", provider({ tls }), { "tls.crt": pair.cert, "tls.key": pair.key }],
    [
      "a budget's webhook",
      object("Budget", "b", { amount: "1", period: "Daily", alerts: [{ webhook: ref }] }),
      { k: "https://hooks.example.com" },
    ],
    [
      "a budget's Slack channel",
      object("Budget", "b", { amount: "1", period: "Daily", alerts: [{ slack: ref }] }),
      { k: "https://hooks.example.com" },
    ],
    [
      "a budget's PagerDuty key",
      object("Budget", "b", { amount: "1", period: "Daily", alerts: [{ pagerDuty: ref }] }),
      { k: value },
    ],
    [
      "a provider's alert channel",
      provider({ alertWhen: when, alerts: [{ webhook: ref }] }),
      { k: "https://hooks.example.com" },
    ],
  ];
  for (const [use, subject, values] of uses)
    it(`is not used for ${use}`, () => {
      const refused = outcome([subject], values);
      assert.equal(refused.verdicts[0]?.resolvedRefs[0]?.reason, "SecretNotPermitted");
      assert.ok(!JSON.stringify(refused.config).includes("cred-"), "its digest is not published");
      assert.deepEqual(
        [...refused.watches, ...refused.alertWatches].flatMap((watch) => watch.channels),
        [],
      );
      const allowed = outcome([subject], values, { readable: true });
      assert.deepEqual(allowed.verdicts[0]?.resolvedRefs, []);
    });

  it("is not told apart from another one by what it holds", () => {
    const subject = provider({ credentials: ref });
    const messages = [{}, { k: "" }, { k: "two\nlines" }, { k: value }].map(
      (values) => outcome([subject], values).verdicts[0]?.resolvedRefs,
    );
    assert.deepEqual(new Set(messages.map((message) => JSON.stringify(message))).size, 1);
  });
});

describe("an API key", () => {
  const key = (name: string, more: object = {}): WorldObject =>
    object("ApiKey", name, { user: "u", writeTo: { name: "s", key: "k" }, ...more });
  const reasons = (values: Record<string, string>, others: WorldObject[] = [], rights: Partial<SecretRights> = {}) => {
    const { verdicts, config } = outcome([key("one"), ...others], values, { readable: true, ...rights });
    const verdict = verdicts.find(({ kind }) => kind === "ApiKey");
    return [verdict?.resolvedRefs[0]?.reason ?? null, verdict?.live, config.keys.length];
  };
  const weak = ["WeakKey", "none", 0];
  const rows: readonly [string, Record<string, string>, WorldObject[], unknown[]][] = [
    ["of one character", { k: "a" }, [], weak],
    ["of 19 characters", { k: "x".repeat(19) }, [], weak],
    ["of 20 characters", { k: "x".repeat(20) }, [], [null, "current", 1]],
    ["of 19 characters and 57 bytes", { k: "鍵".repeat(19) }, [], weak],
    [
      "that a provider uses as its credential",
      { k: value },
      [provider({ credentials: { secretRef: { name: "s", key: "k" } } })],
      weak,
    ],
    [
      "with the value of a provider's credential elsewhere",
      { k: value, other: value },
      [provider({ credentials: { secretRef: { name: "s", key: "other" } } })],
      weak,
    ],
    [
      "that signs a webhook",
      { k: value, url: "https://hooks.example.com" },
      [
        object("Budget", "b", {
          amount: "1",
          period: "Daily",
          alerts: [{ webhook: { secretRef: { name: "s", key: "url" }, signingKeyRef: { name: "s", key: "k" } } }],
        }),
      ],
      weak,
    ],
    [
      "that is the URL of an alert channel",
      { k: "https://hooks.example.com/services/T0/B0" },
      [
        object("Budget", "b", {
          amount: "1",
          period: "Daily",
          alerts: [{ slack: { secretRef: { name: "s", key: "k" } } }],
        }),
      ],
      weak,
    ],
  ];
  for (const [what, values, others, expected] of rows)
    it(`${what} is ${expected === weak ? "refused" : "accepted"}`, () =>
      assert.deepEqual(reasons(values, others), expected));

  it("that was good before is refused as soon as a provider uses its value", () => {
    const before = outcome([key("one")], { k: value }, { readable: true }).config;
    const world = {
      objects: [key("one"), provider({ credentials: { secretRef: { name: "s", key: "k" } } })],
      namespaces: { a: {} },
      secrets: { "a/s": { k: secretFact(pepper, value) } },
    };
    const { config } = compile({ world, settings, previous: before, nowMs }, capabilitiesByType);
    assert.deepEqual(config.keys, []);
  });

  it("is asked for in a Secret that is not Sluice's: the status says whose it is", () => {
    const { verdicts } = outcome([key("one")], {});
    assert.equal(verdicts[0]?.resolvedRefs[0]?.reason, "SecretNotOwned");
    assert.match(verdicts[0]?.resolvedRefs[0]?.message ?? "", /sluice\.dev\/writable=true/);
  });

  it("that somebody else wrote stays valid, and is not rotated", () => {
    const { verdicts, config } = outcome(
      [key("one", { rotation: { every: "1d" } })],
      { k: value },
      {
        writable: true,
        foreign: ["k"],
      },
    );
    assert.deepEqual([verdicts[0]?.live, config.keys.length], ["current", 1]);
    const rotated = verdicts[0]?.conditions.find(({ type }) => type === "Rotated");
    assert.deepEqual([rotated?.status, rotated?.reason], ["False", "SecretNotOwned"]);
  });

  it("is rotated for the oldest ApiKey that names it alone", () => {
    const objects = [key("young"), key("old")];
    (objects[1] as WorldObject).meta.createdAtMs = 0;
    const turn = (name: string): DueRotation => ({ namespace: "a", name, secret: "s", key: "k", action: "rotate" });
    assert.deepEqual(ownRotations([turn("young"), turn("old")], objects), [turn("old")]);
    assert.deepEqual(ownRotations([turn("young")], objects), []);
  });
});

describe("what Sluice may write", () => {
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  const own = mintKey(new Uint8Array(32).fill(9));
  const stored = (labels: Record<string, string>, values: Record<string, string>, annotations = {}) => ({
    metadata: { labels, annotations },
    data: Object.fromEntries(Object.entries(values).map(([key, text]) => [key, base64(text)])),
  });
  const made = { "app.kubernetes.io/managed-by": "sluice" };

  it("is what it wrote and nobody has changed since", () => {
    const { data, annotations } = writtenSecret(null, { apiKey: own, baseURL: "https://llm.example.com" });
    const secret = { metadata: { labels: made, annotations }, data: data as Record<string, string> };
    assert.deepEqual(rightsOf(secret, { access: "Labelled" }), { readable: false, writable: true, foreign: [] });
    const changed = { ...secret, data: { ...secret.data, apiKey: base64(value) } };
    assert.deepEqual(rightsOf(changed, { access: "Labelled" }).foreign, ["apiKey"]);
    assert.ok(!wrote(changed, "apiKey") && wrote(changed, "baseURL") && !wrote(changed, "constructor"));
    assert.ok(!JSON.stringify(annotations).includes(own));
  });

  it("keeps its record of the other keys over a write, and takes over none of somebody else's", () => {
    const { annotations } = writtenSecret(null, { apiKey: own });
    const before = stored({ "sluice.dev/writable": "true" }, { apiKey: own, mine: value }, annotations);
    const after = writtenSecret(before, { second: own });
    const secret = {
      metadata: { annotations: after.annotations },
      data: { ...before.data, ...(after.data as object) },
    };
    assert.deepEqual(
      ["apiKey", "second", "mine"].map((name) => wrote(secret, name)),
      [true, true, false],
    );
  });

  it("is, without a record, a key of its own form in a Secret that it made", () => {
    assert.ok(wrote(stored(made, { apiKey: own }), "apiKey"));
    assert.ok(!wrote(stored(made, { apiKey: value }), "apiKey"));
    assert.ok(!wrote(stored({ "sluice.dev/writable": "true" }, { apiKey: own }), "apiKey"));
  });

  it("is never what it publishes for proxies, and no object uses that, by either rule", () => {
    const published = stored(
      { "app.kubernetes.io/managed-by": "sluice-operator", "sluice.dev/readable": "true" },
      { pepper: value },
    );
    for (const access of ["Labelled", "Namespace"] as const) {
      const { readable, writable } = rightsOf(published, { access });
      assert.deepEqual([readable, writable], [false, false]);
    }
  });

  it("goes by the label or by the namespace, as the installation chooses", () => {
    const readable = (labels: Record<string, string>, access: "Labelled" | "Namespace") =>
      rightsOf(stored(labels, {}), { access }).readable;
    assert.deepEqual(
      [
        readable({}, "Labelled"),
        readable({ "sluice.dev/readable": "false" }, "Labelled"),
        readable({ "sluice.dev/readable": "true" }, "Labelled"),
        readable({}, "Namespace"),
      ],
      [false, false, true, true],
    );
  });
});

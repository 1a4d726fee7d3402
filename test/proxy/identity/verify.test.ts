import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type IdentityIssuer, identityIssuer } from "../../../proxy/config/identity.ts";
import { CachingVerifier } from "../../../proxy/identity/verify.ts";
import { ownerOf } from "../../../proxy/ids/owner.ts";
import { type Issuer, startIssuer } from "../../harness/issuer.ts";

const fetchJson = async (url: string): Promise<unknown> => {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`answered ${answer.status}`);
  return answer.json();
};

describe("tokens of an issuer", () => {
  let issuer: Issuer;
  before(async () => {
    issuer = await startIssuer();
  });
  after(() => issuer.close());

  const settings = (more: object = {}): IdentityIssuer =>
    identityIssuer.parse({
      name: "corp",
      kind: "OIDC",
      issuer: issuer.url,
      audiences: ["sluice"],
      namespace: "team-a",
      ...more,
    });

  function verifier(more: object = {}) {
    const clock = { now: Date.now() };
    const failures: unknown[] = [];
    const one = new CachingVerifier(
      fetchJson,
      () => clock.now,
      (_, cause) => failures.push(cause),
    );
    const issuers = [settings(more)];
    const said = async (token: string): Promise<string> => {
      const identity = await one.verify(token, issuers);
      return identity.anonymous
        ? identity.failure.code
        : `${identity.namespace} ${identity.key.user} ${identity.key.role}`;
    };
    return { one, clock, issuers, failures, said, whole: (token: string) => one.verify(token, issuers) };
  }

  it("say who calls", async () => {
    const { whole } = verifier({
      claims: { user: "email", team: "org.team", role: "https://example.com/role", tags: "groups" },
      models: ["gpt-4o"],
    });
    const token = await issuer.token({
      email: "alice@example.com",
      org: { team: "search" },
      "https://example.com/role": ["data-scientist"],
      groups: ["internal", "Domain Users", "batch", "internal"],
    });
    const identity = await whole(token);
    assert.ok(!identity.anonymous);
    const { digest: _, expiresAtMs, ...key } = identity.key;
    assert.ok((expiresAtMs ?? 0) > Date.now());
    assert.equal(identity.namespace, "team-a");
    assert.deepEqual(key, {
      id: "team-a/corp:alice@example.com",
      user: "alice@example.com",
      team: "search",
      role: "data-scientist",
      tags: ["Domain Users", "batch", "internal"],
      models: ["gpt-4o"],
      revoked: false,
    });
  });

  it("take what they don't say from the issuer's defaults", async () => {
    const { whole } = verifier({
      claims: { user: "sub", team: "team", role: "role", tags: "scope" },
      defaults: { team: "guests", role: "guest", tags: ["outside"] },
    });
    const identity = await whole(await issuer.token());
    assert.ok(!identity.anonymous);
    assert.deepEqual([identity.key.team, identity.key.role, identity.key.tags], ["guests", "guest", ["outside"]]);
  });

  it("whose claims have names in escapes, as PHP writes addresses, say the same whatever was read before", async () => {
    const { said } = verifier({ claims: { user: "sub", role: "https://example.com/role" } });
    const role = "https://example.com/role";
    const escaped = JSON.stringify(role).replaceAll("/", "\\/").slice(1, -1);
    // What V8 takes for the next one's name.
    const token = (claim: string, written?: (json: string) => string): Promise<string> =>
      issuer.token({ [claim]: "data-scientist" }, written ? { written } : {});
    await said(await token(escaped.slice(0, role.length)));
    assert.equal(await said(await token(role, (json) => json.replace(role, escaped))), "team-a alice data-scientist");
  });

  const odd: [what: string, claims: object][] = [
    ["without a user", { sub: undefined }],
    ["whose user is a list of two", { sub: ["alice", "bob"] }],
    ["whose user is no label", { sub: "alice\nadmin" }],
    ["whose user is too long", { sub: "a".repeat(129) }],
    ["whose role is a list of two", { role: ["admin", "guest"] }],
    ["whose role is an object", { role: { name: "admin" } }],
    ["whose team is a number", { team: 7 }],
  ];
  for (const [what, claims] of odd) {
    it(`${what} are refused`, async () => {
      const { said } = verifier({ claims: { user: "sub", team: "team", role: "role" } });
      assert.equal(await said(await issuer.token(claims as Record<string, unknown>)), "invalid_token");
    });
  }

  it("cost one fetch of keys and one verification, however often they come", async () => {
    const { one, issuers, said } = verifier();
    const token = await issuer.token();
    const asked = issuer.asked.length;
    await Promise.all(Array.from({ length: 20 }, () => said(token)));
    for (let at = 0; at < 200; at++) assert.ok(!(one.verify(token, issuers) instanceof Promise));
    assert.deepEqual(issuer.asked.slice(asked), ["/.well-known/openid-configuration", "/keys"]);
  });

  it("are checked a few at a time, so that a flood of forged ones holds up nothing else", async () => {
    const { said } = verifier();
    const good = await issuer.token();
    assert.equal(await said(good), "team-a alice developer");
    const forged = await Promise.all(
      Array.from({ length: 500 }, (_, at) => said(`${good.slice(0, -10)}${String(at).padStart(10, "A")}`)),
    );
    const codes = Map.groupBy(forged, (code) => code);
    assert.equal((codes.get("invalid_token")?.length ?? 0) + (codes.get("identity_unavailable")?.length ?? 0), 500);
    assert.ok((codes.get("invalid_token")?.length ?? 0) >= 64);
    assert.equal(await said(good), "team-a alice developer");
    assert.equal(await said(`${good.slice(0, -10)}AAAAAAAAAA`), "invalid_token");
  });

  it("are refused from their end on, though they were verified before", async () => {
    const { clock, said } = verifier({ clockSkewMs: 0 });
    const token = await issuer.token({}, { lifeSeconds: 60 });
    assert.equal(await said(token), "team-a alice developer");
    clock.now += 59_000;
    assert.equal(await said(token), "team-a alice developer");
    clock.now += 2_000;
    assert.equal(await said(token), "expired_token");
  });

  it("may be a little late by our clock, and no more", async () => {
    const { clock, said } = verifier({ clockSkewMs: 30_000 });
    const token = await issuer.token({}, { lifeSeconds: 60 });
    clock.now += 80_000;
    assert.equal(await said(token), "team-a alice developer");
    clock.now += 15_000;
    assert.equal(await said(token), "expired_token");
  });

  it("of a rotated key are taken after one fetch, and no stream of unknown keys makes for another at once", async () => {
    const { clock, said } = verifier();
    await said(await issuer.token());
    clock.now += 31_000;
    await issuer.rotate();
    const asked = issuer.asked.length;
    assert.equal(await said(await issuer.token()), "team-a alice developer");
    const madeUp = (at: number, jti: string) => issuer.token({ jti }, { header: { kid: `made-up-${at}` } });
    for (let at = 0; at < 20; at++) assert.equal(await said(await madeUp(at, "1")), "identity_unavailable");
    assert.equal(issuer.asked.length - asked, 2);
    // Once the issuer was asked again, they are known not to be its own.
    clock.now += 10_001;
    assert.equal(await said(await madeUp(0, "2")), "invalid_token");
    assert.equal(await said(await madeUp(0, "3")), "invalid_token");
    assert.equal(issuer.asked.length - asked, 4);
  });

  it("of a key that its issuer withdrew are refused within minutes", async () => {
    const { clock, said } = verifier();
    const token = await issuer.token({}, { lifeSeconds: 3600 });
    assert.equal(await said(token), "team-a alice developer");
    await issuer.rotate(true);
    clock.now += 601_000;
    await said(await issuer.token({ iat: Math.floor(clock.now / 1000), exp: Math.floor(clock.now / 1000) + 60 }));
    clock.now += 1_000;
    assert.equal(await said(token), "invalid_token");
  });

  it("go on while the issuer is away for less than a day, and are answered with 503 where it never was there", async () => {
    const { clock, said, failures } = verifier();
    const at = (): Record<string, unknown> => ({
      iat: Math.floor(clock.now / 1000),
      exp: Math.floor(clock.now / 1000) + 60,
    });
    await said(await issuer.token());
    issuer.down(true);
    clock.now += 3_600_000;
    assert.equal(await said(await issuer.token(at())), "team-a alice developer");
    await new Promise((resolve) => setImmediate(resolve));
    clock.now += 86_400_000;
    await said(await issuer.token(at()));
    assert.equal(await said(await issuer.token({ ...at(), jti: "2" })), "identity_unavailable");
    assert.ok(failures.length > 0);
    const fresh = verifier();
    assert.equal(await fresh.said(await issuer.token()), "identity_unavailable");
    issuer.down(false);
    fresh.clock.now += 2_001;
    assert.equal(await fresh.said(await issuer.token()), "team-a alice developer");
  });

  it("of an issuer that is no longer in the settings are refused at once", async () => {
    const { one, said } = verifier();
    const token = await issuer.token();
    assert.equal(await said(token), "team-a alice developer");
    const identity = await one.verify(token, [settings({ issuer: "https://other.example.com" })]);
    assert.ok(identity.anonymous && identity.failure.code === "invalid_token");
    const elsewhere = await one.verify(token, [settings({ namespace: "team-b" })]);
    assert.ok(!elsewhere.anonymous && elsewhere.namespace === "team-b");
  });

  it("of two issuers with one name are distinguished by audience", async () => {
    const { one } = verifier();
    const both = [settings({ audiences: ["other"], namespace: "other" }), settings()];
    const identity = await one.verify(await issuer.token(), both);
    assert.ok(!identity.anonymous && identity.namespace === "team-a");
  });

  it("of a ServiceAccount belong to its namespace", async () => {
    const { one } = verifier();
    const claims = (namespace: string, name: string, sub = `system:serviceaccount:${namespace}:${name}`) => ({
      sub,
      "kubernetes.io": { namespace, serviceaccount: { name, uid: "u" }, pod: { name: "p", uid: "u" } },
    });
    const kubernetes = identityIssuer.parse({
      name: "cluster",
      kind: "Kubernetes",
      issuer: issuer.url,
      audiences: ["sluice"],
      algorithms: ["ES256"],
      jwks: issuer.keys(),
      defaults: { role: "workload", team: "platform" },
    });
    const asked = issuer.asked.length;
    const identity = await one.verify(await issuer.token(claims("team-b", "worker")), [kubernetes]);
    assert.ok(!identity.anonymous);
    assert.deepEqual(
      [identity.namespace, identity.key.user, identity.key.role, identity.key.team],
      ["team-b", "system:serviceaccount:team-b:worker", "workload", "platform"],
    );
    assert.equal(issuer.asked.length, asked);
    const again = claims("team-b", "worker");
    again["kubernetes.io"].serviceaccount.uid = "another";
    const recreated = await one.verify(await issuer.token(again), [kubernetes]);
    assert.ok(!recreated.anonymous);
    assert.equal(recreated.key.user, identity.key.user);
    const owners = [identity, recreated].map((caller) => ownerOf(caller, null, new Map()));
    assert.notDeepEqual(owners[0], owners[1], "an account of the same name doesn't own what the old one did");
    for (const forged of [
      { ...claims("team-b", "worker"), "kubernetes.io": { namespace: "team-b", serviceaccount: { name: "worker" } } },
      claims("team-b", "worker", "system:serviceaccount:team-a:worker"),
      claims("Team B", "worker"),
      { sub: "system:serviceaccount:team-b:worker" },
    ]) {
      const refused = await one.verify(await issuer.token(forged), [kubernetes]);
      assert.ok(refused.anonymous && refused.failure.code === "invalid_token");
    }
  });
});

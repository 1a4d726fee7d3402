/** Identities at their edges: names as real identity providers write them, issuers that hang, keys that rotate. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type IdentityIssuer, identityIssuer } from "../../../proxy/config/identity.ts";
import type { FetchJson } from "../../../proxy/identity/keys.ts";
import { CachingVerifier } from "../../../proxy/identity/verify.ts";
import { type Issuer, startIssuer } from "../../harness/issuer.ts";

const fetchJson: FetchJson = async (url) => {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`answered ${answer.status}`);
  return answer.json();
};

const settings = (issuer: Pick<Issuer, "url">, more: object = {}): IdentityIssuer =>
  identityIssuer.parse({
    name: "corp",
    kind: "OIDC",
    issuer: issuer.url,
    audiences: ["sluice"],
    namespace: "team-a",
    algorithms: ["ES256"],
    ...more,
  });

function verifierOf(issuers: readonly IdentityIssuer[], fetchKeys: FetchJson = fetchJson) {
  const clock = { now: Date.now() };
  const one = new CachingVerifier(
    fetchKeys,
    () => clock.now,
    () => undefined,
  );
  const verify = async (token: string, source?: string) => one.verify(token, issuers, source);
  const said = async (token: string): Promise<string> => {
    const identity = await verify(token);
    return identity.anonymous ? identity.failure.code : identity.key.user;
  };
  return { clock, verify, said };
}

describe("a real identity", () => {
  let issuer: Issuer;
  before(async () => {
    issuer = await startIssuer();
  });
  after(() => issuer.close());

  for (const user of [
    "auth0|5f7c8ec7c33c6c004bbafe82",
    "google-oauth2|103547991597142817347",
    "waad|MhLZ0Q9x-_",
    "-base64url_sub-",
    "_leading",
    "o'brien@example.com",
    "bob_gmail.com#EXT#@corp.onmicrosoft.com",
    "CORP\\bob",
    "Jürgen Müller",
    "山田太郎",
    "uid=bob,ou=people,dc=example,dc=com",
    "a",
  ])
    it(`passes: ${user}`, async () => {
      const { said } = verifierOf([settings(issuer)]);
      assert.equal(await said(await issuer.token({ sub: user })), user.normalize("NFC"));
    });

  for (const algorithm of ["ES384", "PS256", "EdDSA", "Ed25519"] as const)
    it(`passes when it is signed by ${algorithm}, and by nothing that is not allowed`, async (context) => {
      const signer = await startIssuer(algorithm);
      context.after(() => signer.close());
      const token = await signer.token({ sub: "alice" });
      assert.equal(await verifierOf([settings(signer, { algorithms: [algorithm] })]).said(token), "alice");
      assert.equal(await verifierOf([settings(signer)]).said(token), "invalid_token");
    });

  for (const [what, sub, why] of [
    ["with a line end", "alice\nadmin", /control characters/],
    ["with a NUL", "alice\u0000", /control characters/],
    ["with characters that are not seen", "ali\u200bce", /control characters/],
    ["that is written from right to left", "\u202eecila", /control characters/],
    ["with a blank at its end", "alice ", /spaces at its/],
    ["that is empty", "", /it is empty/],
    ["that is too long", "a".repeat(129), /longer than 128 characters/],
    ["that is a number", 7, /it is a number/],
  ] as const)
    it(`${what} is refused, and the answer and the log say why`, async () => {
      const { verify } = verifierOf([settings(issuer)]);
      const identity = await verify(await issuer.token({ sub }));
      assert.ok(identity.anonymous);
      assert.equal(identity.failure.code, "invalid_token");
      assert.match(identity.failure.message, why);
      assert.match(identity.failure.message, /claim sub/);
      assert.match(identity.failure.cause ?? "", why);
    });

  it("is the same in composed and decomposed characters", async () => {
    const { said } = verifierOf([settings(issuer)]);
    assert.equal(await said(await issuer.token({ sub: "Mu\u0308ller" })), "M\u00fcller");
  });

  it("has all its groups as tags, whatever their order, names with slashes and blanks too", async () => {
    const { verify } = verifierOf([settings(issuer, { claims: { tags: "groups" } })]);
    const many = Array.from({ length: 200 }, (_, at) => `group-${at}`);
    const identity = await verify(
      await issuer.token({ groups: [...many, "/llm/users", "Domain Users", "bad\ngroup"] }),
    );
    assert.ok(!identity.anonymous);
    assert.equal(identity.key.tags.length, 202);
    assert.ok(["/llm/users", "Domain Users", "group-199"].every((tag) => identity.key.tags.includes(tag)));
  });

  const roleNames = ["admin", "analyst", "developer", "readonly"];
  const roles: readonly [what: string, more: object, claim: unknown, expected: string | RegExp][] = [
    ["the one of a list that is a role", { roleNames }, ["offline_access", "analyst", "uma"], "analyst"],
    ["the default where none is", { roleNames }, ["offline_access", "uma"], "developer"],
    ["the first in the issuer's order", { roleNames, roles: ["admin", "analyst"] }, ["analyst", "admin"], "admin"],
    ["none of a list that the order doesn't name", { roleNames, roles: ["analyst"] }, ["admin", "uma"], "developer"],
    [
      "refused where several are and nobody says which",
      { roleNames },
      ["analyst", "admin"],
      /identity\.issuers\[\]\.roles/,
    ],
    ["what a list of one says", { roleNames }, ["analyst"], "analyst"],
  ];
  for (const [what, more, claim, expected] of roles)
    it(`has as its role ${what}`, async () => {
      const { verify } = verifierOf([settings(issuer, { ...more, claims: { role: "roles" } })]);
      const identity = await verify(await issuer.token({ roles: claim }));
      if (typeof expected === "string")
        assert.equal(identity.anonymous ? identity.failure.message : identity.key.role, expected);
      else assert.match(identity.anonymous ? identity.failure.message : "", expected);
    });

  for (const [claims, expected] of [
    [{ email: "alice@example.com", email_verified: false }, "invalid_token"],
    [{ email: "alice@example.com", email_verified: "false" }, "invalid_token"],
    [{ email: "alice@example.com", email_verified: true }, "alice@example.com"],
    [{ email: "alice@example.com" }, "alice@example.com"],
  ] as const)
    it(`by address is ${expected} for ${JSON.stringify(claims)}`, async () => {
      const { said } = verifierOf([settings(issuer, { claims: { user: "email" } })]);
      assert.equal(await said(await issuer.token(claims)), expected);
    });

  for (const [what, header, claims, expected] of [
    ["a JWT", { typ: "JWT" }, {}, "alice"],
    ["an access token", { typ: "at+jwt" }, {}, "alice"],
    ["an access token by its media type", { typ: "application/at+jwt" }, {}, "alice"],
    ["a logout token", { typ: "logout+jwt" }, {}, "invalid_token"],
    ["a logout token by its events", { typ: "JWT" }, { events: {} }, "invalid_token"],
    ["a proof of possession", { typ: "dpop+jwt" }, {}, "invalid_token"],
    ["a security event", { typ: "secevent+jwt" }, {}, "invalid_token"],
    ["Keycloak's refresh token", { typ: "JWT" }, { typ: "Refresh" }, "invalid_token"],
    ["Keycloak's access token", { typ: "JWT" }, { typ: "Bearer" }, "alice"],
  ] as const)
    it(`is ${expected === "alice" ? "taken from" : "not taken from"} ${what}`, async () => {
      const { said } = verifierOf([settings(issuer)]);
      assert.equal(await said(await issuer.token(claims, { header })), expected);
    });

  it("without a key id is checked with each key that fits", async () => {
    const two = await startIssuer();
    after(() => two.close());
    await two.rotate();
    const { said } = verifierOf([settings(two)]);
    assert.equal(await said(await two.token({}, { header: { kid: undefined } })), "alice");
  });
});

describe("forged tokens with a key id that exists", () => {
  it("take no turn from callers of other addresses, though thousands arrive at once", async () => {
    const issuer = await startIssuer();
    after(() => issuer.close());
    const { verify } = verifierOf([settings(issuer)]);
    const valid = await issuer.token({ sub: "first" });
    assert.ok(!(await verify(valid)).anonymous);
    const forge = (number: number): string => {
      const [head, payload] = valid.split(".");
      return `${head}.${payload}.${Buffer.alloc(64, `${number}`).toString("base64url")}`;
    };
    const genuine = await Promise.all(Array.from({ length: 20 }, (_, at) => issuer.token({ sub: `user-${at}` })));
    const forged = Array.from({ length: 3_000 }, (_, at) => verify(forge(at), "203.0.113.9"));
    const answers = await Promise.all(genuine.map((token, at) => verify(token, `198.51.100.${at}`)));
    assert.deepEqual(
      answers.map((identity) => (identity.anonymous ? identity.failure.code : identity.key.user)),
      genuine.map((_, at) => `user-${at}`),
    );
    const codes = (await Promise.all(forged)).map((identity) => identity.anonymous && identity.failure.code);
    assert.deepEqual([...new Set(codes)].sort(), ["identity_unavailable", "invalid_token"]);
  });
});

describe("an issuer that hangs", () => {
  it("takes no place from the tokens of others, nor from its own whose keys are known", async () => {
    const [slow, healthy] = [await startIssuer(), await startIssuer()];
    after(() => Promise.all([slow.close(), healthy.close()]));
    let hangs = false;
    const never = new Promise<never>(() => undefined);
    const fetchKeys: FetchJson = (url, about) => (hangs && url.startsWith(slow.url) ? never : fetchJson(url, about));
    const { clock, said } = verifierOf([settings(slow), settings(healthy, { name: "other" })], fetchKeys);
    assert.equal(await said(await slow.token({ sub: "first" })), "first");
    hangs = true;
    clock.now += 31_000;
    const forged = Array.from({ length: 300 }, async (_, at) =>
      said(await slow.token({ jti: `${at}` }, { header: { kid: `made-up-${at}` } })),
    );
    for (let at = 0; at < 20; at++) {
      assert.equal(await said(await healthy.token({ sub: `user-${at}` })), `user-${at}`);
      assert.equal(await said(await slow.token({ sub: `user-${at}` })), `user-${at}`);
    }
    assert.deepEqual(new Set(await Promise.all(forged)), new Set(["identity_unavailable"]));
  });

  it("from the start keeps its own users waiting for some seconds at most, and nobody else", async () => {
    const [slow, healthy] = [await startIssuer(), await startIssuer()];
    after(() => Promise.all([slow.close(), healthy.close()]));
    const never = new Promise<never>(() => undefined);
    const fetchKeys: FetchJson = (url, about) => (url.startsWith(slow.url) ? never : fetchJson(url, about));
    const { verify, said } = verifierOf([settings(slow), settings(healthy, { name: "other" })], fetchKeys);
    const waiting = Array.from({ length: 80 }, async (_, at) => verify(await slow.token({ sub: `user-${at}` })));
    assert.equal(await said(await healthy.token()), "alice");
    for (const identity of await Promise.all(waiting)) {
      assert.ok(identity.anonymous && identity.failure.code === "identity_unavailable");
      assert.ok((identity.failure.retryAfterMs ?? 0) > 0);
    }
  });
});

describe("a key that has just been rotated", () => {
  it("costs a 503 with a time to come back, and never a 401", async () => {
    const issuer = await startIssuer();
    after(() => issuer.close());
    const { clock, verify, said } = verifierOf([settings(issuer)]);
    assert.equal(await said(await issuer.token()), "alice");
    await issuer.rotate();
    const token = await issuer.token({ sub: "bob" });
    const early = await verify(token);
    assert.ok(early.anonymous && early.failure.code === "identity_unavailable");
    const retryAfterMs = early.failure.retryAfterMs ?? 0;
    assert.ok(retryAfterMs > 0 && retryAfterMs <= 10_000);
    clock.now += retryAfterMs;
    assert.equal(await said(token), "bob");
  });

  it("is not taken for a forged one while the issuer is away", async () => {
    const issuer = await startIssuer();
    after(() => issuer.close());
    const { clock, said } = verifierOf([settings(issuer)]);
    assert.equal(await said(await issuer.token()), "alice");
    await issuer.rotate();
    issuer.down(true);
    clock.now += 31_000;
    assert.equal(await said(await issuer.token({ sub: "bob" })), "identity_unavailable");
  });

  it("of the cluster's own is waited for, as the operator is about to publish it", async () => {
    const issuer = await startIssuer();
    after(() => issuer.close());
    const workload = {
      sub: "system:serviceaccount:team-b:worker",
      "kubernetes.io": { namespace: "team-b", serviceaccount: { name: "worker", uid: "u" } },
    };
    const cluster = settings(issuer, { kind: "Kubernetes", namespace: null, jwks: structuredClone(issuer.keys()) });
    const { clock, said } = verifierOf([cluster]);
    assert.equal(await said(await issuer.token(workload)), workload.sub);
    await issuer.rotate();
    assert.equal(await said(await issuer.token({ ...workload, jti: "1" })), "identity_unavailable");
    clock.now += 16_000;
    assert.equal(await said(await issuer.token({ ...workload, jti: "2" })), "invalid_token");
  });
});

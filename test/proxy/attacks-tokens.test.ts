/** Forged, confused, replayed and stolen tokens. Each is refused with its code, and no request goes to an attacker's server. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { CompactEncrypt, exportJWK, generateKeyPair, SignJWT } from "jose";
import { stringify } from "yaml";
import { removeFolder, temporaryFolder } from "../harness/child.ts";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { type Issuer, startIssuer } from "../harness/issuer.ts";
import { startUpstream, type Upstream } from "../harness/upstream.ts";

const b64 = (value: unknown): string =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

describe("attacks with tokens", () => {
  let upstream: Upstream;
  let evil: Upstream;
  let rsa: Issuer;
  let ec: Issuer;
  let stranger: Issuer;
  let gateway: TestGateway;
  let folder: string;

  before(async () => {
    [upstream, evil, rsa, ec, stranger] = await Promise.all([
      startUpstream(),
      startUpstream(),
      startIssuer("RS256"),
      startIssuer("ES256"),
      startIssuer("RS256"),
    ]);
    folder = await temporaryFolder("token-attacks");
    const shared = {
      kind: "OIDC",
      audiences: ["sluice"],
      allowPrivateEndpoint: true,
      namespace: "default",
      clockSkewSeconds: 0,
    };
    await writeFile(
      join(folder, "settings.yaml"),
      stringify({
        identity: {
          issuers: [
            { ...shared, name: "rsa", issuer: rsa.url, claims: { user: "sub", role: "role" } },
            { ...shared, name: "ec", issuer: ec.url, algorithms: ["ES256"] },
          ],
        },
      }),
    );
    gateway = await startGateway(
      [
        provider("up", upstream.url),
        secret("up-credentials", { apiKey: "sk-upstream" }),
        policy("chat", { match: { models: ["gpt-4o"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
        policy("admins", {
          match: { models: ["admin-model"] },
          access: { roles: ["admin"] },
          routing: { targets: [{ provider: { name: "up" }, model: "gpt-4o" }] },
        }),
        ...key("alice", "slc_alice_key_0001"),
      ],
      ["--settings", join(folder, "settings.yaml")],
    );
  });
  after(async () => {
    await gateway.close();
    for (const one of [upstream, evil, rsa, ec, stranger]) await one.close();
    removeFolder(folder);
  });

  const call = async (token: string, model = "gpt-4o"): Promise<string> => {
    const answer = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ model, messages: [{ role: "user", content: "Hi" }] }),
    });
    return `${answer.status} ${((await answer.json()) as { error?: { code: string } }).error?.code ?? "ok"}`;
  };

  const claims = (more: object = {}): Record<string, unknown> => {
    const now = Math.floor(Date.now() / 1000);
    return { iss: rsa.url, aud: "sluice", sub: "mallory", iat: now, exp: now + 300, ...more };
  };
  const forged = (header: object, payload: unknown, signature = ""): string =>
    `${b64(header)}.${b64(payload)}.${signature}`;
  const hmac = (header: object, payload: unknown, secretText: string | Uint8Array): string => {
    const input = `${b64(header)}.${b64(payload)}`;
    return `${input}.${createHmac("sha256", secretText).update(input).digest("base64url")}`;
  };
  /** A valid token with its payload replaced and its signature unchanged. */
  const tampered = async (more: object): Promise<string> => {
    const [header = "", payload = "", signature = ""] = (await rsa.token()).split(".");
    return `${header}.${b64({ ...(JSON.parse(Buffer.from(payload, "base64url").toString()) as object), ...more })}.${signature}`;
  };
  const own = async (header: object, payload = claims()): Promise<string> => {
    const pair = await generateKeyPair("RS256", { extractable: true });
    const jwk = await exportJWK(pair.publicKey);
    return new SignJWT(payload)
      .setProtectedHeader({ alg: "RS256", ...("jwk" in header ? { ...header, jwk } : header) })
      .sign(pair.privateKey);
  };

  const bad = "401 invalid_token";

  /** The issuer may have rotated its keys a moment ago; until its keys are read again, nobody can tell. */

  const unknownKey = "401 or 503";
  const late = "401 expired_token";
  const rows: [what: string, token: () => Promise<string> | string, expected: string][] = [
    ["alg none", () => forged({ alg: "none", kid: "key-1" }, claims()), bad],
    ["alg None", () => forged({ alg: "None", kid: "key-1" }, claims()), bad],
    ["alg NONE", () => forged({ alg: "NONE" }, claims()), bad],
    [
      "alg none with a signature",
      async () => forged({ alg: "none", kid: "key-1" }, claims(), (await rsa.token()).split(".")[2]),
      bad,
    ],
    ["no alg", () => forged({ kid: "key-1" }, claims(), "AAAA"), bad],
    ["an alg that is a list", () => forged({ alg: ["RS256", "none"], kid: "key-1" }, claims(), "AAAA"), bad],
    [
      "HS256 with the public key in PEM",
      async () => hmac({ alg: "HS256", kid: "key-1" }, claims(), await rsa.publicPem()),
      bad,
    ],
    [
      "HS256 with the public key in PEM, trimmed",
      async () => hmac({ alg: "HS256", kid: "key-1" }, claims(), (await rsa.publicPem()).trim()),
      bad,
    ],
    [
      "HS256 with the public key as JWK",
      async () => hmac({ alg: "HS256", kid: "key-1" }, claims(), JSON.stringify(await rsa.publicJwk())),
      bad,
    ],
    [
      "HS256 with the modulus",
      async () =>
        hmac({ alg: "HS256", kid: "key-1" }, claims(), Buffer.from((await rsa.publicJwk()).n ?? "", "base64url")),
      bad,
    ],
    ["HS256 with nothing", () => hmac({ alg: "HS256", kid: "key-1" }, claims(), ""), bad],
    ["HS256 with the gateway's upstream key", () => hmac({ alg: "HS256" }, claims(), "sk-upstream"), bad],
    ["a key of its own in the header", () => own({ jwk: true, kid: "key-1" }), bad],
    ["a key of its own by jku", () => own({ jku: `${evil.url}/keys`, kid: "evil" }), unknownKey],
    ["a key of its own by x5u", () => own({ x5u: `${evil.url}/cert`, kid: "evil" }), unknownKey],
    ["a key id that leads out of a folder", () => own({ kid: "../../../../dev/null" }), unknownKey],
    ["a key id that is SQL", () => own({ kid: "' OR 1=1 --" }), unknownKey],
    ["a key id that is an object's own", () => own({ kid: "__proto__" }), unknownKey],
    [
      "an extension that must be understood",
      () => forged({ alg: "RS256", kid: "key-1", crit: ["evil"], evil: true }, claims(), "AAAA"),
      bad,
    ],
    ["another issuer's key under the same id", async () => stranger.token({ iss: rsa.url }), bad],
    ["one trusted issuer's key for another trusted issuer", async () => ec.token({ iss: rsa.url }), bad],
    ["an algorithm that this issuer has not", async () => rsa.token({ iss: ec.url }), bad],
    ["a stranger's issuer", async () => stranger.token(), bad],
    ["an issuer with a slash more", async () => rsa.token({ iss: `${rsa.url}/` }), bad],
    ["an issuer that is a list", async () => rsa.token({ iss: [rsa.url] as never }), bad],
    ["no issuer", async () => rsa.token({ iss: undefined }), bad],
    ["another audience", async () => rsa.token({ aud: "another-service" }), bad],
    ["audiences without ours", async () => rsa.token({ aud: ["a", "sluice2", "SLUICE"] }), bad],
    ["no audience", async () => rsa.token({ aud: undefined }), bad],
    ["a changed user", () => tampered({ sub: "root" }), bad],
    ["a changed role", () => tampered({ role: "admin" }), bad],
    ["a longer life", () => tampered({ exp: 4_102_444_800 }), bad],
    ["no signature", async () => `${(await rsa.token()).split(".").slice(0, 2).join(".")}.`, bad],
    ["half a signature", async () => (await rsa.token()).slice(0, -40), bad],
    [
      "a signature of zeros (ES256)",
      async () =>
        forged({ alg: "ES256", kid: "key-1" }, claims({ iss: ec.url }), Buffer.alloc(64).toString("base64url")),
      bad,
    ],
    [
      "a signature of two tokens exchanged",
      async () =>
        `${(await rsa.token({ sub: "a" })).split(".").slice(0, 2).join(".")}.${(await rsa.token({ sub: "b" })).split(".")[2]}`,
      bad,
    ],
    ["expired", async () => rsa.token({ iat: 1_700_000_000, exp: 1_700_000_300 }), late],
    [
      "expired by a second",
      async () => rsa.token({ iat: Math.floor(Date.now() / 1000) - 60, exp: Math.floor(Date.now() / 1000) - 1 }),
      late,
    ],
    ["without an end", async () => rsa.token({ exp: undefined }), bad],
    [
      "an end that is a word",
      async () => forged({ alg: "RS256", kid: "key-1" }, claims({ exp: "never" }), "AAAA"),
      bad,
    ],
    ["a life of ten years", async () => rsa.token({ exp: Math.floor(Date.now() / 1000) + 315_360_000 }), bad],
    ["not valid yet", async () => rsa.token({ nbf: Math.floor(Date.now() / 1000) + 3600 }), bad],
    [
      "issued tomorrow",
      async () =>
        rsa.token({ iat: Math.floor(Date.now() / 1000) + 86_400, exp: Math.floor(Date.now() / 1000) + 86_700 }),
      bad,
    ],
    ["no time of issue", async () => rsa.token({ iat: undefined }), bad],
    [
      "encrypted instead of signed",
      async () =>
        new CompactEncrypt(Buffer.from(JSON.stringify(claims())))
          .setProtectedHeader({ alg: "RSA-OAEP-256", enc: "A256GCM" })
          .encrypt((await generateKeyPair("RSA-OAEP-256")).publicKey),
      "401 invalid_api_key",
    ],
    ["a payload that is no JSON", () => `${b64({ alg: "RS256" })}.${b64("not json")}.AAAA`, bad],
    ["a payload that is a list", () => forged({ alg: "RS256", kid: "key-1" }, [claims()], "AAAA"), bad],
    ["a header that is no JSON", () => `AAAA.${b64(claims())}.AAAA`, bad],
    ["a user that is an object", async () => rsa.token({ sub: { toString: "root" } as never }), bad],
    ["a user with a line end", async () => rsa.token({ sub: "a\r\nx: y" }), bad],
    ["padding", async () => `${await rsa.token()}==`, "401 invalid_api_key"],
    ["in quotes", async () => `"${await rsa.token()}"`, "401 invalid_api_key"],
    ["a good token and something more", async () => `${await rsa.token()} slc_alice_key_0001`, "401 invalid_api_key"],
    ["16 KB of it", () => `${"a".repeat(4000)}.${"b".repeat(4000)}.${"c".repeat(4000)}`, bad],
    ["the good one, at the end", async () => rsa.token(), "200 ok"],
  ];
  for (const [what, token, expected] of rows) {
    it(`${what}: ${expected}`, async () => {
      const before = upstream.requests.length;
      const answer = await call(await token());
      if (expected === unknownKey) assert.match(answer, /^(401 invalid_token|503 identity_unavailable)$/);
      else assert.equal(answer, expected);
      assert.equal(upstream.requests.length - before, expected === "200 ok" ? 1 : 0);
    });
  }

  it("a role claim grants only that role's permissions, and no other claim grants any", async () => {
    assert.equal(await call(await rsa.token({ role: "admin" }), "admin-model"), "200 ok");
    assert.equal(
      await call(await rsa.token({ roles: ["admin"], Role: "admin", "role ": "admin" }), "admin-model"),
      "403 access_denied",
    );
    assert.equal(await call(await ec.token({ role: "admin" }), "admin-model"), "403 access_denied");
  });

  it("an expired token is refused even if it was accepted before", async () => {
    const now = Math.floor(Date.now() / 1000);
    const end = now + 4;
    const token = await rsa.token({ iat: now - 10, exp: end });
    assert.equal(await call(token), "200 ok");
    await new Promise((resolve) => setTimeout(resolve, end * 1000 - Date.now() + 5));
    assert.equal(await call(token), late);
  });

  it("only the issuers' servers were asked for keys", () => {
    assert.deepEqual(evil.requests, []);
    assert.deepEqual(stranger.asked, []);
    assert.ok(rsa.asked.length <= 20, `${rsa.asked.length} fetches for all of these`);
  });
});

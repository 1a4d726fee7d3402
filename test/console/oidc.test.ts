/** Login by OpenID Connect, at a strict provider: what is refused, what rights it gives, and in a browser. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import axe from "axe-core";
import fastify, { type FastifyInstance } from "fastify";
import { CompactSign, generateKeyPair, SignJWT, UnsecuredJWT } from "jose";
import type { Browser } from "playwright-core";
import type { Reviews, TokenHolder } from "../../operator/cluster/reviews.ts";
import { OidcLogin } from "../../operator/console/oidc-login.ts";
import { cookieSeal } from "../../operator/console/sealed-cookie.ts";
import { serveConsole } from "../../operator/console/server.ts";
import { tokenGate } from "../../operator/console/token-gate.ts";
import { identity, renderedIssuers } from "../../operator/settings/identity.ts";
import { asOperatorSettings, type OperatorSettings } from "../../operator/settings/settings.ts";
import { directEgress, type Egress, egressOf } from "../../proxy/config/egress/egress.ts";
import { skipWithoutBrowser, startBrowser } from "../harness/browser.ts";
import { startConnectProxy } from "../harness/connect-proxy.ts";
import { freePort } from "../harness/free-port.ts";
import { type OidcProvider, type OidcProviderOptions, startOidcProvider } from "../harness/oidc-provider.ts";

const clientSecret = "s3cret/with+signs=";

interface Stand {
  url: string;
  provider: OidcProvider;
  /** Whom Kubernetes was asked about. */
  holders: TokenHolder[];
  failures: unknown[];
  laterMs: number;
  close(): Promise<void>;
}

/** Group oidc:platform may list everything, and nobody else anything. */
async function stand(
  oidc: object = {},
  provided: Partial<OidcProviderOptions> = {},
  egress: Egress = directEgress,
): Promise<Stand> {
  const url = `http://127.0.0.1:${await freePort()}`;
  const options = {
    clientId: "sluice-console",
    clientSecret,
    redirectUri: `${url}/console/oidc/callback`,
    ...provided,
  };
  const provider = await startOidcProvider(options);
  const entry = { name: "corp", kind: "OIDC", issuer: provider.issuer, audiences: ["sluice"], namespace: "team-a" };
  const issuers = [{ ...entry, allowPrivateEndpoint: true }];
  const given = {
    namespace: "n",
    identity: { issuers },
    console: { url, oidc: { issuer: "corp", clientId: "sluice-console", ...oidc } },
  };
  const { console: settings } = asOperatorSettings("settings", JSON.stringify(given));
  const [issuer] = renderedIssuers(identity.parse({ issuers }), null);
  assert.ok(issuer && settings?.oidc);
  const it: Stand = { url, provider, holders: [], failures: [], laterMs: 0, close: () => Promise.resolve() };
  const nowMs = (): number => Date.now() + it.laterMs;
  const kubernetes: Reviews = {
    holderOf: async () => null,
    async mayList(holder) {
      it.holders.push(holder);
      return holder.groups.includes("oidc:platform");
    },
  };
  const failed = (cause: unknown): void => void it.failures.push(cause);
  const seal = cookieSeal(async () => "a secret of the installation", nowMs);
  const login = new OidcLogin({
    settings: settings.oidc,
    issuer,
    clientSecret: options.clientSecret,
    url,
    seal,
    egress,
    nowMs,
    failed,
  });
  const app: FastifyInstance = fastify();
  serveConsole(app, {
    source: { read: async () => ({ config: null, revision: "", objects: [] }), proxies: async () => [] },
    gate: tokenGate(login.reviews(kubernetes), () => [], nowMs),
    oidc: login,
    nowMs,
    failed,
  });
  await app.listen({ host: "127.0.0.1", port: Number(new URL(url).port) });
  it.close = async () => {
    await app.close();
    await provider.close();
  };
  return it;
}

const get = (url: string, cookie = ""): Promise<Response> => fetch(url, { redirect: "manual", headers: { cookie } });
const cookiesIn = (response: Response): Map<string, string> =>
  new Map(response.headers.getSetCookie().map((line) => [line.split("=", 1)[0] ?? "", line]));
const pairOf = (line: string | undefined): string => (line ?? "").split(";", 1)[0] ?? "";

/** Up to the provider's page: the cookie that began the login, and where the provider would send the browser. */
async function begun({ url, provider }: Stand): Promise<{ cookie: string; yes: string; no: string }> {
  const start = await get(`${url}/console/oidc/login`);
  const cookie = pairOf(cookiesIn(start).get("sluice-console-login"));
  const place = new URL(start.headers.get("location") ?? "");
  assert.equal(place.origin, provider.issuer);
  const page = await (await fetch(`${provider.url}${place.pathname}${place.search}`)).text();
  const link = (id: string): string => new RegExp(`id="${id}" href="([^"]+)"`).exec(page)?.[1] ?? "";
  return { cookie, yes: link("yes"), no: link("no") };
}

async function loggedIn(there: Stand): Promise<Response> {
  const { cookie, yes } = await begun(there);
  return get(yes, cookie);
}

const failureOf = (response: Response): string | null =>
  new URL(response.headers.get("location") ?? "", "http://x").searchParams.get("login");
const sessionOf = (response: Response): string => pairOf(cookiesIn(response).get("sluice-console"));
const read = (there: Stand, session: string): Promise<Response> => get(`${there.url}/console/api/session`, session);

describe("a login by OpenID Connect", () => {
  let there: Stand;
  before(async () => {
    there = await stand();
  });
  after(() => there?.close());
  beforeEach(() => {
    there.provider.claims = {};
    there.provider.signer = null;
    there.provider.down(false);
    there.laterMs = 0;
    there.holders.length = 0;
    there.failures.length = 0;
  });

  it("asks Kubernetes about the user and groups of the ID token, with prefixes", async () => {
    const answer = await loggedIn(there);
    assert.equal(answer.headers.get("location"), `${there.url}/console/`);
    const session = await read(there, sessionOf(answer));
    assert.deepEqual(await session.json(), { login: "token", user: "oidc:auth0|ann", namespaces: null });
    assert.deepEqual(there.holders[0], {
      user: "oidc:auth0|ann",
      uid: "",
      groups: ["oidc:platform", "system:authenticated"],
      extra: {},
    });
    assert.deepEqual(there.provider.refusals, []);
  });

  it("gives who may list nothing a session that shows nothing", async () => {
    there.provider.claims = { groups: ["sales"] };
    const session = await read(there, sessionOf(await loggedIn(there)));
    assert.deepEqual(await session.json(), { login: "token", user: "oidc:auth0|ann", namespaces: [] });
  });

  it("never takes over a name that only Kubernetes gives out", async (context) => {
    const bare = await stand({ userPrefix: "", groupsPrefix: "" });
    context.after(() => bare.close());
    bare.provider.claims = { groups: ["system:masters", "staff"] };
    await read(bare, sessionOf(await loggedIn(bare)));
    assert.deepEqual(bare.holders[0]?.groups, ["staff", "system:authenticated"]);
    bare.provider.claims = { sub: "system:admin" };
    assert.equal(failureOf(await loggedIn(bare)), "no_user");
  });

  it("keeps what it needs in cookies that scripts and other sites can't use", async () => {
    const start = await get(`${there.url}/console/oidc/login`);
    const answer = await loggedIn(there);
    assert.match(
      cookiesIn(start).get("sluice-console-login") ?? "",
      /; Path=\/console\/oidc; HttpOnly; SameSite=Lax; Max-Age=600$/,
    );
    assert.match(
      cookiesIn(answer).get("sluice-console") ?? "",
      /; Path=\/console; HttpOnly; SameSite=Strict; Max-Age=3600$/,
    );
    assert.match(cookiesIn(answer).get("sluice-console-login") ?? "", /^sluice-console-login=; .*Max-Age=0/);
    // Encrypted: neither the verifier nor the user can be read.
    for (const line of [...cookiesIn(start).values(), ...cookiesIn(answer).values()])
      for (const part of pairOf(line).split("."))
        assert.doesNotMatch(atob(part.replaceAll(/[-_]/g, "A").replace(/^.*[=~]/, "")), /verifier|ann/);
    assert.equal(answer.headers.get("referrer-policy"), "no-referrer");
    assert.equal(answer.headers.get("cache-control"), "no-store");
  });

  it("ends with its time, and takes nothing else for a session", async () => {
    const started = await get(`${there.url}/console/oidc/login`);
    const session = sessionOf(await loggedIn(there));
    assert.equal((await read(there, session)).status, 200);
    // Not the last character, some of whose bits stand for nothing.
    const forged = `${session.slice(0, -9)}${session.at(-9) === "A" ? "B" : "A"}${session.slice(-8)}`;
    for (const other of [
      `sluice-console=oidc~${pairOf(cookiesIn(started).get("sluice-console-login")).split("=")[1]}`,
      forged,
      "sluice-console=oidc~",
      "sluice-console=oidc~a.b.c.d.e",
    ])
      assert.equal((await read(there, other)).status, 401, other);
    there.laterMs = 3_601_000;
    assert.equal((await read(there, session)).status, 401);
  });

  it("begins on the host that the provider sends the browser back to", async () => {
    const start = await get(`${there.url.replace("127.0.0.1", "localhost")}/console/oidc/login`);
    assert.equal(start.headers.get("location"), `${there.url}/console/oidc/login`);
    assert.deepEqual(start.headers.getSetCookie(), []);
  });

  for (const [what, changed] of [
    ["without the cookie that began it", ({ yes }: { yes: string }) => ({ url: yes, cookie: "" })],
    [
      "without state",
      ({ yes, cookie }: { yes: string; cookie: string }) => ({ url: yes.replace(/&state=.*/, ""), cookie }),
    ],
    [
      "with another state",
      ({ yes, cookie }: { yes: string; cookie: string }) => ({ url: yes.replace(/state=./, "state=_"), cookie }),
    ],
    [
      "with a forged cookie",
      ({ yes, cookie }: { yes: string; cookie: string }) => ({ url: yes, cookie: `${cookie.slice(0, -4)}AAAA` }),
    ],
  ] as const)
    it(`is refused ${what}`, async () => {
      const { url, cookie } = changed(await begun(there));
      const answer = await get(url, cookie);
      assert.deepEqual([failureOf(answer), sessionOf(answer)], ["expired", ""]);
    });

  it("is refused ten minutes after it began", async () => {
    const { yes, cookie } = await begun(there);
    there.laterMs = 601_000;
    assert.equal(failureOf(await get(yes, cookie)), "expired");
  });

  it("is refused with another login's cookie: the answer belongs to one browser", async () => {
    const [mine, theirs] = [await begun(there), await begun(there)];
    assert.equal(failureOf(await get(theirs.yes, mine.cookie)), "expired");
  });

  it("is refused with a code a second time", async () => {
    const { yes, cookie } = await begun(there);
    assert.equal(failureOf(await get(yes, cookie)), null);
    assert.equal(failureOf(await get(yes, cookie)), "refused");
    assert.match(String(there.failures.at(-1)), /answered 400 invalid_grant/);
  });

  it("is refused with another issuer's answer", async () => {
    const { yes, cookie } = await begun(there);
    assert.equal(failureOf(await get(`${yes}&iss=https%3A%2F%2Fevil.example.com`, cookie)), "refused");
  });

  it("says that the person was refused, and nothing of an error that is anybody's text", async () => {
    const { no, cookie } = await begun(there);
    assert.equal(failureOf(await get(no, cookie)), "denied");
    const odd = await get(no.replace("access_denied", encodeURIComponent("<b>Call 555</b>")), cookie);
    assert.equal(failureOf(odd), "refused");
    assert.ok(there.failures.every((cause) => !String(cause).includes("555")));
  });

  for (const [what, claims, failure] of [
    ["for another nonce", { nonce: "another" }, "refused"],
    ["without a nonce", { nonce: undefined }, "refused"],
    ["for another client", { aud: "another" }, "refused"],
    ["for several clients, without saying which", { aud: ["sluice-console", "another"] }, "refused"],
    ["for another authorised party", { azp: "another" }, "refused"],
    ["of another issuer", { iss: "https://evil.example.com" }, "refused"],
    ["that has expired", { exp: Math.floor(Date.now() / 1000) - 600 }, "refused"],
    ["that never expires", { exp: undefined }, "refused"],
    ["without a subject", { sub: undefined }, "refused"],
    ["with a subject that is no text", { sub: 7 }, "no_user"],
    ["with control characters", { sub: "ann\n" }, "no_user"],
    [
      "with too many groups for a cookie",
      { groups: Array.from({ length: 300 }, (_, n) => `group-${n}`) },
      "too_many_groups",
    ],
  ] as const)
    it(`refuses an ID token ${what}`, async () => {
      there.provider.claims = claims;
      const answer = await loggedIn(there);
      assert.deepEqual([failureOf(answer), sessionOf(answer)], [failure, ""]);
    });

  it("refuses an address that is not verified, where the user is named by it", async (context) => {
    const byMail = await stand({ userClaim: "email" });
    context.after(() => byMail.close());
    assert.equal(failureOf(await loggedIn(byMail)), null);
    byMail.provider.claims = { email_verified: false };
    assert.equal(failureOf(await loggedIn(byMail)), "unverified");
  });

  for (const [what, signer] of [
    ["by nobody", async (claims: object) => new UnsecuredJWT({ ...claims }).encode()],
    [
      "by HMAC with the client's secret",
      (claims: object) =>
        new SignJWT({ ...claims })
          .setProtectedHeader({ alg: "HS256" })
          .sign(new TextEncoder().encode(clientSecret.repeat(2))),
    ],
    [
      "by a foreign key with the provider's key id",
      async (claims: object) => {
        const { privateKey } = await generateKeyPair("ES256");
        const header = { alg: "ES256", kid: "key-1" };
        return new CompactSign(new TextEncoder().encode(JSON.stringify(claims)))
          .setProtectedHeader(header)
          .sign(privateKey);
      },
    ],
  ] as const)
    it(`refuses an ID token signed ${what}`, async () => {
      there.provider.signer = signer;
      assert.equal(failureOf(await loggedIn(there)), "refused");
    });

  it("goes on after the provider rotates its key", async () => {
    assert.equal(failureOf(await loggedIn(there)), null);
    await there.provider.rotate();
    assert.equal(failureOf(await loggedIn(there)), null);
  });

  it("says where the provider can't be reached, and tells the log why", async (context) => {
    const fresh = await stand();
    context.after(() => fresh.close());
    fresh.provider.down(true);
    assert.equal(failureOf(await get(`${fresh.url}/console/oidc/login`)), "unreachable");
    assert.match(String(fresh.failures[0]), /openid-configuration answered 503/);
  });

  for (const [what, oidc, provided] of [
    ["a public client", {}, { clientSecret: "" }],
    ["a client that posts its secret", {}, { auth: "client_secret_post" }],
    ["only the groups that count", { groups: ["platform"] }, {}],
  ] as const)
    it(`works for ${what}`, async (context) => {
      const other = await stand(oidc, provided);
      context.after(() => other.close());
      other.provider.claims = {
        groups: ["platform", ...Array.from({ length: "groups" in oidc ? 300 : 0 }, (_, n) => `g-${n}`)],
      };
      const answer = await loggedIn(other);
      assert.equal(failureOf(answer), null);
      assert.equal((await read(other, sessionOf(answer))).status, 200);
      assert.deepEqual(other.provider.refusals, []);
    });

  it("asks the provider through the egress proxy", async (context) => {
    const routes: Record<string, number> = {};
    const proxy = await startConnectProxy({ routes });
    const egress = egressOf({ HTTP_PROXY: proxy.url });
    const other = await stand({}, { issuer: "http://idp.example.test" }, egress);
    routes["idp.example.test:80"] = Number(new URL(other.provider.url).port);
    context.after(async () => {
      await other.close();
      await proxy.close();
    });
    assert.equal(failureOf(await loggedIn(other)), null);
    assert.deepEqual([new Set(proxy.asked), proxy.complaints], [new Set(["idp.example.test:80"]), []]);
  });

  it("ends by logging out, which another site can't do for its visitor", async () => {
    const post = (site: string): Promise<Response> =>
      fetch(`${there.url}/console/api/logout`, { method: "POST", headers: { "sec-fetch-site": site } });
    assert.equal((await post("cross-site")).status, 403);
    assert.match((await post("same-origin")).headers.get("set-cookie") ?? "", /^sluice-console=; .*Max-Age=0/);
  });
});

describe("settings of the login", () => {
  const corp = { name: "corp", kind: "OIDC", issuer: "https://idp.example.com", audiences: ["sluice"], namespace: "a" };
  const parsed = (given: object): OperatorSettings =>
    asOperatorSettings(
      "settings.yaml",
      JSON.stringify({
        namespace: "n",
        identity: { issuers: [corp, { name: "here", kind: "Kubernetes", audiences: ["s"] }] },
        ...given,
      }),
    );
  const oidc = { issuer: "corp", clientId: "c" };
  for (const [what, settings, message] of [
    ["no address", { oidc }, /console\.url: needed for console\.oidc/],
    [
      "an address without TLS",
      { url: "http://sluice.example.com", oidc },
      /console\.url: must be a URL without a path/,
    ],
    [
      "an address with a path",
      { url: "https://example.com/sluice", oidc },
      /console\.url: must be a URL without a path/,
    ],
    [
      "an issuer that isn't there",
      { url: "https://s.example.com", oidc: { ...oidc, issuer: "corb" } },
      /no entry with the name corb/,
    ],
    [
      "an issuer of ServiceAccounts",
      { url: "https://s.example.com", oidc: { ...oidc, issuer: "here" } },
      /must be of kind OIDC/,
    ],
    [
      "scopes without openid",
      { url: "https://s.example.com", oidc: { ...oidc, scopes: ["email"] } },
      /must have openid/,
    ],
    [
      "a prefix of Kubernetes itself",
      { url: "https://s.example.com", oidc: { ...oidc, groupsPrefix: "system:" } },
      /must not begin with system:/,
    ],
  ] as const)
    it(`refuse ${what}`, () => assert.throws(() => parsed({ console: settings }), message));
  it("need an issuer and a client id", () => {
    assert.equal(parsed({ console: { url: "https://s.example.com", oidc } }).console?.oidc?.sessionMinutes, 60);
  });
});

describe("the console with a login by OpenID Connect", { skip: await skipWithoutBrowser() }, () => {
  let there: Stand;
  let browser: Browser;
  before(async () => {
    there = await stand({ label: "Corp" });
    browser = await startBrowser();
  });
  after(async () => {
    await browser?.close();
    await there?.close();
  });

  it("lets in by way of the provider, stays so after a reload, and lets out", async () => {
    const page = await browser.newPage();
    const blocked: string[] = [];
    page.on("console", (message) => {
      if (/Content Security Policy/.test(message.text())) blocked.push(message.text());
    });
    await page.goto(`${there.url}/console/`);
    const session = await page.context().newCDPSession(page);
    await page.getByRole("link", { name: "Log in with Corp" }).waitFor();
    await session.send("Runtime.evaluate", { expression: axe.source });
    const found = (await page.evaluate("axe.run().then(({ violations }) => violations)")) as {
      id: string;
      impact: string;
    }[];
    assert.deepEqual(
      found.filter(({ impact }) => impact === "serious" || impact === "critical").map(({ id }) => id),
      [],
    );
    await page.getByRole("link", { name: "Log in with Corp" }).click();
    await page.getByText("Log in as Ann").click();
    await page.getByText("oidc:auth0|ann", { exact: true }).waitFor();
    assert.equal(page.url().split("#")[0], `${there.url}/console/`);
    assert.equal(await page.evaluate("document.cookie"), "");
    await page.reload();
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByRole("link", { name: "Log in with Corp" }).waitFor();
    await page.reload();
    await page.getByRole("link", { name: "Log in with Corp" }).waitFor();
    assert.deepEqual(blocked, []);
    await page.close();
  });

  it("says once why a login failed, and offers it again", async () => {
    const page = await browser.newPage();
    await page.goto(`${there.url}/console/`);
    await page.getByRole("link", { name: "Log in with Corp" }).click();
    await page.getByText("Cancel").click();
    await page.getByRole("alert").getByText("The identity provider did not let you in").waitFor();
    assert.equal(page.url(), `${there.url}/console/`);
    await page.reload();
    await page.getByRole("link", { name: "Log in with Corp" }).waitFor();
    assert.equal(await page.getByRole("alert").count(), 0);
    await page.goto(`${there.url}/console/?login=%3Cb%3Efree%20money`);
    await page.getByRole("link", { name: "Log in with Corp" }).waitFor();
    assert.equal(await page.getByText("free money").count(), 0);
    await page.close();
  });
});

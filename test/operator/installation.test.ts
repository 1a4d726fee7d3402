import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { issuerIn } from "../../operator/cluster/issuer.ts";
import {
  installation,
  knowsCountries,
  readInstallation,
  renderedSettings,
} from "../../operator/settings/installation.ts";
import { parseOperatorArguments } from "../../operator/settings/settings.ts";
import { type RenderedConfig, settings } from "../../proxy/config/schema.ts";
import { certificateAuthority } from "../harness/certificates.ts";
import { removeFolder, temporaryFolder } from "../harness/child.ts";

const oidc = {
  name: "corp",
  kind: "OIDC",
  issuer: "https://id.example.com",
  audiences: ["sluice"],
  namespace: "team-a",
};
const jwks = { keys: [{ kty: "EC", crv: "P-256", x: "x", y: "y" }] };

const { cert: authority, key: authorityKey } = await certificateAuthority();

describe("settings of an installation", () => {
  const refused: [what: string, given: object, says: RegExp][] = [
    ["a proxy that is not a network", { origins: { trustedProxies: ["ingress.example.com"] } }, /must be a network/],
    [
      "a country header that nobody may set",
      { origins: { countryHeader: "x-country" } },
      /believed from trustedProxies only/,
    ],
    [
      "an issuer without a namespace",
      { identity: { issuers: [{ ...oidc, namespace: undefined }] } },
      /expected string/,
    ],
    ["an issuer without an audience", { identity: { issuers: [{ ...oidc, audiences: [] }] } }, /Too small/],
    [
      "an algorithm that a public key could sign with",
      { identity: { issuers: [{ ...oidc, algorithms: ["HS256"] }] } },
      /Invalid option/,
    ],
    ["no algorithm at all", { identity: { issuers: [{ ...oidc, algorithms: ["none"] }] } }, /Invalid option/],
    ["two issuers of one name", { identity: { issuers: [oidc, oidc] } }, /two issuers have the same name/],
    [
      "keys in two places",
      { identity: { issuers: [{ ...oidc, jwksUrl: "https://id.example.com/keys", jwks }] } },
      /not both/,
    ],
    [
      "a secret for a public key",
      { identity: { issuers: [{ ...oidc, jwks: { keys: [{ kty: "oct", k: "c2VjcmV0" }] } }] } },
      /must be a public key/,
    ],
    [
      "keys over plain http",
      { identity: { issuers: [{ ...oidc, issuer: "http://id.example.com" }] } },
      /must come over https/,
    ],
    [
      "an authority that is not a certificate",
      { identity: { issuers: [{ ...oidc, caBundle: "c2VjcmV0" }] } },
      /caBundle must be whole certificates in PEM/,
    ],
    [
      "an authority for keys that nobody fetches",
      { identity: { issuers: [{ ...oidc, jwks, caBundle: authority }] } },
      /caBundle is for keys that are fetched/,
    ],
    [
      "an authority for keys without TLS",
      {
        identity: {
          issuers: [{ ...oidc, issuer: "http://id.example.com", allowPrivateEndpoint: true, caBundle: authority }],
        },
      },
      /caBundle is for keys that are fetched over https/,
    ],
    [
      "an authority for keys that the cluster tells",
      { identity: { issuers: [{ name: "k", kind: "Kubernetes", audiences: ["sluice"], caBundle: authority }] } },
      /caBundle is for keys that are fetched/,
    ],
    [
      "a key next to an authority",
      { identity: { issuers: [{ ...oidc, caBundle: `${authority}\n${authorityKey}` }] } },
      /holds a private key; take it out/,
    ],
    [
      "keys of no issuer",
      { identity: { issuers: [{ name: "k", kind: "Kubernetes", audiences: ["sluice"], jwks }] } },
      /needs issuer as well/,
    ],
    ["a field that nobody reads", { identity: { issuers: [{ ...oidc, secret: "x" }] } }, /Unrecognized key/],
  ];
  for (const [what, given, says] of refused) {
    it(`are refused with ${what}`, () => {
      const parsed = installation.safeParse(given);
      assert.ok(!parsed.success);
      assert.match(parsed.error.message, says);
    });
  }

  it("reach the proxy as it reads them, and an issuer whose keys the cluster has not provided is left out", () => {
    const given = installation.parse({
      origins: { trustedProxies: ["10.0.0.0/8"], countryHeader: "x-country" },
      identity: {
        issuers: [
          { ...oidc, clockSkewSeconds: 5, defaults: { tags: ["b", "a"] } },
          { name: "cluster", kind: "Kubernetes", audiences: ["sluice"] },
        ],
      },
    });
    assert.equal(knowsCountries(given), true);
    const names = (cluster: Parameters<typeof renderedSettings>[1]) =>
      settings.parse(renderedSettings(given, cluster)).identity.issuers.map((issuer) => issuer.name);
    assert.deepEqual(names(null), ["corp"]);
    assert.deepEqual(names({ issuer: "https://kubernetes.default.svc", jwks }), ["corp", "cluster"]);
    const [corp, cluster] = settings.parse(renderedSettings(given, { issuer: "https://kubernetes.default.svc", jwks }))
      .identity.issuers;
    assert.deepEqual([corp?.clockSkewMs, corp?.defaults.tags, corp?.claims.user], [5_000, ["a", "b"], "sub"]);
    assert.deepEqual(
      [cluster?.issuer, cluster?.jwks, cluster?.namespace],
      ["https://kubernetes.default.svc", jwks, null],
    );
  });

  it("keep what is published of the cluster's issuer, under the same name only", () => {
    const { identity } = installation.parse({
      identity: { issuers: [{ name: "cluster", kind: "Kubernetes", audiences: ["sluice"] }] },
    });
    const known = { issuer: "https://kubernetes.default.svc", jwks };
    const config = (name: string, more: object = {}): RenderedConfig => {
      const one = installation.parse({
        identity: { issuers: [{ name, kind: "Kubernetes", audiences: ["sluice"], ...more }] },
      });
      return {
        settings: settings.parse(renderedSettings(one, known)),
        providers: [],
        routes: [],
        budgets: [],
        keys: [],
      };
    };
    assert.deepEqual(issuerIn(config("cluster"), identity), known);
    assert.equal(issuerIn(config("other"), identity), null);
    assert.equal(issuerIn(null, identity), null);
  });

  const files: [what: string, text: string, says: RegExp][] = [
    [
      "a field of the wrong form",
      "origins: { trustedProxies: [ingress] }",
      /settings\.yaml: origins\.trustedProxies\.0: must be a network/,
    ],
    ["a field that is unknown", "trustedProxies: []", /settings\.yaml: .*Unrecognized key/],
    [
      "a role that nobody defined",
      "identity: { issuers: [{ name: c, kind: Kubernetes, audiences: [a], defaults: { role: worker } }] }",
      /settings\.yaml: identity\.issuers\.0\.defaults\.role: no role worker is defined/,
    ],
  ];
  for (const [what, text, says] of files) {
    it(`in a file with ${what} keep dev and operator from starting, and say where`, async () => {
      const folder = await temporaryFolder("installation");
      await writeFile(join(folder, "settings.yaml"), text);
      await assert.rejects(readInstallation(join(folder, "settings.yaml")), says);
      await writeFile(join(folder, "settings.yaml"), `namespace: n\n${text}`);
      await assert.rejects(parseOperatorArguments(["--settings", join(folder, "settings.yaml")]), says);
      removeFolder(folder);
    });
  }
});

/** An OIDC issuer on loopback: discovery, keys that rotate, and tokens as a test wants them. */
import { Buffer } from "node:buffer";
import { CompactSign, type CryptoKey, exportJWK, exportSPKI, generateKeyPair, type JWK } from "jose";
import type { Pair } from "./certificates.ts";
import { json, startUpstream } from "./upstream.ts";

export interface Issuer {
  url: string;
  /** Paths asked for so far. */
  asked: string[];
  /** A good token for the audience sluice; `claims` over it, undefined removes one. `written`: what becomes of its JSON. */
  token(
    claims?: Record<string, unknown>,
    more?: {
      header?: Record<string, unknown>;
      lifeSeconds?: number;
      key?: CryptoKey;
      written?: (json: string) => string;
    },
  ): Promise<string>;
  /** A new key pair; the old public key goes with `drop`. */
  rotate(drop?: boolean): Promise<void>;
  /** Answers nothing but 500 from now on, or answers again. */
  down(is: boolean): void;
  /** The public key in use, in PEM. */
  publicPem(): Promise<string>;
  publicJwk(): Promise<JWK>;
  keys(): { keys: JWK[] };
  close(): Promise<void>;
}

/** `tls`: PEM; then it speaks nothing else. */
export async function startIssuer(algorithm = "ES256", tls: Pair | null = null): Promise<Issuer> {
  const published: JWK[] = [];
  let current: { publicKey: CryptoKey; privateKey: CryptoKey };
  let count = 0;
  const rotate = async (drop = false): Promise<void> => {
    current = await generateKeyPair(algorithm, { extractable: true });
    if (drop) published.length = 0;
    published.push({ ...(await exportJWK(current.publicKey)), kid: `key-${++count}`, alg: algorithm, use: "sig" });
  };
  await rotate();
  let broken = false;
  const asked: string[] = [];
  const server = await startUpstream((request, response) => {
    asked.push(request.path);
    if (broken) return json(response, 500, {});
    if (request.path === "/.well-known/openid-configuration")
      return json(response, 200, { issuer: server.url, jwks_uri: `${server.url}/keys` });
    if (request.path === "/keys") return json(response, 200, { keys: published });
    json(response, 404, {});
  }, tls);
  return {
    url: server.url,
    asked,
    async token(claims = {}, more = {}) {
      const now = Math.floor(Date.now() / 1000);
      const payload: Record<string, unknown> = {
        iss: server.url,
        aud: "sluice",
        sub: "alice",
        iat: now,
        exp: now + (more.lifeSeconds ?? 300),
        ...claims,
      };
      for (const name of Object.keys(payload)) if (payload[name] === undefined) delete payload[name];
      const text = JSON.stringify(payload);
      return new CompactSign(Buffer.from(more.written?.(text) ?? text))
        .setProtectedHeader({ alg: algorithm, kid: `key-${count}`, ...more.header } as { alg: string })
        .sign(more.key ?? current.privateKey);
    },
    rotate,
    down(is) {
      broken = is;
    },
    publicPem: () => exportSPKI(current.publicKey),
    publicJwk: () => exportJWK(current.publicKey),
    keys: () => ({ keys: published }),
    close: () => server.close(),
  };
}

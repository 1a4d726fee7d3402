/** Serves the page's files, compressed, with headers that keep other content out of the page. */
import { Buffer } from "node:buffer";
import { hash } from "node:crypto";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { PageFiles } from "./bundle-page.ts";
import { pageFiles } from "./page-files.ts";

export const consolePath = "/console";

/** Nothing is loaded from other origins, only the page's own scripts run, and no other page may frame it. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

export function protect(reply: FastifyReply): void {
  reply.headers({
    "content-security-policy": policy,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
  });
}

const types: Readonly<Record<keyof PageFiles, string>> = {
  "index.html": "text/html; charset=utf-8",
  "app.js": "text/javascript; charset=utf-8",
  "app.css": "text/css; charset=utf-8",
  "icon.svg": "image/svg+xml",
};

interface Asset {
  type: string;
  etag: string;
  plain: Buffer;
  compressed: Buffer;
}

async function assetOf(name: keyof PageFiles, text: string): Promise<Asset> {
  const plain = Buffer.from(text);
  const etag = `"${hash("sha256", plain, "base64url").slice(0, 22)}"`;
  return { type: types[name], etag, plain, compressed: await promisify(gzip)(plain, { level: 9 }) };
}

function send(asset: Asset, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  reply.headers({ "content-type": asset.type, etag: asset.etag, "cache-control": "no-cache", vary: "accept-encoding" });
  if (request.headers["if-none-match"]?.includes(asset.etag)) return reply.code(304).send();
  if (!/\bgzip\b/.test(request.headers["accept-encoding"]?.toString() ?? "")) return reply.send(asset.plain);
  return reply.header("content-encoding", "gzip").send(asset.compressed);
}

export function serveAssets(app: FastifyInstance): void {
  const assets = new Map<keyof PageFiles, Promise<Asset>>();
  const assetAt = (name: keyof PageFiles): Promise<Asset> => {
    const cached = assets.get(name) ?? pageFiles().then((files) => assetOf(name, files[name]));
    assets.set(name, cached);
    return cached;
  };
  app.get(consolePath, (_request, reply) => reply.redirect(`${consolePath}/`, 308));
  app.get(`${consolePath}/`, async (request, reply) => send(await assetAt("index.html"), request, reply));
  for (const name of ["app.js", "app.css", "icon.svg"] as const)
    app.get(`${consolePath}/${name}`, async (request, reply) => send(await assetAt(name), request, reply));
}

/**
 * Who may use the console: with a login, holders of a Kubernetes token, kept in a cookie; without one, everyone on this
 * machine.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import { consolePath } from "./assets.ts";
import { everyone, type Viewer } from "./viewer.ts";

export interface Gate {
  login: "token" | "none";
  /** null if the token is missing or not valid. */
  viewer(token: string | null): Promise<Viewer | null>;
}

/** For a listener on loopback. */
export const openGate: Gate = { login: "none", viewer: () => Promise.resolve(everyone) };

export const sessionCookie = "sluice-console";
/** Browsers keep cookies of up to 4,096 bytes, with their attributes. */
export const maxTokenChars = 3_800;
const sessionSeconds = 8 * 3_600;
const tokenForm = /^[A-Za-z0-9._~+/=-]+$/;

export const isTokenForm = (token: string): boolean => tokenForm.test(token);

export function cookieIn(request: FastifyRequest, wanted: string): string | null {
  for (const part of (request.headers.cookie ?? "").split(/; */)) {
    const [name, value] = [part.slice(0, part.indexOf("=")), part.slice(part.indexOf("=") + 1)];
    if (name === wanted && tokenForm.test(value)) return value;
  }
  return null;
}

export const tokenIn = (request: FastifyRequest): string | null => cookieIn(request, sessionCookie);

/** No script can read the cookie, and no other site can send it. */
function setCookie(request: FastifyRequest, reply: FastifyReply, value: string, seconds: number): void {
  const secure = request.headers["x-forwarded-proto"] === "https" || request.protocol === "https" ? "; Secure" : "";
  reply.header(
    "set-cookie",
    `${sessionCookie}=${value}; Path=${consolePath}; HttpOnly; SameSite=Strict; Max-Age=${seconds}${secure}`,
  );
}

export const logIn = (request: FastifyRequest, reply: FastifyReply, token: string): void =>
  setCookie(request, reply, token, sessionSeconds);

export const logOut = (request: FastifyRequest, reply: FastifyReply): void => setCookie(request, reply, "", 0);

/**
 * Without a login, a page on another site could reach the console through a DNS name that resolves to this machine.
 * Such a request has that name in its Host header.
 */
export const isLocalHost = (host: string | undefined): boolean =>
  /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/i.test(host ?? "");

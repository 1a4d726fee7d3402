/** Requests to an issuer. Its certificate must be of the given authorities; redirects are not followed. */
import { Buffer } from "node:buffer";
import { request as httpRequest, type RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import { tunnelAgent } from "../../proxy/config/egress/agents.ts";
import type { Egress } from "../../proxy/config/egress/egress.ts";

const timeoutMs = 10_000;
const maxBytes = 1_048_576;

export interface IssuerRequest {
  method: "GET" | "POST";
  headers?: Readonly<Record<string, string>>;
  body?: string;
}

/** Settings for all requests to an issuer. */
export interface IssuerRoute {
  /** PEM; null for the public authorities. */
  ca: string | null;
  allowPrivate: boolean;
  egress: Egress;
}

export interface IssuerAnswer {
  status: number;
  json: Readonly<Record<string, unknown>>;
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
  } catch {
    return {};
  }
}

/** Rejects if no complete answer arrives in time. A body that isn't a JSON object becomes an empty one. */
export function askIssuer(url: string, request: IssuerRequest, route: IssuerRoute): Promise<IssuerAnswer> {
  const { method, headers = {}, body = "" } = request;
  const { ca, allowPrivate, egress } = route;
  const target = new URL(url);
  const { host, pathname } = target;
  const agent = tunnelAgent(egress, target, allowPrivate);
  return new Promise((resolve, reject) => {
    const options: RequestOptions & { ca?: string } = {
      method,
      headers: { accept: "application/json", "content-length": Buffer.byteLength(body), ...headers },
      signal: AbortSignal.timeout(timeoutMs),
      ...(ca === null ? {} : { ca }),
      ...(agent === null ? {} : { agent }),
    };
    const failed = (cause: Error): void => reject(new Error(`${host}${pathname}: ${cause.message}`, { cause }));
    const call = (url.startsWith("https:") ? httpsRequest : httpRequest)(url, options, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > maxBytes) response.destroy(new Error(`its answer is larger than ${maxBytes} bytes`));
        else chunks.push(chunk);
      });
      response.on("error", failed);
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, json: parsed(Buffer.concat(chunks).toString("utf8")) }),
      );
    });
    call.on("error", failed);
    call.end(body);
  });
}

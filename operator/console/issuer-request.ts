/** Requests to an issuer. Its certificate must be of the given authorities; redirects are not followed. */
import { Buffer } from "node:buffer";
import { request as httpRequest, type RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";

const timeoutMs = 10_000;
const mostBytes = 1_048_576;

export interface IssuerRequest {
  method: "GET" | "POST";
  headers?: Readonly<Record<string, string>>;
  body?: string;
  /** PEM; null for the public authorities. */
  ca: string | null;
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

/** Rejects if there is no whole answer in time. A body that is no JSON object is an empty one. */
export function askIssuer(url: string, { method, headers = {}, body = "", ca }: IssuerRequest): Promise<IssuerAnswer> {
  const { host, pathname } = new URL(url);
  return new Promise((resolve, reject) => {
    const options: RequestOptions & { ca?: string } = {
      method,
      headers: { accept: "application/json", "content-length": Buffer.byteLength(body), ...headers },
      signal: AbortSignal.timeout(timeoutMs),
      ...(ca === null ? {} : { ca }),
    };
    const failed = (cause: Error): void => reject(new Error(`${host}${pathname}: ${cause.message}`, { cause }));
    const request = (url.startsWith("https:") ? httpsRequest : httpRequest)(url, options, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > mostBytes) response.destroy(new Error(`its answer is larger than ${mostBytes} bytes`));
        else chunks.push(chunk);
      });
      response.on("error", failed);
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, json: parsed(Buffer.concat(chunks).toString("utf8")) }),
      );
    });
    request.on("error", failed);
    request.end(body);
  });
}

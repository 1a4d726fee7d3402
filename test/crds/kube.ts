/** Bare requests to the API server of the tests, with the headers that a client library hides: warnings, and tables. */
import { readFileSync } from "node:fs";
import { request } from "node:https";
import type { ApiServer } from "../harness/apiserver.ts";

export interface Answer {
  status: number;
  body: Record<string, unknown>;
  /** RFC 9111 warnings, by which the API server says what it does not like. */
  warnings: string[];
}

interface Kubeconfig {
  users: [{ user: { token: string } }];
}

export function kubeClient(
  server: ApiServer,
): (method: string, path: string, body?: unknown, headers?: Record<string, string>) => Promise<Answer> {
  const { users } = JSON.parse(readFileSync(server.adminKubeconfigPath, "utf8")) as Kubeconfig;
  const ca = Buffer.from(server.caData, "base64");
  return (method, path, body, headers = {}) => {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const options = {
      method,
      ca,
      headers: { authorization: `Bearer ${users[0].user.token}`, "content-type": "application/json", ...headers },
    };
    const outgoing = request(`${server.url}${path}`, options, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const warning = response.headersDistinct["warning"] ?? [];
        resolve({
          status: response.statusCode ?? 0,
          body: JSON.parse(Buffer.concat(chunks).toString("utf8")) as Answer["body"],
          warnings: warning,
        });
      });
    });
    outgoing.on("error", reject);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
    return promise;
  };
}

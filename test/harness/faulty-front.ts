/** A server in front of the API server that answers some requests itself, as an API server in trouble does. */
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { Agent as SecureAgent, request as secureRequest } from "node:https";
import type { AddressInfo } from "node:net";

/** Returns whether it has answered. */
export type Fault = (asked: IncomingMessage, response: ServerResponse) => boolean;

export interface FaultyFront {
  readonly url: string;
  /** Paths with their queries, in the order of the requests. */
  readonly asked: string[];
  /** From now on; null for none. */
  fault(next: Fault | null): void;
  close(): Promise<void>;
}

/** Priority and fairness has no room: https://kubernetes.io/docs/concepts/cluster-administration/flow-control/ */
export const tooManyRequests: Fault = (_, response) => {
  const body = { kind: "Status", apiVersion: "v1", status: "Failure", reason: "TooManyRequests", code: 429 };
  response.writeHead(429, { "content-type": "application/json", "retry-after": "1" });
  response.end(JSON.stringify({ ...body, message: "Too many requests, please try again later." }));
  return true;
};

export const isWatch = ({ url = "" }: IncomingMessage): boolean => /[?&]watch=(true|1)/.test(url);

/** The watch's resource version is gone: https://kubernetes.io/docs/reference/using-api/api-concepts/#410-gone-responses */
export const compacted: Fault = (asked, response) => {
  if (!isWatch(asked)) return false;
  const object = { kind: "Status", apiVersion: "v1", status: "Failure", reason: "Expired", code: 410 };
  response.writeHead(200, { "content-type": "application/json" });
  response.end(`${JSON.stringify({ type: "ERROR", object: { ...object, message: "too old resource version" } })}\n`);
  return true;
};

export async function startFaultyFront(target: string): Promise<FaultyFront> {
  const agent = new SecureAgent({ rejectUnauthorized: false, keepAlive: true });
  const asked: string[] = [];
  let fault: Fault | null = null;
  const open = new Set<ServerResponse>();
  const server = createServer((incoming, response) => {
    asked.push(incoming.url ?? "");
    open.add(response);
    response.on("close", () => open.delete(response));
    if (fault?.(incoming, response) === true) return;
    const { method, headers } = incoming;
    const send = target.startsWith("https:") ? secureRequest : request;
    const outgoing = send(new URL(incoming.url ?? "/", target), { method, headers, agent }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
      answer.on("error", () => response.destroy());
    });
    outgoing.on("error", () => response.destroy());
    response.on("close", () => outgoing.destroy());
    incoming.pipe(outgoing);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    fault(next) {
      fault = next;
      // Watches that are open end, so that the next ones meet the fault.
      for (const response of open) response.destroy();
    },
    async close() {
      server.closeAllConnections();
      agent.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/**
 * An HTTP proxy that knows CONNECT only, and is strict about it (RFC 9110, 9.3.6): no body, a Host field that equals the
 * target, credentials on every request. Names lead where `routes` says, as nobody here resolves them.
 */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { type AddressInfo, connect, type Socket } from "node:net";
import type { Pair } from "./certificates.ts";

/** Slow: never answers. Broken: closes without an answer. Other: answers with something that is not HTTP. */
export type ProxyMood = "working" | "slow" | "broken" | "other" | number;

export interface ConnectProxy {
  /** Without credentials. */
  url: string;
  port: number;
  /** Authorities of the requests that came. */
  asked: string[];
  /** What was wrong with requests. */
  complaints: string[];
  /** Tunnels that are open. */
  tunnels: Set<Socket>;
  mood: ProxyMood;
  close(): Promise<void>;
}

export interface ConnectProxyOptions {
  /** Authority, such as api.example.test:443 → local port. Others are refused with 502. */
  routes: Readonly<Record<string, number>>;
  user?: string;
  password?: string;
  tls?: Pair;
}

function complaintAbout(url: string, host: string | undefined, length: string | undefined): string | null {
  if (!/^(\[[0-9a-f:.]+\]|[^:/\s]+):\d+$/.test(url)) return `the target ${url} is no authority`;
  if (host !== url) return `Host is ${host}, not ${url}`;
  return length === undefined ? null : "CONNECT has no body";
}

export async function startConnectProxy(options: ConnectProxyOptions): Promise<ConnectProxy> {
  const { routes, user, password, tls } = options;
  const expected = user === undefined ? null : `Basic ${Buffer.from(`${user}:${password ?? ""}`).toString("base64")}`;
  const server: Server = tls === undefined ? createServer() : createSecureServer({ cert: tls.cert, key: tls.key });
  const sockets = new Set<Socket>();
  const proxy: ConnectProxy = {
    url: "",
    port: 0,
    asked: [],
    complaints: [],
    tunnels: new Set(),
    mood: "working",
    async close() {
      for (const socket of [...sockets, ...proxy.tunnels]) socket.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
  server.on("request", (request, response) => {
    proxy.complaints.push(`${request.method} instead of CONNECT`);
    response.writeHead(405).end();
  });
  server.on("connect", (request, socket: Socket, head) => {
    socket.on("error", () => undefined);
    sockets.add(socket);
    const target = request.url ?? "";
    proxy.asked.push(target);
    const wrong = complaintAbout(target, request.headers.host, request.headers["content-length"]);
    if (wrong !== null) proxy.complaints.push(wrong);
    if (head.length > 0) proxy.complaints.push("bytes before the tunnel was there");
    const refuse = (status: number): void => void socket.end(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\n\r\n`);
    if (proxy.mood === "slow") return;
    if (proxy.mood === "broken") return void socket.destroy();
    if (proxy.mood === "other") return void socket.end("SSH-2.0-OpenSSH_9.6\r\n\r\n");
    if (request.headers["proxy-authorization"] !== (expected ?? undefined)) return refuse(407);
    if (typeof proxy.mood === "number") return refuse(proxy.mood);
    const port = routes[target];
    if (port === undefined) return refuse(502);
    const far = connect(port, "127.0.0.1", () => {
      socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
      socket.pipe(far).pipe(socket);
    });
    proxy.tunnels.add(socket);
    far.on("error", () => socket.destroy());
    far.on("close", () => socket.destroy());
    socket.on("close", () => {
      proxy.tunnels.delete(socket);
      far.destroy();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  proxy.port = (server.address() as AddressInfo).port;
  proxy.url = `${tls === undefined ? "http" : "https"}://localhost:${proxy.port}`;
  return proxy;
}

/**
 * The gateway's own HTTP/1.1 on both sides, and bodies parsed, but no stage: what Sluice's stages cost is the difference
 * to it. `wire-proxy.ts PORT UPSTREAM_PORT PACED_PORT`, as bare-proxy.ts.
 */
import type { Buffer } from "node:buffer";
import type { ClientExchange } from "../../proxy/wire/client-exchange.ts";
import { http1Listener } from "../../proxy/wire/http1/listener.ts";
import { atEndOfTick, type Task } from "../../proxy/wire/tick-batch.ts";
import { type ResponseHeaders, type UpstreamHandler, Upstreams } from "../../proxy/wire/upstream.ts";

const [port = 0, upstreamPort = 0, pacedPort = 0] = process.argv.slice(2).map(Number);
const addressOf = (to: number) => ({
  origin: `http://127.0.0.1:${to}`,
  allowPrivate: true,
  connectMs: 5_000,
  writeMs: 5_000,
});
const upstream = addressOf(upstreamPort);
const paced = addressOf(pacedPort);
const upstreams = new Upstreams("Own", undefined, 10);

class Pass implements Task, UpstreamHandler {
  readonly #exchange: ClientExchange;
  gathers = false;

  constructor(exchange: ClientExchange) {
    this.#exchange = exchange;
    exchange.onGone(() => undefined);
  }

  run(): void {
    const { url } = this.#exchange;
    const body = this.#exchange.whole(10_000_000, {});
    if (body instanceof Promise) void body.then((whole) => this.#send(url, whole as Buffer));
    else this.#send(url, body as Buffer);
  }

  #send(url: string, body: Buffer): void {
    if (typeof JSON.parse(body.toString()) !== "object") this.#exchange.destroy();
    const isPaced = url.startsWith("/paced/");
    const path = isPaced ? url.slice("/paced".length) : url;
    const headers = { "content-type": "application/json" };
    upstreams.send(isPaced ? paced : upstream, { method: "POST", path, headers, body }, this);
  }

  head(status: number, headers: ResponseHeaders): void {
    const type = String(headers["content-type"] ?? "");
    this.gathers = type.includes("event-stream");
    this.#exchange.head(status, {
      "content-type": type,
      ...(this.gathers ? {} : { "content-length": String(headers["content-length"]) }),
    });
  }

  data(chunk: Buffer): boolean {
    return this.#exchange.write(chunk);
  }

  end(): void {
    this.#exchange.end();
  }

  error(): void {
    this.#exchange.destroy();
  }
}

const times = {
  keepAliveMs: 75_000,
  headersMs: 30_000,
  requestMs: 300_000,
  tcpKeepAliveMs: 30_000,
  maxHeaderBytes: 16_384,
};
http1Listener(null, times, {
  handle: (exchange) => {
    atEndOfTick(new Pass(exchange));
  },
  refusal: () => "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
}).server.listen(port, "127.0.0.1");

process.on("SIGTERM", () => process.exit());

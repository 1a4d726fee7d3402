/**
 * The least that a proxy of node:http and undici can do: no keys, no routing, no limits, no log. What Sluice stands on,
 * so that its own share shows. `bare-proxy.ts PORT UPSTREAM_PORT PACED_PORT`; paths below /paced go to the paced one.
 */
import { Buffer } from "node:buffer";
import { createServer, type ServerResponse } from "node:http";
import { type Dispatcher, Pool } from "undici";

const [port = 0, upstreamPort = 0, pacedPort = 0] = process.argv.slice(2).map(Number);
const pool = (to: number): Pool =>
  new Pool(`http://127.0.0.1:${to}`, { pipelining: 1, headersTimeout: 0, bodyTimeout: 0 });
const upstream = pool(upstreamPort);
const paced = pool(pacedPort);

class Pass implements Dispatcher.DispatchHandler {
  readonly #response: ServerResponse;
  #length: string | undefined;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  onRequestStart(): void {}

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    const type = String(headers["content-type"] ?? "");
    this.#length = type.includes("event-stream") ? undefined : String(headers["content-length"]);
    this.#response.writeHead(status, {
      "content-type": type,
      ...(this.#length === undefined ? {} : { "content-length": this.#length }),
    });
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#response.write(chunk);
  }

  onResponseEnd(): void {
    this.#response.end();
  }

  onResponseError(): void {
    this.#response.destroy();
  }
}

createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const url = request.url ?? "/";
    const isPaced = url.startsWith("/paced/");
    const headers = { "content-type": "application/json" };
    (isPaced ? paced : upstream).dispatch(
      { method: "POST", path: isPaced ? url.slice("/paced".length) : url, headers, body: Buffer.concat(chunks) },
      new Pass(response),
    );
  });
}).listen(port, "127.0.0.1");

// Of its own accord, so that a profile is written.
process.on("SIGTERM", () => process.exit());

/**
 * A stand-in for Anthropic's message batches and files, which refuses what they refuse:
 * https://platform.claude.com/docs/en/api/creating-message-batches, https://platform.claude.com/docs/en/api/files-create
 */
import { Buffer } from "node:buffer";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

type Json = Record<string, unknown>;

interface Batch {
  id: string;
  ended: boolean;
  requests: { custom_id: string; params: Json }[];
}

export const resultUsage = { input_tokens: 1_000, output_tokens: 200, service_tier: "batch" };

const send = (response: ServerResponse, status: number, body: unknown): ServerResponse =>
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
const refuse = (response: ServerResponse, status: number, type: string, message: string): ServerResponse =>
  send(response, status, { type: "error", error: { type, message }, request_id: "req_1" });

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

/** Why a request for a batch is refused; null if it is not. */
function wrong(body: Json): string | null {
  const unknown = Object.keys(body).find((name) => name !== "requests");
  if (unknown !== undefined) return `${unknown}: Extra inputs are not permitted`;
  const requests = body["requests"] as Batch["requests"] | undefined;
  if (!Array.isArray(requests) || requests.length === 0) return "requests: List should have at least 1 item";
  const ids = requests.map(({ custom_id }) => custom_id);
  if (ids.some((id) => !/^[a-zA-Z0-9_-]{1,64}$/.test(id)) || new Set(ids).size < ids.length)
    return "custom_id: invalid";
  const lacks = requests.some(({ params }) => !params["model"] || !params["max_tokens"] || !params["messages"]);
  return lacks ? "params: Field required" : null;
}

export class AnthropicAccount {
  readonly batches: Batch[] = [];
  /** In each result from now on. */
  usage: Json = resultUsage;
  readonly files: { id: string; filename: string; content: Buffer }[] = [];
  readonly #server = createServer((request, response) => void this.#answer(request, response));
  #next = 1;

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return this.url;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<ServerResponse> {
    const url = new URL(request.url ?? "", this.url);
    const body = await bodyOf(request);
    if (request.headers["x-api-key"] !== "sk-ant-up")
      return refuse(response, 401, "authentication_error", "invalid x-api-key");
    if (request.headers["anthropic-version"] === undefined)
      return refuse(response, 400, "invalid_request_error", "anthropic-version: header is required");
    if (url.pathname.startsWith("/v1/messages/batches")) return this.#batches(request, url, body, response);
    if (url.pathname.startsWith("/v1/files")) return this.#files(request, url, body, response);
    return refuse(response, 404, "not_found_error", "Not found");
  }

  #shown({ id, ended, requests }: Batch): Json {
    const counts = { processing: ended ? 0 : requests.length, succeeded: ended ? requests.length : 0 };
    return {
      id,
      type: "message_batch",
      processing_status: ended ? "ended" : "in_progress",
      request_counts: { ...counts, errored: 0, canceled: 0, expired: 0 },
      ended_at: ended ? "2026-11-30T00:00:00Z" : null,
      created_at: "2026-11-29T00:00:00Z",
      expires_at: "2026-11-30T00:00:00Z",
      archived_at: null,
      cancel_initiated_at: null,
      results_url: ended ? `https://api.anthropic.com/v1/messages/batches/${id}/results` : null,
    };
  }

  #batches({ method }: IncomingMessage, url: URL, body: Buffer, response: ServerResponse): ServerResponse {
    const [, id, action] = /^\/v1\/messages\/batches(?:\/([^/]+))?(?:\/([a-z]+))?$/.exec(url.pathname) ?? [];
    if (id === undefined && method === "POST") return this.#make(JSON.parse(body.toString("utf8")) as Json, response);
    if (id === undefined) {
      const data = this.batches.map((batch) => this.#shown(batch));
      return send(response, 200, {
        data,
        has_more: false,
        first_id: data[0]?.["id"] ?? null,
        last_id: data.at(-1)?.["id"] ?? null,
      });
    }
    const batch = this.batches.find((one) => one.id === id);
    if (batch === undefined) return refuse(response, 404, "not_found_error", "Not found");
    if (action === "results") return this.#results(batch, response);
    if (method === "DELETE") {
      this.batches.splice(this.batches.indexOf(batch), 1);
      return send(response, 200, { id, type: "message_batch_deleted" });
    }
    if (action === "cancel") batch.ended = true;
    return send(response, 200, this.#shown(batch));
  }

  #make(body: Json, response: ServerResponse): ServerResponse {
    const problem = wrong(body);
    if (problem !== null) return refuse(response, 400, "invalid_request_error", problem);
    const batch = { id: `msgbatch_${this.#next++}`, ended: false, requests: body["requests"] as Batch["requests"] };
    this.batches.push(batch);
    return send(response, 200, this.#shown(batch));
  }

  #results(batch: Batch, response: ServerResponse): ServerResponse {
    response.writeHead(200, { "content-type": "application/x-jsonl" });
    for (const { custom_id, params } of batch.requests) {
      const content = [{ type: "text", text: "Hello" }];
      const message = {
        id: "msg_1",
        type: "message",
        role: "assistant",
        model: params["model"],
        content,
        stop_reason: "end_turn",
        stop_sequence: null,
        usage: this.usage,
      };
      response.write(`${JSON.stringify({ custom_id, result: { type: "succeeded", message } })}\n`);
    }
    return response.end();
  }

  async #files(
    { method, headers }: IncomingMessage,
    url: URL,
    body: Buffer,
    response: ServerResponse,
  ): Promise<ServerResponse> {
    const [, id, action] = /^\/v1\/files(?:\/([^/]+))?(?:\/(content))?$/.exec(url.pathname) ?? [];
    const shown = (file: (typeof this.files)[number]): Json => ({
      id: file.id,
      type: "file",
      filename: file.filename,
      mime_type: "text/plain",
      size_bytes: file.content.length,
      created_at: "2026-11-29T00:00:00Z",
      downloadable: true,
    });
    if (id === undefined && method === "POST") {
      const form = await new Response(new Uint8Array(body), {
        headers: { "content-type": headers["content-type"] ?? "" },
      }).formData();
      const file = form.get("file");
      if (file === null || typeof file === "string")
        return refuse(response, 400, "invalid_request_error", "file: Field required");
      const kept = { id: `file_${this.#next++}`, filename: file.name, content: Buffer.from(await file.arrayBuffer()) };
      this.files.push(kept);
      return send(response, 200, shown(kept));
    }
    if (id === undefined) return send(response, 200, { data: this.files.map(shown), next_page: null });
    const file = this.files.find((one) => one.id === id);
    if (file === undefined) return refuse(response, 404, "not_found_error", "Not found");
    if (method === "DELETE") {
      this.files.splice(this.files.indexOf(file), 1);
      return send(response, 200, { id, type: "file_deleted" });
    }
    if (action !== "content") return send(response, 200, shown(file));
    response.writeHead(200, { "content-type": "text/plain" });
    return response.end(file.content);
  }
}

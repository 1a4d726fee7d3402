/**
 * A stand-in for the objects that an account at OpenAI keeps: files, batches, fine-tuning jobs
 * (https://platform.openai.com/docs/api-reference/files).
 */
import { Buffer } from "node:buffer";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

type Json = Record<string, unknown>;

export interface Kept extends Json {
  id: string;
  content?: string;
}

/** An account like OpenAI's: it stores what it is sent, and doesn't know the gateway's callers. */
export class Account {
  readonly files: Kept[] = [];
  readonly batches: Kept[] = [];
  readonly jobs: Kept[] = [];
  readonly urls: string[] = [];
  #server: Server | null = null;
  #serial = 0;

  id(prefix: string): string {
    return `${prefix}${++this.#serial}`;
  }

  async start(): Promise<string> {
    const server = createServer((incoming, response) => {
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.on("end", () =>
        this.#answer(incoming.method ?? "", incoming.url ?? "", Buffer.concat(chunks).toString(), response),
      );
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server?.closeAllConnections();
    this.#server?.close();
  }

  #answer(method: string, url: string, body: string, response: ServerResponse): void {
    this.urls.push(url);
    const { pathname, searchParams } = new URL(url, "http://x");
    const [, , kind = "", ...rest] = pathname.split("/");
    const json = (status: number, value: unknown): void => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(value));
    };
    const kept = kind === "files" ? this.files : kind === "batches" ? this.batches : this.jobs;
    const [id, action] = kind === "fine_tuning" ? rest.slice(1) : rest;
    const object = kept.find((entry) => entry.id === id);
    if (id === undefined && method === "GET") json(200, page(kept, searchParams));
    else if (id === undefined) json(200, this.#make(kind, body, kept));
    else if (object === undefined) json(404, { error: { message: `No such object: ${id}` } });
    else if (method === "DELETE") {
      kept.splice(kept.indexOf(object), 1);
      json(200, { id, object: "file", deleted: true });
    } else if (action === "content") {
      response.writeHead(200, { "content-type": "application/octet-stream" });
      response.end(object.content ?? "");
    } else json(200, shown(object));
  }

  #make(kind: string, body: string, kept: Kept[]): Json {
    if (kind === "files") {
      const filename = /filename="([^"]*)"/.exec(body)?.[1] ?? "";
      const content = /filename="[^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n([\s\S]*?)\r\n--/.exec(body)?.[1] ?? "";
      kept.push({ id: this.id("file-"), object: "file", bytes: content.length, filename, purpose: "batch", content });
    } else if (kind === "batches") {
      const request = JSON.parse(body) as Json;
      const output = { id: this.id("file-"), object: "file", filename: "batch_output.jsonl", purpose: "batch_output" };
      const line = {
        id: "batch_req_1",
        custom_id: "a",
        response: { status_code: 200, body: { id: "resp_9", object: "response", output: [{ id: "msg_9" }] } },
      };
      this.files.push({ ...output, content: `${JSON.stringify(line)}\n` });
      kept.push({ ...request, id: this.id("batch_"), object: "batch", status: "completed", output_file_id: output.id });
    } else {
      const request = JSON.parse(body) as Json;
      kept.push({ ...request, id: this.id("ftjob-"), object: "fine_tuning.job", status: "queued", result_files: [] });
    }
    return shown(kept.at(-1) as Kept);
  }
}

const shown = ({ content: _, ...object }: Kept): Json => object;

function page(kept: readonly Kept[], query: URLSearchParams): Json {
  const from = kept.findIndex(({ id }) => id === query.get("after")) + 1;
  const limit = Number(query.get("limit") ?? 20);
  const data = kept.slice(from, from + limit).map(shown);
  return { object: "list", data, has_more: from + limit < kept.length };
}

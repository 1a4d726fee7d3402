/** A stand-in for a paid API: a local server that answers as a test scripts it, and remembers what it was asked. */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import { backlog } from "../../proxy/listening.ts";

export interface UpstreamRequest {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  text: string;
  json: Record<string, unknown>;
  /** SHA-256 of the certificate that the gateway showed, as `X509Certificate.fingerprint256`; null where it showed none. */
  client: string | null;
  /** Resolves when the gateway closed the connection before the answer was complete. */
  aborted: Promise<void>;
}

export type Answer = (request: UpstreamRequest, response: ServerResponse) => void | Promise<void>;

export interface Upstream {
  url: string;
  requests: UpstreamRequest[];
  /** From now on. */
  answer(next: Answer): void;
  close(): Promise<void>;
}

export const usage = { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 };

export function json(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}

const chunk = (model: unknown, choices: unknown[], more: object = {}): string =>
  `data: ${JSON.stringify({ id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model, choices, ...more })}\n\n`;

/** The frames of a well-formed stream that says `words`. */
export function chatFrames(model: unknown, words: readonly string[], withUsage: boolean): string[] {
  const none = withUsage ? { usage: null } : {};
  return [
    chunk(model, [{ index: 0, delta: { role: "assistant", content: "" }, logprobs: null, finish_reason: null }], none),
    ...words.map((content) =>
      chunk(model, [{ index: 0, delta: { content }, logprobs: null, finish_reason: null }], none),
    ),
    chunk(model, [{ index: 0, delta: {}, logprobs: null, finish_reason: "stop" }], none),
    ...(withUsage ? [chunk(model, [], { usage })] : []),
    "data: [DONE]\n\n",
  ];
}

export interface PausedStream {
  answer: Answer;
  /** What is sent of it before `finish`. */
  begun: string;
  /** Sends the rest. */
  finish(): void;
}

/** A stream that waits behind the first of its words, until it may go on. */
export function pausedStream(model: unknown, words: readonly string[] = ["Hello", " there"]): PausedStream {
  const frames = chatFrames(model, words, false);
  const begun = frames.slice(0, 2).join("");
  let waiting: ServerResponse | null = null;
  return {
    answer(_request, response) {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(begun);
      waiting = response;
    },
    begun,
    finish: () => void waiting?.end(frames.slice(2).join("")),
  };
}

/** OpenAI's chat completions (plain and streamed) and embeddings. */
export const openai: Answer = (request, response) => {
  const { json: body } = request;
  if (request.path.endsWith("/embeddings")) {
    const inputs = Array.isArray(body["input"]) ? body["input"] : [body["input"]];
    const data = inputs.map((_, index) => ({ object: "embedding", index, embedding: [0.25, -0.5] }));
    return json(response, 200, {
      object: "list",
      model: body["model"],
      data,
      usage: { prompt_tokens: 5, total_tokens: 5 },
    });
  }
  if (body["stream"] !== true) {
    const message = { role: "assistant", content: "Hello there", refusal: null };
    return json(response, 200, {
      id: "chatcmpl-1",
      object: "chat.completion",
      created: 1,
      model: body["model"],
      choices: [{ index: 0, message, logprobs: null, finish_reason: "stop" }],
      usage,
    });
  }
  const asked = (body["stream_options"] as { include_usage?: boolean } | undefined)?.include_usage === true;
  response.writeHead(200, { "content-type": "text/event-stream" });
  for (const frame of chatFrames(body["model"], ["Hello", " there"], asked)) response.write(frame);
  response.end();
};

function read(request: IncomingMessage, response: ServerResponse): Promise<UpstreamRequest> {
  return new Promise((resolve) => {
    let text = "";
    const client = (request.socket as Partial<TLSSocket>).getPeerCertificate?.()?.fingerprint256 ?? null;
    request.setEncoding("utf8");
    request.on("data", (part: string) => {
      text += part;
    });
    const aborted = new Promise<void>((done) => response.on("close", () => !response.writableFinished && done()));
    request.on("end", () => {
      let parsed: Record<string, unknown> = {};
      try {
        parsed = JSON.parse(text || "{}") as Record<string, unknown>;
      } catch {
        // Not every request has a JSON body.
      }
      resolve({
        method: request.method ?? "",
        path: request.url ?? "",
        headers: request.headers,
        text,
        json: parsed,
        client,
        aborted,
      });
    });
  });
}

/** `tls`: PEM; then it speaks nothing else. `clientCa`: it asks for certificates of that authority, and hangs up where there is none. */
export async function startUpstream(
  first: Answer = openai,
  tls: { cert: string; key: string; clientCa?: string } | null = null,
): Promise<Upstream> {
  let answer = first;
  const requests: UpstreamRequest[] = [];
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const seen = await read(request, response);
    requests.push(seen);
    await answer(seen, response);
  };
  const { clientCa, ...pair } = tls ?? {};
  const secure = clientCa === undefined ? pair : { ...pair, ca: clientCa, requestCert: true, rejectUnauthorized: true };
  const server = tls === null ? createServer(serve) : createSecureServer(secure, serve);
  // As providers do. Node's 5 s may be over on a busy machine just as the gateway takes the connection for its next call.
  server.keepAliveTimeout = 75_000;
  // As the gateway's own: a burst of callers is a burst of calls to their provider.
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", backlog, resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `${tls === null ? "http" : "https"}://127.0.0.1:${port}`,
    requests,
    answer: (next) => {
      answer = next;
    },
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

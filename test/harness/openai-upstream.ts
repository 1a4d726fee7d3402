/** A provider of the tests that speaks OpenAI's chat format, says what it was asked, and accepts the credentials that a test sets. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

export interface OpenAiUpstream {
  readonly baseUrl: string;
  /** Bearer tokens in the order in which they came. */
  readonly seen: string[];
  /** Only these are let in; null lets everyone in. */
  accept: Set<string> | null;
  stop(): Promise<void>;
}

const usage = { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 };

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

function answer(
  body: { model: string; stream?: boolean; messages: { content: string }[] },
  response: ServerResponse,
): void {
  const content = `echo: ${body.messages.at(-1)?.content ?? ""}`;
  const head = { id: "chatcmpl-1", created: 1, model: body.model };
  if (body.stream !== true) {
    const choices = [
      { index: 0, message: { role: "assistant", content, refusal: null }, logprobs: null, finish_reason: "stop" },
    ];
    send(response, 200, { ...head, object: "chat.completion", choices, usage });
    return;
  }
  response.writeHead(200, { "content-type": "text/event-stream" });
  const write = (choices: unknown[], more = {}) =>
    response.write(`data: ${JSON.stringify({ ...head, object: "chat.completion.chunk", choices, ...more })}\n\n`);
  for (const word of content.split(/(?<= )/)) write([{ index: 0, delta: { content: word }, finish_reason: null }]);
  write([{ index: 0, delta: {}, finish_reason: "stop" }]);
  write([], { usage });
  response.end("data: [DONE]\n\n");
}

export async function startOpenAiUpstream(): Promise<OpenAiUpstream> {
  const seen: string[] = [];
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? "")?.[1] ?? "";
    const body = JSON.parse((await text(request)) || "{}");
    seen.push(token);
    if (upstream.accept !== null && !upstream.accept.has(token)) {
      send(response, 401, {
        error: {
          message: "Incorrect API key provided.",
          type: "invalid_request_error",
          param: null,
          code: "invalid_api_key",
        },
      });
    } else answer(body, response);
  };
  const server = createServer((request, response) => void handle(request, response).catch(() => response.destroy()));
  server.keepAliveTimeout = 75_000;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const upstream: OpenAiUpstream = {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    seen,
    accept: null,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return upstream;
}

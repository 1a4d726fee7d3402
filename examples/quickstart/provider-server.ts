/**
 * A simulated provider for trying Sluice out without an account: it answers in OpenAI's wire format with canned text.
 * It is an example and not part of the gateway.
 *
 *   node examples/quickstart/provider-server.ts [PORT]
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

interface ChatBody {
  model?: string;
  stream?: boolean;
  stream_options?: { include_usage?: boolean };
  messages?: { role: string; content: unknown }[];
  input?: string | string[];
}

const countTokens = (text: string): number => Math.max(1, Math.ceil(text.length / 4));

function lastText(body: ChatBody): string {
  const content = body.messages?.at(-1)?.content;
  return typeof content === "string" ? content : JSON.stringify(content ?? "");
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

function chat(body: ChatBody, response: ServerResponse): void {
  const answer = `You said ${JSON.stringify(lastText(body).slice(0, 200))}. I am a simulated provider, so that is all I know.`;
  const usage = {
    prompt_tokens: countTokens(JSON.stringify(body.messages ?? [])),
    completion_tokens: countTokens(answer),
  };
  const total = { ...usage, total_tokens: usage.prompt_tokens + usage.completion_tokens };
  const head = {
    id: `chatcmpl-${Date.now()}`,
    created: Math.floor(Date.now() / 1000),
    model: body.model ?? "simulated",
  };
  if (body.stream !== true) {
    sendJson(response, 200, {
      ...head,
      object: "chat.completion",
      choices: [
        {
          index: 0,
          message: { role: "assistant", content: answer, refusal: null },
          logprobs: null,
          finish_reason: "stop",
        },
      ],
      usage: total,
    });
    return;
  }
  response.writeHead(200, { "content-type": "text/event-stream" });
  const write = (choices: unknown[], more: object = {}): void => {
    response.write(`data: ${JSON.stringify({ ...head, object: "chat.completion.chunk", choices, ...more })}\n\n`);
  };
  write([{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }]);
  for (const word of answer.split(/(?<= )/)) write([{ index: 0, delta: { content: word }, finish_reason: null }]);
  write([{ index: 0, delta: {}, finish_reason: "stop" }]);
  if (body.stream_options?.include_usage === true) write([], { usage: total });
  response.end("data: [DONE]\n\n");
}

function embed(body: ChatBody, response: ServerResponse): void {
  const inputs = typeof body.input === "string" ? [body.input] : (body.input ?? []);
  const data = inputs.map((input, index) => ({
    object: "embedding",
    index,
    embedding: [input.length / 100, 0.5, -0.5],
  }));
  const tokens = inputs.reduce((sum, input) => sum + countTokens(input), 0);
  sendJson(response, 200, {
    object: "list",
    model: body.model,
    data,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  });
}

function answer(request: IncomingMessage, text: string, response: ServerResponse): void {
  const body = JSON.parse(text || "{}") as ChatBody;
  if (request.url === "/v1/chat/completions") chat(body, response);
  else if (request.url === "/v1/embeddings") embed(body, response);
  else if (request.url === "/v1/models")
    sendJson(response, 200, { object: "list", data: [] }); // for health checks
  else
    sendJson(response, 404, {
      error: { message: `no ${request.url}`, type: "invalid_request_error", param: null, code: null },
    });
}

/** Listens on loopback; resolves to the port in use. */
export function startProviderServer(port: number): Promise<{ port: number; close(): void }> {
  const server = createServer((request, response) => {
    let text = "";
    request.setEncoding("utf8");
    request.on("data", (chunk: string) => {
      text += chunk;
    });
    request.on("end", () => {
      try {
        answer(request, text, response);
      } catch {
        sendJson(response, 400, {
          error: { message: "invalid JSON", type: "invalid_request_error", param: null, code: null },
        });
      }
    });
  });
  const close = (): void => {
    server.close();
    server.closeAllConnections();
  };
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      const address = server.address();
      resolve({ port: typeof address === "object" && address !== null ? address.port : port, close });
    });
  });
}

if (import.meta.main) {
  const { port } = await startProviderServer(Number(process.argv[2] ?? 18000));
  process.stdout.write(`simulated provider on http://127.0.0.1:${port}/v1\n`);
}

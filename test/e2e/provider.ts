/**
 * A provider in OpenAI's format, in the node's network: `provider.ts HOST PORT`. "slow" takes 20 s, "mid" 3 s, everything else
 * answers at once. https://platform.openai.com/docs/api-reference/chat
 */
import { createServer, type ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";

const usage = { prompt_tokens: 5, completion_tokens: 5, total_tokens: 10 };
const pace: Readonly<Record<string, { wholeMs: number; chunks: number; gapMs: number }>> = {
  slow: { wholeMs: 20_000, chunks: 200, gapMs: 100 },
  mid: { wholeMs: 3_000, chunks: 30, gapMs: 100 },
};
const fast = { wholeMs: 5, chunks: 5, gapMs: 2 };

interface ChatRequest {
  model?: string;
  stream?: boolean;
  stream_options?: { include_usage?: boolean };
}

async function stream(response: ServerResponse, request: ChatRequest, head: object): Promise<void> {
  const { chunks, gapMs } = pace[request.model ?? ""] ?? fast;
  const write = (chunk: object): boolean =>
    response.write(`data: ${JSON.stringify({ ...head, object: "chat.completion.chunk", ...chunk })}\n\n`);
  response.writeHead(200, { "content-type": "text/event-stream" });
  for (let index = 0; index < chunks && !response.destroyed; index++) {
    write({ choices: [{ index: 0, delta: { content: `word${index} ` }, finish_reason: null }] });
    await sleep(gapMs);
  }
  write({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] });
  if (request.stream_options?.include_usage) write({ choices: [], usage });
  response.end("data: [DONE]\n\n");
}

const server = createServer(async (request, response) => {
  if (request.headers.authorization !== "Bearer sk-e2e") {
    response.writeHead(401, { "content-type": "application/json" });
    response.end(JSON.stringify({ error: { message: "Incorrect API key provided", code: "invalid_api_key" } }));
    return;
  }
  // A proxy that is killed while it sends leaves nothing to answer.
  const body = await text(request).catch(() => null);
  if (body === null) return;
  const asked: ChatRequest = JSON.parse(body || "{}");
  const head = { id: "chatcmpl-1", created: 1, model: asked.model };
  if (asked.stream) return stream(response, asked, head);
  await sleep((pace[asked.model ?? ""] ?? fast).wholeMs);
  const choices = [{ index: 0, message: { role: "assistant", content: "hello" }, finish_reason: "stop" }];
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ ...head, object: "chat.completion", choices, usage }));
});
server.listen(Number(process.argv[3] ?? 9000), process.argv[2] ?? "127.0.0.1", () =>
  process.stdout.write("listening\n"),
);

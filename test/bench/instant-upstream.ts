/**
 * A provider that answers at once, in a process of its own: `node test/bench/instant-upstream.ts PORT`. It speaks chat
 * completions, the Responses API and Anthropic's messages, whole or as a stream of 10 pieces in one write. With
 * `--holds` it sends the beginning of a stream and then only comments.
 */
import { createServer, type Socket } from "node:net";

const pieces = Array.from({ length: 10 }, (_, index) => `lorem ${index} `);
const text = pieces.join("");
const usage = { input_tokens: 20, output_tokens: 50, total_tokens: 70 };
const data = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`;
const event = (type: string, more: object): string => `event: ${type}\n${data({ type, ...more })}`;

const chunk = (choices: unknown[], more: object = {}): string =>
  data({ id: "chatcmpl-bench", object: "chat.completion.chunk", created: 1, model: "gpt-4o", choices, ...more });
const chatUsage = { prompt_tokens: 20, completion_tokens: 50, total_tokens: 70 };
const chat = {
  whole: JSON.stringify({
    id: "chatcmpl-bench",
    object: "chat.completion",
    created: 1,
    model: "gpt-4o",
    choices: [{ index: 0, message: { role: "assistant", content: text }, finish_reason: "stop" }],
    usage: chatUsage,
  }),
  stream: [
    ...pieces.map((content) => chunk([{ index: 0, delta: { content }, finish_reason: null }])),
    chunk([{ index: 0, delta: {}, finish_reason: "stop" }]),
    chunk([], { usage: chatUsage }),
    "data: [DONE]\n\n",
  ].join(""),
};

const outputText = { type: "output_text", text, annotations: [] };
const item = { type: "message", id: "msg_bench", status: "completed", role: "assistant", content: [outputText] };
const response = {
  id: "resp_bench",
  object: "response",
  created_at: 1,
  model: "gpt-4o",
  status: "in_progress",
  output: [],
};
const completed = { ...response, status: "completed", output: [item], usage };
const place = { item_id: item.id, output_index: 0, content_index: 0 };
const responses = {
  whole: JSON.stringify(completed),
  stream: [
    event("response.created", { sequence_number: 0, response }),
    event("response.output_item.added", { sequence_number: 1, output_index: 0, item: { ...item, content: [] } }),
    ...pieces.map((delta, index) =>
      event("response.output_text.delta", { sequence_number: index + 2, ...place, delta }),
    ),
    event("response.output_text.done", { sequence_number: 12, ...place, text }),
    event("response.output_item.done", { sequence_number: 13, output_index: 0, item }),
    event("response.completed", { sequence_number: 14, response: completed }),
  ].join(""),
};

const message = { id: "msg_bench", type: "message", role: "assistant", model: "claude", stop_sequence: null };
const messages = {
  whole: JSON.stringify({
    ...message,
    content: [{ type: "text", text }],
    stop_reason: "end_turn",
    usage: { input_tokens: 20, output_tokens: 50 },
  }),
  stream: [
    event("message_start", {
      message: { ...message, content: [], stop_reason: null, usage: { input_tokens: 20, output_tokens: 1 } },
    }),
    event("content_block_start", { index: 0, content_block: { type: "text", text: "" } }),
    ...pieces.map((piece) => event("content_block_delta", { index: 0, delta: { type: "text_delta", text: piece } })),
    event("content_block_stop", { index: 0 }),
    event("message_delta", { delta: { stop_reason: "end_turn", stop_sequence: null }, usage: { output_tokens: 50 } }),
    event("message_stop", {}),
  ].join(""),
};

const whole = (body: string): string =>
  `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const eventStream = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
const framed = (body: string): string => `${body.length.toString(16)}\r\n${body}\r\n`;

const answers = Object.entries({ "/chat/completions": chat, "/responses": responses, "/messages": messages }).map(
  ([path, answer]) => ({
    path,
    whole: whole(answer.whole),
    stream: `${eventStream}${framed(answer.stream)}0\r\n\r\n`,
    begun: eventStream + framed(answer.stream.slice(0, answer.stream.indexOf("\n\n") + 2)),
  }),
);
const notFound = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
const [port = "", holds] = process.argv.slice(2);

const held = new Set<Socket>();

function hold(socket: Socket, begun: string): void {
  held.add(socket);
  socket.once("close", () => held.delete(socket));
  socket.write(begun);
}

// A stream that says nothing at all would be taken for dead.
const comment = framed(": \n\n");
setInterval(() => {
  for (const socket of held) socket.write(comment);
}, 15_000);

function answer(socket: Socket, request: string): void {
  const path = request.slice(0, request.indexOf(" HTTP/"));
  const known = answers.find((one) => path.includes(one.path));
  if (known === undefined) socket.write(notFound);
  else if (holds === "--holds") hold(socket, known.begun);
  else socket.write(request.includes('"stream":true') ? known.stream : known.whole);
}

const server = createServer({ noDelay: true }, (socket) => {
  let received = "";
  socket.on("error", () => undefined);
  socket.on("data", (bytes) => {
    received += bytes.toString("latin1");
    const end = received.indexOf("\r\n\r\n");
    const length = Number(/content-length: *(\d+)/i.exec(received)?.[1] ?? 0);
    if (end < 0 || received.length < end + 4 + length) return;
    answer(socket, received);
    received = "";
  });
});
server.listen(Number(port), "127.0.0.1", 4096);

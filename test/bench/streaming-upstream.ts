/** A provider that streams: a frame to every open stream each second, about as many as `max_tokens` says. Argument: port. */
import { createServer, type ServerResponse } from "node:http";
import { chatFrames } from "../harness/upstream.ts";

const port = Number(process.argv[2]);
const frames = chatFrames("gpt-4o", ["lorem ipsum dolor sit amet "], true);
const [head = "", word = "", ...tail] = frames;
const open = new Map<ServerResponse, number>();

// In slices, so that not all frames of a second leave at once.
const slices = 10;
let turn = 0;
setInterval(() => {
  turn = (turn + 1) % slices;
  let at = 0;
  for (const [response, left] of open) {
    if (at++ % slices !== turn) continue;
    if (left > 0) {
      response.write(word);
      open.set(response, left - 1);
      continue;
    }
    open.delete(response);
    response.end(tail.join(""));
  }
}, 1000 / slices);

const server = createServer((request, response) => {
  let text = "";
  request.on("data", (data: Buffer) => {
    text += data.toString("utf8");
  });
  request.on("end", () => {
    const asked = Number(/"max_tokens":(\d+)/.exec(text)?.[1] ?? 1);
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(head);
    // Between half of the time and one and a half of it.
    open.set(response, Math.max(1, Math.round(asked * (0.5 + Math.random()))));
    response.on("close", () => open.delete(response));
  });
});
// So that idle connections, and what is kept for them, are soon gone.
server.keepAliveTimeout = 3_000;
server.listen({ port, host: "127.0.0.1", backlog: 8192 });

/** A provider that streams at a pace, as models do. Arguments: port, milliseconds between chunks. `max_tokens` chunks a stream. */
import { createServer, type ServerResponse } from "node:http";
import { chatFrames } from "../harness/upstream.ts";

const [port, everyMs] = [Number(process.argv[2]), Number(process.argv[3])];
const [head = "", word = "", ...tail] = chatFrames("gpt-4o", ["lorem ipsum "], true);
const open = new Map<ServerResponse, number>();

setInterval(() => {
  for (const [response, left] of open) {
    if (left > 0) {
      response.write(word);
      open.set(response, left - 1);
      continue;
    }
    open.delete(response);
    response.end(tail.join(""));
  }
}, everyMs);

createServer((request, response) => {
  let text = "";
  request.on("data", (data: Buffer) => (text += data.toString("latin1")));
  request.on("end", () => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(head);
    open.set(response, Number(/"max_tokens":(\d+)/.exec(text)?.[1] ?? 1));
    response.on("close", () => open.delete(response));
  });
}).listen({ port, host: "127.0.0.1", backlog: 1024 });

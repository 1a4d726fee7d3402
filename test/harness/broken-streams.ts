/** A provider whose streams break, in OpenAI's and Anthropic's format. */
import { type Answer, chatFrames } from "./upstream.ts";

const words = ["Hello", " there", ", friend"];
/** What a stream says that doesn't break. */
export const whole = words.join("");

const event = (type: string, more: object = {}): string =>
  `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`;
const messageFrames = (model: unknown): string[] => [
  event("message_start", {
    message: {
      id: "m",
      type: "message",
      role: "assistant",
      model,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: { input_tokens: 9, output_tokens: 1 },
    },
  }),
  event("content_block_start", { index: 0, content_block: { type: "text", text: "" } }),
  ...words.map((text) => event("content_block_delta", { index: 0, delta: { type: "text_delta", text } })),
  event("content_block_stop", { index: 0 }),
  event("message_delta", { delta: { stop_reason: "end_turn", stop_sequence: null }, usage: { output_tokens: 5 } }),
  event("message_stop"),
];

/**
 * Names of models say what happens: `chat_3_1` breaks after three frames, once. -1 frames: not even a status; a point
 * beyond the last frame doesn't break. What follows is the caller's own.
 */
export function brokenStreams(): Answer {
  const attempts = new Map<string, number>();
  return async ({ json: body }, response) => {
    const model = String(body["model"]);
    const [dialect, point, times] = model.split("_");
    const attempt = (attempts.get(model) ?? 0) + 1;
    attempts.set(model, attempt);
    const frames = dialect === "chat" ? chatFrames(model, words, true) : messageFrames(model);
    const breaksHere = attempt <= Number(times) && Number(point) < frames.length;
    if (breaksHere && Number(point) < 0) return void response.destroy();
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.flushHeaders();
    for (const frame of breaksHere ? frames.slice(0, Number(point)) : frames)
      await new Promise((written) => response.write(frame, written));
    if (breaksHere) response.destroy();
    else response.end();
  };
}

/** The words of an answer in any client format, for a comparison: texts, refusals and arguments of tools. */
import type { Buffer } from "node:buffer";
import type { WireFormat } from "../config/capabilities.ts";
import { textReaders } from "../dialects/frame-texts.ts";
import { isObject, type JsonObject, jsonIn, objectsIn } from "../wire/json.ts";
import { SseDecoder } from "../wire/sse.ts";

/** Most characters that are compared. */
export const maxCompared = 16_000;

const textsIn = (holder: unknown, ...members: readonly string[]): string[] =>
  isObject(holder) ? members.flatMap((name) => (typeof holder[name] === "string" ? [String(holder[name])] : [])) : [];

const wholeTexts: Partial<Record<WireFormat, (body: JsonObject) => string[]>> = {
  "openai.chat": ({ choices }) =>
    objectsIn(choices).flatMap(({ message }) => [
      ...textsIn(message, "content", "refusal"),
      ...objectsIn(isObject(message) ? message["tool_calls"] : null).flatMap((call) =>
        textsIn(call["function"], "arguments"),
      ),
    ]),
  "openai.completions": ({ choices }) => objectsIn(choices).flatMap((choice) => textsIn(choice, "text")),
  "openai.responses": ({ output }) =>
    objectsIn(output)
      .filter(({ type }) => type !== "reasoning")
      .flatMap((item) => [
        ...textsIn(item, "arguments"),
        ...objectsIn(item["content"]).flatMap((part) => textsIn(part, "text", "refusal")),
      ]),
  "anthropic.messages": ({ content }) =>
    objectsIn(content).flatMap((block) => [
      ...textsIn(block, "text"),
      ...(isObject(block["input"]) ? [JSON.stringify(block["input"])] : []),
    ]),
};

/** Models are not compared by how they came to their answers. */
const isReasoning = /reasoning|thinking/;

function streamText(format: WireFormat, bytes: Buffer): string {
  const read = textReaders[format];
  if (read === undefined) return "";
  let text = "";
  const marks = {
    piece: (channel: string, holder: JsonObject, member: string) => {
      if (!isReasoning.test(channel)) text += String(holder[member]);
    },
    over: () => undefined,
    whole: (json: JsonObject) => json,
  };
  for (const { event, data } of new SseDecoder(Number.MAX_SAFE_INTEGER).push(bytes)) {
    const json = jsonIn(data);
    if (isObject(json)) read(json, event, marks);
    if (text.length >= maxCompared) break;
  }
  return text;
}

/** null if the format has no words, or nothing of the answer was kept. `bytes`: as the client gets them. */
export function answerText(format: WireFormat, stream: boolean, bytes: Buffer): string | null {
  const whole = wholeTexts[format];
  if (whole === undefined || bytes.length === 0) return null;
  if (stream) return streamText(format, bytes).slice(0, maxCompared);
  const body = jsonIn(bytes.toString("utf8"));
  return isObject(body) ? whole(body).join("\n").slice(0, maxCompared) : null;
}

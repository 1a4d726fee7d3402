/**
 * A stand-in for the images, audio, moderations and rerank APIs, which refuses what they refuse:
 * https://platform.openai.com/docs/api-reference/images, /audio, /moderations, https://docs.cohere.com/reference/rerank
 */
import { Buffer } from "node:buffer";
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface MediaAsked {
  path: string;
  headers: IncomingHttpHeaders;
  /** Members, or fields of a form; lists where a field ends with []. */
  body: Record<string, unknown>;
  /** Name and size of each upload. */
  files: { name: string; filename: string; bytes: number }[];
}

export interface MediaUpstream {
  url: string;
  asked: MediaAsked[];
  /** Answers the next request with this status instead. */
  failNext(status: number): void;
  /** Breaks the connection after the first piece of the next file or stream. */
  breakNext(): void;
  close(): Promise<void>;
}

const maxAudioBytes = 25 * 1024 * 1024;

const imageFields = ["model", "prompt", "n", "size", "quality", "response_format", "user", "style", "stream"];
const gptFields = [...imageFields, "background", "moderation", "output_format", "output_compression", "partial_images"];
const heard = ["model", "prompt", "response_format", "temperature"];

interface Surface {
  form: boolean;
  known: readonly string[];
  required: readonly string[];
  upload?: string;
}

const surfaces: Readonly<Record<string, Surface>> = {
  "/images/generations": { form: false, known: gptFields, required: ["prompt"] },
  "/images/edits": { form: true, known: [...gptFields, "input_fidelity"], required: ["prompt"], upload: "image" },
  "/images/variations": { form: true, known: imageFields, required: [], upload: "image" },
  "/audio/speech": {
    form: false,
    known: ["model", "input", "voice", "instructions", "response_format", "speed", "stream_format"],
    required: ["model", "input", "voice"],
  },
  "/audio/transcriptions": {
    form: true,
    known: [...heard, "language", "stream", "include", "timestamp_granularities", "chunking_strategy"],
    required: ["model"],
    upload: "file",
  },
  "/audio/translations": { form: true, known: heard, required: ["model"], upload: "file" },
  "/moderations": { form: false, known: ["model", "input"], required: ["input"] },
  "/rerank": {
    form: false,
    known: ["model", "query", "documents", "top_n", "max_tokens_per_doc", "return_documents"],
    required: ["model", "query", "documents"],
  },
};

/** Cohere's version 2 takes texts only. */
const cohere: Surface = {
  form: false,
  known: ["model", "query", "documents", "top_n", "max_tokens_per_doc", "priority"],
  required: ["model", "query", "documents"],
};

class Refused extends Error {}

async function readForm(body: Buffer, contentType: string): Promise<Pick<MediaAsked, "body" | "files">> {
  const form = await new Response(new Uint8Array(body), { headers: { "content-type": contentType } }).formData();
  const fields: Record<string, unknown> = {};
  const files: MediaAsked["files"] = [];
  for (const [name, value] of form) {
    const member = name.replace(/\[.*$/, "");
    if (typeof value !== "string") files.push({ name: member, filename: value.name, bytes: value.size });
    else if (name.endsWith("[]")) fields[member] = [...((fields[member] ?? []) as string[]), value];
    else if (member in fields) throw new Refused(`Duplicate parameter: '${name}'.`);
    else fields[member] = value;
  }
  return { body: fields, files };
}

async function read(path: string, surface: Surface, body: Buffer, headers: IncomingHttpHeaders): Promise<MediaAsked> {
  const type = headers["content-type"] ?? "";
  if (surface.form !== type.startsWith("multipart/form-data")) throw new Refused(`Wrong Content-Type: ${type}`);
  const given = surface.form
    ? await readForm(body, type)
    : { body: JSON.parse(body.toString("utf8")) as Record<string, unknown>, files: [] };
  const unknown = Object.keys(given.body).find((name) => !surface.known.includes(name));
  if (unknown !== undefined) throw new Refused(`Unknown parameter: '${unknown}'.`);
  const missing = surface.required.find((name) => given.body[name] === undefined);
  if (missing !== undefined) throw new Refused(`Missing required parameter: '${missing}'.`);
  if (surface.upload !== undefined && !given.files.some(({ name }) => name === surface.upload))
    throw new Refused(`Missing required parameter: '${surface.upload}'.`);
  return { path, headers, ...given };
}

const frame = (event: Record<string, unknown>): string =>
  `event: ${String(event["type"])}\ndata: ${JSON.stringify(event)}\n\n`;

const json = (response: ServerResponse, status: number, body: unknown): void => {
  response.writeHead(status, { "content-type": "application/json", "x-request-id": "req_upstream" });
  response.end(JSON.stringify(body));
};

const error = (response: ServerResponse, status: number, message: string): void =>
  json(response, status, { error: { message, type: "invalid_request_error", param: null, code: null } });

/** Usage of one image of a GPT model. */
export const imageUsage = {
  input_tokens: 50,
  input_tokens_details: { text_tokens: 10, image_tokens: 40 },
  output_tokens: 4_160,
  total_tokens: 4_210,
};
export const pixels = Buffer.alloc(300, 7).toString("base64");
export const spoken = Buffer.from("ID3 the bytes of a recording, in two pieces");
export const transcriptUsage = {
  type: "tokens",
  input_tokens: 170,
  input_token_details: { audio_tokens: 160, text_tokens: 10 },
  output_tokens: 20,
  total_tokens: 190,
};
export const transcript = "Call me at ada@example.com, please.";

type Respond = (asked: MediaAsked, response: ServerResponse, cut: boolean) => void;

const events = (response: ServerResponse, cut: boolean, all: readonly Record<string, unknown>[]): void => {
  response.writeHead(200, { "content-type": "text/event-stream" });
  const [first, ...rest] = all.map(frame);
  response.write(first);
  if (cut) setImmediate(() => response.destroy());
  else response.end(rest.join(""));
};

const images: Respond = ({ body, path }, response, cut) => {
  const gpt = String(body["model"] ?? "").startsWith("gpt-image");
  const count = Number(body["n"] ?? 1);
  const kind = path.endsWith("/edits") ? "image_edit" : "image_generation";
  if (String(body["stream"]) === "true")
    return events(response, cut, [
      { type: `${kind}.partial_image`, b64_json: pixels, partial_image_index: 0 },
      { type: `${kind}.completed`, b64_json: pixels, size: "1024x1024", quality: "high", usage: imageUsage },
    ]);
  const image =
    gpt || body["response_format"] === "b64_json" ? { b64_json: pixels } : { url: "https://images.example/1" };
  const data = Array.from({ length: count }, () => image);
  json(response, 200, {
    created: 1,
    data,
    ...(gpt ? { size: "1024x1024", quality: "high", usage: imageUsage } : {}),
  });
};

const speech: Respond = ({ body }, response, cut) => {
  if (body["stream_format"] === "sse")
    return events(response, cut, [
      { type: "speech.audio.delta", audio: spoken.toString("base64") },
      { type: "speech.audio.done", usage: { input_tokens: 8, output_tokens: 30, total_tokens: 38 } },
    ]);
  response.writeHead(200, { "content-type": "audio/mpeg" });
  response.write(spoken.subarray(0, 10));
  if (cut) setImmediate(() => response.destroy());
  else response.end(spoken.subarray(10));
};

const transcripts: Respond = ({ body }, response, cut) => {
  const byDuration = String(body["model"]).startsWith("whisper");
  const format = body["response_format"] ?? "json";
  const usage = byDuration ? { type: "duration", seconds: 61 } : transcriptUsage;
  if (String(body["stream"]) === "true")
    return events(response, cut, [
      { type: "transcript.text.delta", delta: transcript.slice(0, 14) },
      { type: "transcript.text.delta", delta: transcript.slice(14) },
      { type: "transcript.text.done", text: transcript, usage },
    ]);
  if (format === "json" || format === "verbose_json") return json(response, 200, { text: transcript, usage });
  response.writeHead(200, { "content-type": "text/plain; charset=utf-8" });
  response.end(format === "srt" ? `1\n00:00:00,000 --> 00:01:00,500\n${transcript}\n` : `${transcript}\n`);
};

const moderation: Respond = ({ body }, response) => {
  const inputs = Array.isArray(body["input"]) ? body["input"] : [body["input"]];
  const results = inputs.map(() => ({
    flagged: false,
    categories: { violence: false },
    category_scores: { violence: 0 },
  }));
  json(response, 200, { id: "modr-1", model: body["model"] ?? "omni-moderation-latest", results });
};

const ranking: Respond = ({ body, path }, response) => {
  const documents = body["documents"] as unknown[];
  const results = documents.map((_, index) => ({ index, relevance_score: 1 / (index + 1) }));
  const meta = { api_version: { version: "2" }, billed_units: { search_units: 1 } };
  json(response, 200, path.startsWith("/v2/") ? { id: "r", results, meta } : { results, usage: { total_tokens: 40 } });
};

const responders: Readonly<Record<string, Respond>> = {
  "/images/generations": images,
  "/images/edits": images,
  "/images/variations": images,
  "/audio/speech": speech,
  "/audio/transcriptions": transcripts,
  "/audio/translations": transcripts,
  "/moderations": moderation,
  "/rerank": ranking,
};

/** The operation in OpenAI's and Azure's paths, and in Cohere's. */
const operationIn = (path: string): string =>
  path.replace(/\?.*$/, "").replace(/^\/(v1|v2|openai\/v1|openai\/deployments\/[^/]+)(?=\/)/, "");

export async function startMediaUpstream(): Promise<MediaUpstream> {
  const asked: MediaAsked[] = [];
  let status = 0;
  let cutNext = false;
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on("data", (piece: Buffer) => pieces.push(piece));
    request.on("end", () => {
      const path = request.url ?? "";
      const operation = operationIn(path);
      const surface = path.startsWith("/v2/") ? cohere : surfaces[operation];
      const respond = responders[operation];
      if (surface === undefined || respond === undefined) return error(response, 404, `Unknown URL: ${path}`);
      if (!/^Bearer sk-|^key-/.test(String(request.headers.authorization ?? request.headers["api-key"] ?? "")))
        return error(response, 401, "Incorrect API key provided.");
      const body = Buffer.concat(pieces);
      if (operation.startsWith("/audio") && body.length > maxAudioBytes)
        return error(response, 413, "Maximum content size limit (26214400) exceeded");
      read(path, surface, body, request.headers).then(
        (one) => {
          asked.push(one);
          const [failed, cut] = [status, cutNext];
          status = 0;
          cutNext = false;
          if (failed > 0) error(response, failed, "The server had an error.");
          else respond(one, response, cut);
        },
        (cause: unknown) => error(response, 400, cause instanceof Error ? cause.message : "bad request"),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    failNext: (code) => void (status = code),
    breakNext: () => void (cutNext = true),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** https://platform.openai.com/docs/api-reference/audio */
import { Buffer } from "node:buffer";
import type { Price } from "../config/price.ts";
import type { Usage } from "../dialects/canonical.ts";
import { Counts, member } from "../dialects/usage-counts.ts";
import { isObject, type JsonObject } from "../wire/json.ts";
import { lengthOf } from "./audio-length.ts";
import { byTokens, type MediaFormat, type MediaRequest, noUsage, roughTokens, textIn } from "./format.ts";

/** Tokens of a second of recorded speech that is read, and of the words in it. */
const recordedPerSecond = 17;
const wordsPerSecond = 4;
const maxRecordedPerSecond = 32;
/** Tokens of speech per character that is read aloud, usually and at most. */
const spokenPerCharacter = 1.4;
const maxSpokenPerCharacter = 6;

const charactersIn = (text: string): number => {
  let count = 0;
  for (const _ of text) count++;
  return count;
};

function spoken({ json }: MediaRequest, price: Price | null, perCharacter: number): Usage {
  const input = textIn(json["input"]);
  const character = charactersIn(input);
  const usage: Usage = { ...noUsage, units: { character } };
  if (price?.uses?.["character"] !== undefined || !byTokens(price)) return usage;
  const prompt = perCharacter === spokenPerCharacter ? roughTokens : Buffer.byteLength;
  const outputAudio = Math.ceil(character * perCharacter);
  return {
    ...usage,
    prompt: prompt(input + textIn(json["instructions"])),
    completion: outputAudio,
    units: { character, outputAudio },
    estimated: true,
  };
}

function usageOfSpeech(answer: JsonObject, { json }: MediaRequest): Usage | null {
  const { usage } = answer;
  if (!isObject(usage)) return null;
  const counts = new Counts();
  const completion = counts.of(usage["output_tokens"]);
  return counts.usage(
    { ...noUsage, prompt: counts.of(usage["input_tokens"]), completion },
    { units: { character: charactersIn(textIn(json["input"])), outputAudio: completion } },
  );
}

export const speech: MediaFormat = {
  title: "speech",
  body: "json",
  upload: null,
  settable: new Set(["voice", "instructions", "response_format", "speed", "stream_format"]),
  answerKind: (json) => (json["stream_format"] === "sse" ? "events" : "bytes"),
  usageOf: usageOfSpeech,
  most: (request, price) => spoken(request, price, maxSpokenPerCharacter),
  expected: (request, price) => spoken(request, price, spokenPerCharacter),
};

const wholeSeconds = (value: unknown): number =>
  typeof value === "number" && value > 0 && value < 1e7 ? Math.ceil(value) : 0;

function usageOfTranscript(answer: JsonObject): Usage | null {
  const usage = member(answer, "usage");
  const counts = new Counts();
  const details = isObject(usage["input_token_details"])
    ? usage["input_token_details"]
    : member(usage, "input_tokens_details");
  const audioSecond = wholeSeconds(usage["seconds"] ?? usage["prompt_audio_seconds"] ?? answer["duration"]);
  const prompt = counts.of(usage["input_tokens"] ?? usage["prompt_tokens"]);
  const completion = counts.of(usage["output_tokens"] ?? usage["completion_tokens"]);
  if (prompt + completion + audioSecond === 0) return null;
  return counts.usage(
    { ...noUsage, prompt, completion },
    { units: { audioSecond, inputAudio: counts.of(details["audio_tokens"]) } },
  );
}

const timestamp = /(?:(\d{1,3}):)?(\d{2}):(\d{2})[.,]\d{3}/g;

/** Subtitles end with the last words. */
function usageOfSubtitles(text: string): Usage | null {
  let audioSecond = 0;
  for (const [, hours = "0", minutes = "0", seconds = "0"] of text.matchAll(timestamp))
    audioSecond = Math.max(audioSecond, Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds) + 1);
  return audioSecond === 0 ? null : { ...noUsage, units: { audioSecond }, estimated: true };
}

function recorded({ json, parts }: MediaRequest, price: Price | null, most: boolean): Usage {
  let [audioSecond, atMost] = [0, 0];
  for (const { filename, content } of parts) {
    if (filename === null) continue;
    const length = lengthOf(content);
    audioSecond += length.seconds;
    atMost += length.atMost;
  }
  if (most) audioSecond = atMost;
  const usage: Usage = { ...noUsage, units: { audioSecond }, estimated: true };
  if (price?.uses?.["audioSecond"] !== undefined || !byTokens(price)) return usage;
  const inputAudio = audioSecond * (most ? maxRecordedPerSecond : recordedPerSecond);
  const prompt = inputAudio + Buffer.byteLength(textIn(json["prompt"]));
  return { ...usage, prompt, completion: audioSecond * wordsPerSecond, units: { audioSecond, inputAudio } };
}

const written: ReadonlySet<unknown> = new Set(["text", "srt", "vtt"]);

/** Silence has an empty text, subtitles without a cue (https://www.w3.org/TR/webvtt1/#file-structure), or an empty SRT. */
function isFormed(text: string, { response_format: format }: JsonObject): boolean {
  if (format === "vtt") return /^\ufeff?WEBVTT/.test(text);
  return format !== "srt" || text.includes("-->") || /^\ufeff?\s*$/.test(text);
}

const transcript: Omit<MediaFormat, "title"> = {
  body: "form",
  upload: "file",
  settable: new Set(["language", "prompt", "response_format", "temperature", "chunking_strategy"]),
  answerKind: (json) => {
    if (json["stream"] === true) return "events";
    return written.has(json["response_format"]) ? "text" : "json";
  },
  isFormed,
  usageOf: usageOfTranscript,
  usageOfText: usageOfSubtitles,
  most: (request, price) => recorded(request, price, true),
  expected: (request, price) => recorded(request, price, false),
};

export const transcriptions: MediaFormat = { ...transcript, title: "transcription" };
export const translations: MediaFormat = { ...transcript, title: "audio translation" };

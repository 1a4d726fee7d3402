/**
 * CPU time that judging an answer by its content adds to one that passes through. Measured within this process, so that
 * it is comparable however busy the machine is: with and without, in turns.
 */
import { Buffer } from "node:buffer";
import { OpenAiObserver } from "../../proxy/dialects/openai-chat/observer.ts";
import { judgeReply } from "../../proxy/dialects/verdict/answer.ts";
import { surelyAnswer } from "../../proxy/dialects/verdict/skim.ts";
import { passthroughReader } from "../../proxy/pipeline/reader.ts";
import { passedReply } from "../../proxy/pipeline/whole-reply.ts";
import { jsonIn } from "../../proxy/wire/json.ts";
import { cpuMsOf } from "../harness/cpu-time.ts";
import { answer } from "./servers.ts";
import { spread } from "./statistics.ts";
import { streamFrames } from "./stream-frames.ts";

const rounds = 15;
const times = 4_000;

const bytes = Buffer.from(answer);
const texts = streamFrames.map((chunk) => chunk.toString("latin1"));
/** Kept, so that V8 doesn't leave out the search. */
const found = new Set<number>();

function readWhole(judged: boolean): void {
  if (
    judged &&
    !surelyAnswer("openai.chat", bytes) &&
    judgeReply("openai.chat", jsonIn(bytes.toString())).kind !== "answer"
  )
    throw new Error("the answer is no answer");
  passedReply(bytes, () => null);
}

function readStream(judged: boolean): void {
  const observer = new OpenAiObserver({ hideUsage: false, contentMarker: '"content":"' });
  // Taken for an answer before its first byte: nothing is held or looked at.
  if (!judged) observer.progress = "begun";
  const reader = passthroughReader(observer, () => {
    throw new Error("the stream is no answer");
  });
  for (const chunk of streamFrames) reader.push(chunk);
  if (judged) for (const text of texts) found.add(text.indexOf('error"'));
}

const repeated = (read: (judged: boolean) => void, judged: boolean): number =>
  cpuMsOf(() => {
    for (let count = 0; count < times; count++) read(judged);
  });

/** Microseconds for each answer, not below 0: the median of rounds. */
function added(read: (judged: boolean) => void): number {
  repeated(read, true);
  repeated(read, false);
  const differences = Array.from({ length: rounds }, () => repeated(read, true) - repeated(read, false));
  return Math.max(0, (spread(differences).median * 1_000) / times);
}

export const judgingUs = (): { whole: number; stream: number } => ({
  whole: added(readWhole),
  stream: added(readStream),
});

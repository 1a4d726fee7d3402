/** What a worker does to a request's or an answer's texts. Plain data goes in and out. */
import { Buffer } from "node:buffer";
import { RE2JS } from "re2js";
import { parseBody, parsedBefore } from "../call/received.ts";
import type { WireFormat } from "../config/capabilities.ts";
import type { MaskConfig } from "../config/masking.ts";
import { type Failure, isFailure } from "../failure.ts";
import { judgeTexts } from "../guard/judge.ts";
import { MaskAnswer } from "../masking/changes.ts";
import { Masker } from "../masking/masker.ts";
import { ReplyTexts } from "../masking/reply.ts";
import { maskRequest } from "../masking/request.ts";
import { Tally } from "../masking/tally.ts";

/** A policy's patterns as they are written. */
export interface GuardRules {
  deny: readonly string[];
  allow: readonly string[] | null;
  maxPromptBytes: number | null;
}

export interface RequestJob {
  kind: "request";
  bytes: Uint8Array;
  format: WireFormat;
  /** The member that the request's format reads. */
  member: string;
  /** null: the policy has no patterns for this caller. */
  guard: GuardRules | null;
  mask: MaskConfig | null;
}

export interface AnswerJob {
  kind: "answer";
  body: Uint8Array | string;
  format: WireFormat;
  mask: MaskConfig;
}

export type TextJob = RequestJob | AnswerJob;

/** `bytes`: null if nothing was masked. */
export interface RequestTexts {
  bytes: Uint8Array | null;
  counts: Record<string, number>;
  placeholders: readonly (readonly [string, string])[];
}

export interface AnswerTexts {
  body: Uint8Array | string;
  counts: Record<string, number>;
}

export type ResultOf<Job extends TextJob> = Job extends RequestJob ? RequestTexts | Failure : AnswerTexts;

/** Compiled rules by what they are written as: compiling costs more than most texts. */
const compiled = new Map<string, unknown>();
const maxCompiled = 256;

function once<T>(key: string, make: () => T): T {
  const cached = compiled.get(key);
  if (cached !== undefined) return cached as T;
  if (compiled.size >= maxCompiled) compiled.clear();
  const made = make();
  compiled.set(key, made);
  return made;
}

const patternOf = (pattern: string): RE2JS => once(`pattern ${pattern}`, () => RE2JS.compile(pattern));
const maskerOf = (config: MaskConfig): Masker => once(`mask ${JSON.stringify(config)}`, () => new Masker(config));

function judged({ guard, member }: RequestJob, received: Parameters<typeof maskRequest>[0]): Failure | null {
  if (guard === null) return null;
  const patterns = { deny: guard.deny.map(patternOf), allow: guard.allow?.map(patternOf) ?? null };
  return judgeTexts(received.json, patterns, guard.maxPromptBytes, member);
}

function readRequest(job: RequestJob): RequestTexts | Failure {
  const received = parseBody(Buffer.from(job.bytes.buffer, job.bytes.byteOffset, job.bytes.byteLength), parsedBefore);
  if (isFailure(received)) return received;
  const refused = judged(job, received);
  if (refused !== null) return refused;
  if (job.mask === null) return { bytes: null, counts: {}, placeholders: [] };
  const tally = new Tally(maskerOf(job.mask));
  const masked = maskRequest(received, tally);
  if (isFailure(masked)) return masked;
  const bytes = masked === received ? null : masked.bytes;
  return { bytes, counts: tally.counts, placeholders: [...tally.placeholders] };
}

function readAnswer({ body, format, mask }: AnswerJob): AnswerTexts {
  const masker = maskerOf(mask);
  const tally = new Tally(masker);
  return { body: new ReplyTexts(format, new MaskAnswer(masker, tally)).whole(body), counts: tally.counts };
}

/** What goes back to the pool. */
export interface JobResult {
  read: RequestTexts | AnswerTexts | Failure;
  failed: boolean;
}

export function work(job: TextJob): JobResult {
  const read = job.kind === "request" ? readRequest(job) : readAnswer(job);
  return { read, failed: isFailure(read) };
}

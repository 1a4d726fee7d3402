/** The fields of a call as JSON, in the access log and the audit log. */
import { Buffer } from "node:buffer";
import type { CallRecord } from "../call/record.ts";
import { measuredUnits, unitMeasures } from "../config/ledger.ts";
import { reportNames } from "../config/usage-report.ts";
import type { Units } from "../dialects/canonical.ts";
import { TextBytes } from "../wire/text-bytes.ts";
import { needsNoEscape, quoted, SharedFields } from "./shared-fields.ts";

/** At most 1 KiB, without characters that could start a new line or control a terminal. */
export function clean(text: string): string {
  if (text.length <= 1024 && needsNoEscape.test(text)) return text;
  const short = text.length > 1024 ? `${text.slice(0, 1023)}…` : text;
  return short.replace(/[\p{Cc}\u2028\u2029]/gu, " ");
}

/** Parts of most lines, as bytes. */
const parts = {
  quote: Buffer.from('"'),
  requestId: Buffer.from(',"request_id":'),
  address: Buffer.from(',"address":"'),
  ok: Buffer.from(',"status":200,"stream":false'),
  okStream: Buffer.from(',"status":200,"stream":true'),
  duration: Buffer.from(',"duration_ms":'),
  firstToken: Buffer.from(',"first_token_ms":'),
  input: Buffer.from(',"input_tokens":'),
  cached: Buffer.from(',"cached_tokens":'),
  output: Buffer.from(',"output_tokens":'),
  estimated: Buffer.from(',"estimated":true'),
  reported: Buffer.from(',"estimated":false'),
  cost: Buffer.from(',"cost_nano_usd":'),
};

/** A value that a client controls, as JSON. */
function addCleaned(line: TextBytes, text: string): void {
  if (text.length <= 1024 && needsNoEscape.test(text)) line.raw(parts.quote).utf8(text).raw(parts.quote);
  else line.utf8(JSON.stringify(clean(text)));
}

function addCache(line: TextBytes, { cache, semantic }: CallRecord): void {
  if (cache === null) return;
  line.utf8(',"cache":"').utf8(cache).utf8('"');
  if (semantic === null) return;
  line.utf8(',"semantic":"').utf8(semantic.result).utf8('"');
  if (semantic.similarity !== null) line.utf8(`,"similarity":${semantic.similarity.toFixed(4)}`);
}

/** For an answer that did not complete: how it ended, and how much of it was sent. */
function addCutShort(line: TextBytes, { broken, abandoned, stalled, code, sentBytes }: CallRecord): void {
  const gone = abandoned || code === "client_closed_request";
  if (!gone && !broken) return;
  const byClient = stalled ? "client_stalled" : "client_closed";
  line.utf8(`,"outcome":"${gone ? byClient : "stream_error"}","sent_bytes":${sentBytes}`);
}

function addStatus(line: TextBytes, { status, code, cause, stream }: CallRecord): void {
  if (status === 200 && code === null && cause === null) {
    line.raw(stream ? parts.okStream : parts.ok);
    return;
  }
  line.utf8(',"status":').number(status);
  if (code !== null) line.utf8(',"code":"').utf8(code).utf8('"');
  if (cause !== null) addCleaned(line.utf8(',"cause":'), cause);
  line.utf8(stream ? ',"stream":true' : ',"stream":false');
}

/** Usage of images, audio and reranking. */
function addUnits(line: TextBytes, units: Units): void {
  for (const unit of measuredUnits) {
    const count = units[unit] ?? 0;
    if (count > 0) line.utf8(`,"${reportNames[unitMeasures[unit]]}":${count}`);
  }
}

function addUsage(line: TextBytes, usage: NonNullable<CallRecord["usage"]>): void {
  line.raw(parts.input).number(usage.prompt);
  line.raw(parts.cached).number(usage.cachedPrompt);
  line.raw(parts.output).number(usage.completion);
  if (usage.units !== undefined) addUnits(line, usage.units);
  line.raw(usage.estimated ? parts.estimated : parts.reported);
}

/** Members that few calls have. */
function addRare(line: TextBytes, { moved, attempts, dropped, payloads }: CallRecord): void {
  if (moved !== undefined) line.utf8(`,"session_moved":${JSON.stringify(moved)}`);
  const last = attempts.at(-1);
  if (last?.server !== undefined) line.utf8(`,"server":${JSON.stringify(last.server)}`);
  const lacking = last?.unpriced;
  if (lacking !== undefined) line.utf8(`,"unpriced":${JSON.stringify(lacking)}`);
  if (attempts.length > 1) line.utf8(`,"attempts":${JSON.stringify(attempts)}`);
  if (dropped.length > 0) line.utf8(`,"dropped_params":${JSON.stringify(dropped)}`);
  if (payloads !== null)
    line.utf8(`,"request_body":${quoted(payloads.request)},"response_body":${quoted(payloads.response)}`);
}

const shared = new SharedFields();

/** Adds JSON members, each after a comma. Built by hand for every call: a serialiser costs ten times as much. */
export function addCallFields(line: TextBytes, call: CallRecord): TextBytes {
  addCleaned(line.raw(parts.requestId), call.requestId);
  line.raw(parts.address).utf8(call.address).raw(parts.quote).raw(shared.place(call)).raw(shared.caller(call));
  if (call.session !== "") line.utf8(',"session":"').utf8(call.session).utf8('"');
  addStatus(line, call);
  addCutShort(line, call);
  line.raw(parts.duration).number(Math.round(call.durationMs));
  if (call.firstByteMs !== null) line.raw(parts.firstToken).number(Math.round(call.firstByteMs));
  if (call.usage !== null) addUsage(line, call.usage);
  if (call.masked !== null) line.utf8(`,"masked":${JSON.stringify(call.masked)}`);
  addCache(line, call);
  if (call.costNanoUsd !== null) line.raw(parts.cost).number(call.costNanoUsd);
  addRare(line, call);
  return line;
}

const members = new TextBytes();

/** The same as a string. */
export const callFields = (call: CallRecord): string => addCallFields(members.clear(), call).toString();

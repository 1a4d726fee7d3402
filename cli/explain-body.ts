/** The body of the call that `sluice explain` explains: the user's own, or a short one. */
import { Buffer } from "node:buffer";
import { readFile } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import { isFailure } from "../proxy/failure.ts";
import { editedForm, encodeForm, isForm } from "../proxy/media/form.ts";
import { mediaFormat } from "../proxy/media/registry.ts";
import { address, formatOf } from "../proxy/pipeline/address.ts";
import type { Snapshot } from "../proxy/snapshot/snapshot.ts";
import { UsageError } from "../proxy/usage-error.ts";

/** Options of the command. `body`: a file, or - for standard input. */
interface Asked {
  path: string;
  model?: string | undefined;
  body?: string | undefined;
}

interface Sent {
  body: Buffer;
  headers: Record<string, string>;
}

/** The shortest valid body, so that every operation can be explained. */
function shortBody({ path, model }: Asked, upload: string | null): object {
  const named = model === undefined ? {} : { model };
  if (upload === "file") return named;
  if (/\/images\/\w+$/.test(path)) return { ...named, prompt: "Hi" };
  if (/\/(embeddings|responses(\/(input_tokens|compact))?)$/.test(path)) return { ...named, input: "Hi" };
  if (path.endsWith("/completions") && !path.endsWith("/chat/completions")) return { ...named, prompt: "Hi" };
  return { ...named, max_tokens: 1, messages: [{ role: "user", content: "Hi" }] };
}

function asObject(given: string, file: string): object {
  try {
    const json: unknown = JSON.parse(given);
    if (typeof json === "object" && json !== null && !Array.isArray(json)) return json;
  } catch {
    // Not an object: reported below.
  }
  throw new UsageError(`--body ${file} is not a JSON object`);
}

/** Name of the file in a form that this path takes; null if it takes JSON. */
function uploadOf(path: string, snapshot: Snapshot): string | null {
  const addressed = address("POST", path, snapshot);
  return isFailure(addressed) ? null : (mediaFormat(formatOf(addressed.operation))?.upload ?? null);
}

/** A form with these fields and a file. */
function formOf(upload: string, fields: object, headers: Sent["headers"]): Sent {
  const file = { name: upload, filename: "upload", contentType: null, content: Buffer.from("x") };
  const { body, contentType } = encodeForm(editedForm([file], { ...fields }));
  return { body, headers: { ...headers, "content-type": contentType } };
}

/** Throws a UsageError for a body that can't be sent. */
export async function bodyOf(asked: Asked, headers: Sent["headers"], snapshot: Snapshot): Promise<Sent> {
  const { path, model, body: file } = asked;
  const upload = uploadOf(path, snapshot);
  const encoded = (fields: object): Sent =>
    upload === null ? { body: Buffer.from(JSON.stringify(fields)), headers } : formOf(upload, fields, headers);
  const isOwnForm = isForm(headers["content-type"] ?? null);
  if (isOwnForm && (file === undefined || model !== undefined))
    throw new UsageError("a form of your own needs --body, and names its model in the form, not as --model");
  if (file === undefined) return encoded(shortBody(asked, upload));
  const body = file === "-" ? await buffer(process.stdin) : await readFile(file);
  if (isOwnForm || (model === undefined && upload === null)) return { body, headers };
  const fields = asObject(body.toString("utf8"), file);
  return encoded(model === undefined ? fields : { ...fields, model });
}

/** Requests and answers without the bytes of files, as they are logged. */
import { Buffer } from "node:buffer";
import type { JsonObject } from "../wire/json.ts";
import { type FormPart, memberOf } from "./form.ts";

export function describedForm(fields: JsonObject, parts: readonly FormPart[]): JsonObject {
  const uploads = parts
    .filter(({ filename }) => filename !== null)
    .map((part) => ({ member: memberOf(part), filename: part.filename, bytes: part.content.length }));
  return { ...fields, uploads };
}

const encoded = /"(b64_json|audio)"(\s*:\s*)"([A-Za-z0-9+/=_-]{128,})"/g;

export function describedAnswer(body: Uint8Array | string): string {
  const text =
    typeof body === "string" ? body : Buffer.from(body.buffer, body.byteOffset, body.length).toString("utf8");
  return text.replace(
    encoded,
    (_whole, name: string, colon: string, data: string) => `"${name}"${colon}"(${data.length} characters of base64)"`,
  );
}

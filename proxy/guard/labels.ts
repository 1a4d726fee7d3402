/**
 * Strings of a request that carry no words: names of roles and types, identifiers, links and bytes. A value in such a
 * place that isn't of this kind is read like any other text. Pure.
 */
import type { JsonObject } from "../wire/json.ts";

const roles: ReadonlySet<string> = new Set([
  ...["system", "developer", "user", "assistant", "tool", "function", "model", "critic", "discriminator", "unknown"],
]);
const jsonTypes: ReadonlySet<string> = new Set(["string", "number", "integer", "boolean", "object", "array", "null"]);
/**
 * https://json-schema.org/draft/2020-12/json-schema-validation#section-7.3, and the names of answer and audio formats.
 */
const formats: ReadonlySet<string> = new Set([
  ...["date-time", "date", "time", "duration", "email", "idn-email", "hostname", "idn-hostname", "ipv4", "ipv6"],
  ...["uri", "uri-reference", "iri", "iri-reference", "uuid", "uri-template", "json-pointer", "regex"],
  ...["int32", "int64", "float", "double", "byte", "binary", "wav", "mp3", "flac", "opus", "aac", "pcm16"],
]);

const word = /^[A-Za-z_][A-Za-z0-9_.:/+-]{0,255}$/;
const mediaType = /^[a-z]+\/[A-Za-z0-9.+-]{1,127}(; ?charset=[A-Za-z0-9-]{1,40})?$/;
/** The address of an external resource, or inline bytes. */
const link = /^(?:https?|data|gs|s3|ftp|file):\S*$/i;
const bytes = /^[A-Za-z0-9+/_-]*={0,2}\s*$/;

const identifiers: ReadonlySet<string> = new Set([
  ...["id", "tool_call_id", "tool_use_id", "call_id", "item_id", "file_id", "container_id", "previous_response_id"],
  ...["response_id", "object", "status", "detail", "effort", "prefer_provider"],
]);
const opaque: ReadonlySet<string> = new Set(["signature", "encrypted_content", "file_data", "data"]);
const links: ReadonlySet<string> = new Set(["url", "image_url"]);

/** Whether `text`, as the value of `member` of `holder`, is the expected label rather than words. */
export function isLabel(member: string, text: string, holder: JsonObject | null): boolean {
  switch (member) {
    case "role":
      return roles.has(text);
    case "type":
      return jsonTypes.has(text) || word.test(text);
    case "format":
      return formats.has(text);
    case "media_type":
      return mediaType.test(text);
    default:
      if (identifiers.has(member)) return word.test(text);
      if (links.has(member)) return link.test(text);
      return opaque.has(member) && (member !== "data" || holder?.["type"] !== "text") && bytes.test(text);
  }
}

/** Top-level members of a request whose values are settings if they are a single word. */
const settings: ReadonlySet<string> = new Set([
  ...["tool_choice", "reasoning_effort", "service_tier", "truncation", "modalities", "encoding_format", "verbosity"],
  ...["reasoning", "audio", "include", "prompt_cache_retention", "thinking", "format", "parallel_tool_calls"],
]);
/** Top-level members that no model sees. */
const unseen: ReadonlySet<string> = new Set([
  ...["model", "user", "metadata", "safety_identifier", "prompt_cache_key", "stop", "stop_sequences"],
  ...["previous_response_id", "conversation", "container"],
]);

export const isUnseen = (member: string): boolean => unseen.has(member);
export const isSetting = (member: string): boolean => settings.has(member);
/** A name that a program chooses: begins with a letter, and has no blanks and no marks of an address. */
export const isWord = (text: string): boolean => word.test(text);

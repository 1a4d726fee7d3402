/**
 * Images and documents as OpenAI's parts carry them: in data URIs (https://www.rfc-editor.org/rfc/rfc2397) or by URL.
 */

export interface Media {
  /** In lower case, without parameters. */
  mediaType: string;
  /** Base64. */
  data: string;
}

/** Names in use for a registered type. */
const aliases: Readonly<Record<string, string>> = { "image/jpg": "image/jpeg" };

/** Contents of a base64 data URI; null if `uri` isn't one. */
export function mediaOf(uri: string): Media | null {
  if (!/^data:/i.test(uri)) return null;
  const comma = uri.indexOf(",");
  const [type = "", ...parameters] = uri.slice("data:".length, comma).toLowerCase().split(";");
  if (comma < 0 || parameters.at(-1)?.trim() !== "base64") return null;
  const mediaType = type.trim();
  return {
    mediaType: Object.hasOwn(aliases, mediaType) ? (aliases[mediaType] as string) : mediaType,
    data: uri.slice(comma + 1),
  };
}

export function isWebAddress(url: string): boolean {
  return /^https?:\/\//i.test(url);
}

/** Base URLs of other gateways as endpoints of LLMProviders. */
import { endpoint as endpointSchema } from "../../crds/types/endpoint.ts";

export interface ImportedEndpoint {
  endpoint: string;
  /** Whether it may be an address that only this network or host has. */
  isPrivate: boolean;
  /** What was changed; empty if nothing. */
  note: string;
}

const privateHost =
  /^(localhost|[^.]+|.*\.(local|localhost|internal|lan|home|svc|test)|.*\.svc\..*|127\..*|10\..*|192\.168\..*|172\.(1[6-9]|2[0-9]|3[01])\..*|169\.254\..*|100\.(6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])\..*|\[.*\])$/i;

/** Returns null if the text isn't a URL. */
export function endpointFrom(text: string): ImportedEndpoint | null {
  const notes: string[] = [];
  const whole = /^https?:\/\//i.test(text) ? text : `https://${text}`;
  if (whole !== text) notes.push("https:// was added");
  const url = URL.parse(whole);
  if (url === null) return null;
  if (url.username !== "" || url.password !== "") notes.push("user and password were removed from the URL");
  if (url.search !== "" || url.hash !== "") notes.push("query and fragment were removed from the URL");
  const host = url.host.replaceAll("_", "-");
  if (host !== url.host) notes.push("_ in the host became -, since no DNS name has it");
  const endpoint = `${url.protocol}//${host}${url.pathname.replace(/\/+$/, "")}`;
  if (!endpointSchema.safeParse(endpoint).success) return null;
  return { endpoint, isPrivate: url.protocol === "http:" || privateHost.test(url.hostname), note: notes.join("; ") };
}

/** A placeholder for a URL from an unset variable: the manifest is complete, and calls fail visibly. */
export const placeholderEndpoint = (variable: string): string =>
  `https://${
    variable
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-")
      .replace(/^-+|-+$/g, "")
      .slice(0, 60) || "host"
  }.invalid`;

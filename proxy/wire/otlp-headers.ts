/** Headers for an OpenTelemetry collector, as they are set in the environment. */

/** Parses `name=value,name=value`. A value may contain `=`, as base64 does. */
export function otlpHeadersOf(text: string): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const pair of text.split(",")) {
    const end = pair.indexOf("=");
    const name = (end < 0 ? pair : pair.slice(0, end)).trim().toLowerCase();
    if (name !== "") headers[name] = end < 0 ? "" : pair.slice(end + 1).trim();
  }
  return headers;
}

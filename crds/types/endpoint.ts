/**
 * A provider's endpoint. Its pattern is composed of the parts of a URL, so that parsing a valid endpoint never fails.
 */
import { z } from "zod";
import { worded } from "./worded.ts";

const bare = (pattern: RegExp): string => pattern.source.slice(1, -1);

const label = "[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?";
/**
 * URL parsers treat a host whose last label begins with a digit as an IPv4 address, so a name's last label begins with
 * a letter.
 */
const name = `(${label}[.])*[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?`;
const ipv4 = bare(z.regexes.ipv4).replaceAll("\\.", "[.]");
const ipv6 = `[[]${bare(z.regexes.ipv6)}]`;
const port = "([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";
const path = "(/[A-Za-z0-9._~%!$&()*+,;=:@/-]*)?";

/**
 * No user, because that would be a secret outside a Secret; no query and no fragment, because they would be ignored.
 */
export const endpoint = worded(
  z.string().max(1024),
  new RegExp(`^https?://(${name}|${ipv4}|${ipv6})(:${port})?${path}$`),
  "must be an http or https URL without user, query and fragment, such as https://llm.example.com/v1",
  [
    [/^[A-Za-z0-9.-]+(:[0-9]+)?(\/.*)?$/, "must begin with https:// or http://, such as https://llm.example.com/v1"],
    [
      /^https?:\/\/[^/]*@/,
      "must not have a user or password in it: credentials go into a Secret that spec.credentials.secretRef names",
    ],
    [
      /[?#]/,
      "must end before any ? or #, such as https://llm.example.com/v1: a version goes into spec.options, where the type has one",
    ],
    [/[<>{}]/, "must be a whole URL, such as https://llm.example.com/v1: put your own name where <> or {} stand"],
    [/^https?:\/\/[A-Za-z0-9.-]*_/, "must not have _ in its host: no DNS name of a server has it"],
  ],
).meta({ unquoted: true });

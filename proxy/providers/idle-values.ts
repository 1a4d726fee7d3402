/** Parameters whose value asks only for what a provider does anyway: leaving them out loses nothing. */
import type { ChatRequest } from "../dialects/canonical.ts";
import { isObject, isSet } from "../wire/json.ts";

const isEmpty = (value: unknown): boolean => isObject(value) && Object.keys(value).length === 0;

const idle: Readonly<Record<string, (value: unknown) => boolean>> = {
  n: (value) => value === 1,
  logprobs: (value) => value === false,
  top_logprobs: (value) => value === 0,
  logit_bias: isEmpty,
  presence_penalty: (value) => value === 0,
  frequency_penalty: (value) => value === 0,
  modalities: (value) => Array.isArray(value) && value.every((modality) => modality === "text"),
  metadata: isEmpty,
  service_tier: (value) => value === "auto",
  store: (value) => value === false,
  stream_options: () => true,
};

const isIdle = (name: string, value: unknown): boolean => Object.hasOwn(idle, name) && idle[name]?.(value) === true;

/** Names of the parameters that have a meaning and that the translator doesn't read. */
export const unreadParameters = (request: ChatRequest, read: ReadonlySet<string>): string[] =>
  Object.keys(request).filter((name) => !read.has(name) && isSet(request[name]) && !isIdle(name, request[name]));

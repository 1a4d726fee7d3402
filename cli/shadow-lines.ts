/** Comparisons of calls with their copies, read from the log of a proxy. */
import { z } from "zod";
import { type Comparison, ShadowRows, type ShadowSpan } from "../proxy/config/shadow-report.ts";

const tokens = z.int().min(0).default(0);
const cost = z.number().min(0).nullable().default(null);

const shadowLine = z.object({
  msg: z.literal("shadow"),
  time: z.string(),
  route: z.string(),
  model: z.string(),
  provider: z.string(),
  upstream_model: z.string(),
  status: z.int(),
  outcome: z.string().optional(),
  duration_ms: z.number(),
  input_tokens: tokens,
  output_tokens: tokens,
  cost_nano_usd: cost,
  similarity: z.number().nullable(),
  compared_with: z.object({
    provider: z.string(),
    upstream_model: z.string(),
    status: z.int(),
    duration_ms: z.number(),
    input_tokens: tokens,
    output_tokens: tokens,
    cost_nano_usd: cost,
  }),
});
type ShadowLine = z.output<typeof shadowLine>;

function calledAs(line: ShadowLine | ShadowLine["compared_with"], ok: boolean): Comparison["call"] {
  const { provider, upstream_model: model, status } = line;
  return {
    ...{ provider, model, status, ok },
    inputTokens: line.input_tokens,
    outputTokens: line.output_tokens,
    costNanoUsd: line.cost_nano_usd,
    durationMs: line.duration_ms,
  };
}

/** Returns undefined if the line is cut short or isn't JSON. */
function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

export interface LoggedComparisons {
  rows: ShadowRows;
  /** Time of the first; null if there are none. */
  since: string | null;
}

const isWithin = (span: ShadowSpan | null, time: string): boolean => {
  if (span === null) return true;
  const ms = Date.parse(time);
  return ms >= span.fromMs && ms < span.toMs;
};

/** Skips other lines of the log. `span`: null for all of it. */
export function comparisonsIn(texts: Iterable<string>, span: ShadowSpan | null): LoggedComparisons {
  const rows = new ShadowRows();
  let since: string | null = null;
  for (const text of texts)
    for (const line of text.split("\n")) {
      if (!line.includes('"msg":"shadow"')) continue;
      const { data } = shadowLine.safeParse(parsed(line));
      if (data === undefined || !isWithin(span, data.time)) continue;
      if (since === null || data.time < since) since = data.time;
      const copy = calledAs(data, data.status < 400 && data.outcome === undefined);
      const call = calledAs(data.compared_with, true);
      rows.add({ policy: data.route, model: data.model, call, copy, similarity: data.similarity });
    }
  return { rows, since };
}

/** One proxy's `/status`, parsed leniently: an older or newer proxy may report less or more. */
import { z } from "zod";

const strings = z.record(z.string(), z.string());

const provider = z.object({
  id: z.string(),
  healthy: z.boolean().nullable().catch(null),
  reason: z.string().nullable().catch(null),
  /** Model → state of its breaker. */
  breakers: strings.catch({}),
  causes: strings.catch({}),
  refused: z.array(z.string()).catch([]),
  /** null if it isn't a pool, or the proxy is older. */
  pods: z
    .array(z.object({ pod: z.string(), inFlight: z.number().catch(0), spared: z.boolean().catch(false) }))
    .nullable()
    .catch(null),
  /** null if its pool has no endpoint picker. */
  picker: z
    .object({ pool: z.string(), reason: z.string().nullable().catch(null) })
    .nullable()
    .catch(null),
});

const sink = z.object({
  name: z.string(),
  durable: z.boolean().catch(false),
  waiting: z.number().catch(0),
  lagMs: z.number().catch(0),
  dropped: z.number().catch(0),
  failures: z.number().catch(0),
  failing: z.boolean().catch(false),
});
export type AuditSinkReading = z.output<typeof sink>;

const report = z.object({
  revision: z.string().nullable().catch(null),
  ready: z.boolean().catch(false),
  draining: z.boolean().catch(false),
  rejected: z.object({ reason: z.string(), since: z.string() }).nullable().catch(null),
  damagedState: z.string().optional().catch(undefined),
  keys: z.number().catch(0),
  inFlight: z.number().catch(0),
  providers: z.array(provider).catch([]),
  /** null if it writes no audit log; absent from an older proxy. */
  audit: z.array(sink).nullable().optional().catch(undefined),
});

export type ProxyAnswer = z.output<typeof report>;

export interface ProxyReading {
  name: string;
  /** null if it does not answer. */
  report: ProxyAnswer | null;
}

export function proxyReading(name: string, body: unknown): ProxyReading {
  const parsed = report.safeParse(body);
  return { name, report: parsed.success ? parsed.data : null };
}

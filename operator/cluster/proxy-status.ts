/** What a proxy says at /status, read with care: an older or newer one may say less or more. */
import { z } from "zod";
import type { ProxyReport } from "../compile/health.ts";

const provider = z.object({
  id: z.string(),
  healthy: z.boolean().nullable().catch(null),
  reason: z.string().max(512).nullable().catch(null),
  breakers: z.record(z.string(), z.string()).catch({}),
});

const proxyStatus = z.object({
  ready: z.boolean().catch(false),
  revision: z.string().nullable().catch(null),
  providers: z.array(provider).catch([]),
});

export interface ProxyStatus {
  ready: boolean;
  revision: string | null;
  providers: ProxyReport;
}

/** null where it is no status at all. */
export function parseProxyStatus(body: unknown): ProxyStatus | null {
  const parsed = proxyStatus.safeParse(body);
  if (!parsed.success) return null;
  const { ready, revision, providers } = parsed.data;
  const reports = providers.map(({ id, healthy, reason, breakers }) => {
    const open = Object.keys(breakers).filter((model) => breakers[model] !== "closed");
    return [id, { healthy, reason, open }] as const;
  });
  return { ready, revision, providers: new Map(reports) };
}

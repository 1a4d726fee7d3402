/** Options shared by commands on the usage ledger: where to read it, and the span of time. */
import { durationMs } from "../crds/quantity.ts";
import { dayStartMs, isTimeZone } from "../proxy/config/periods.ts";
import { UsageError } from "../proxy/usage-error.ts";
import { type Ledger, ledgerAt, ledgersIn } from "./ledger.ts";

export const placeUsage = `  --url URL             a proxy's status port (default http://127.0.0.1:9090); repeat it for each proxy if they
                        share no Redis or Valkey; the token is read from SLUICE_STATUS_TOKEN; or
  --system-namespace NS where Sluice is installed in a cluster: its proxies are asked through the API server, which needs
                        the rights of the Role sluice-reports there
  --kubeconfig FILE     (default: ~/.kube/config)`;

export const spanUsage = `  --period TIME         until now, such as 24h or 7d (default 7d), or
  --from, --to MOMENT   a day such as 2027-02-01, or a moment such as 2027-02-01T00:00:00Z; whole hours count
  --time-zone ZONE      of days, months and hours, such as Europe/Berlin (default UTC)`;

export const placeOptions = {
  url: { type: "string", multiple: true },
  "system-namespace": { type: "string" },
  kubeconfig: { type: "string" },
} as const;

export const spanOptions = {
  period: { type: "string" },
  from: { type: "string" },
  to: { type: "string" },
  "time-zone": { type: "string", default: "UTC" },
} as const;

export interface LedgerPlace {
  url?: string[] | undefined;
  "system-namespace"?: string | undefined;
  kubeconfig?: string | undefined;
}

export interface SpanValues {
  period?: string | undefined;
  from?: string | undefined;
  to?: string | undefined;
  "time-zone": string;
}

/** Default URL of the status port, for `sluice dev` and for a forwarded port. */
const ownStatus = "http://127.0.0.1:9090";

export function ledgersOf({ url, kubeconfig, "system-namespace": systemNamespace }: LedgerPlace): Promise<Ledger[]> {
  const inCluster = systemNamespace !== undefined || kubeconfig !== undefined;
  if (inCluster && url !== undefined)
    throw new UsageError("give --url, or --system-namespace and --kubeconfig, not both");
  if (!inCluster)
    return Promise.resolve((url ?? [ownStatus]).map((text) => ledgerAt(text, process.env["SLUICE_STATUS_TOKEN"])));
  return ledgersIn({ kubeconfig: kubeconfig ?? null, systemNamespace: systemNamespace ?? "sluice-system" });
}

const momentForm = /^(\d{4}-\d{2}-\d{2})(T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2}))?$/;

/** Days begin at midnight in the zone. Times need a zone of their own; dates must exist. */
function moment(name: string, text: string, timeZone: string): number {
  const [, day, time] = momentForm.exec(text) ?? [];
  const parsedMs = day === undefined ? Number.NaN : Date.parse(text);
  const isDay = day !== undefined && !Number.isNaN(Date.parse(day)) && new Date(day).toISOString().startsWith(day);
  if (Number.isNaN(parsedMs) || !isDay)
    throw new UsageError(
      `--${name} must be a day that exists, such as 2027-02-01, or a moment with its zone, such as 2027-02-01T00:00:00Z or 2027-02-01T00:00:00+01:00, not ${text}`,
    );
  return time === undefined ? dayStartMs(timeZone, day) : parsedMs;
}

export interface ReportSpan {
  fromMs: number;
  toMs: number;
  timeZone: string;
}

/** With `--period`, the span starts at the beginning of its first hour. */
export function spanOf({ period, from, to, "time-zone": timeZone }: SpanValues, nowMs: number): ReportSpan {
  if (!isTimeZone(timeZone))
    throw new UsageError(`--time-zone must be an IANA time zone, such as Europe/Berlin, not ${timeZone}`);
  if (period !== undefined && from !== undefined) throw new UsageError("give --period or --from, not both");
  const toMs = to === undefined ? nowMs : moment("to", to, timeZone);
  if (from !== undefined) {
    const fromMs = moment("from", from, timeZone);
    if (fromMs >= toMs)
      throw new UsageError(to === undefined ? "--from must be in the past" : "--from must be before --to");
    return { fromMs, toMs, timeZone };
  }
  const text = period ?? "7d";
  if (!/^[1-9][0-9]{0,4}(m|h|d)$/.test(text))
    throw new UsageError(`--period must be a time such as 24h or 7d, not ${text}`);
  const fromMs = toMs - durationMs(text);
  return { fromMs: fromMs - (fromMs % 3_600_000), toMs, timeZone };
}

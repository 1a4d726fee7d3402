/** Writes statuses as long as this process leads, and where no other installation writes them. */
import type { OperatorSettings } from "../settings/settings.ts";
import type { Cluster } from "./api.ts";
import { reportContest } from "./contest-event.ts";
import { Contests } from "./contests.ts";
import { report } from "./report.ts";
import { StatusWriter } from "./status-writer.ts";

/** How long another installation that writes the same statuses is believed to be there. */
const contestHoldMs = 30 * 60_000;

interface StatusOptions {
  log: { error(fields: object, message: string): void };
  leading(): boolean;
  failed(cause: unknown): void;
  /** Called when statuses should be offered once more. */
  again(): void;
}

export function openStatuses(
  cluster: Cluster,
  { namespace, publishPrefix }: OperatorSettings,
  { log, leading, failed, again }: StatusOptions,
): { contests: Contests; writer: StatusWriter } {
  const contests = new Contests(`${namespace}/${publishPrefix}`, {
    holdMs: contestHoldMs,
    nowMs: () => performance.now(),
    noticed: (contest) => {
      const { namespace, rival, yields } = contest;
      log.error({ namespace, rival, yields }, "another installation writes statuses of the same objects");
      reportContest(cluster, contest).catch(() => undefined);
    },
  });
  const writer = new StatusWriter(
    async (due) => {
      const write = leading() ? contests.admit(due) : null;
      if (write === null) return;
      const { verdict, object, status } = write;
      if (await report(cluster, verdict, object, status, Date.now())) contests.wrote(write);
    },
    failed,
    again,
  );
  return { contests, writer };
}

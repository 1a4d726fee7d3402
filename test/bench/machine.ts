/** Cores and processor time. */
import { readdir, readFile } from "node:fs/promises";
import { cpus } from "node:os";

/** taskset lists; "" where there is only one core, so that nothing is pinned. */
export const cores = cpus().length > 1 ? { tested: "0", load: "1" } : { tested: "", load: "" };

export function pinned(core: string, command: string, args: readonly string[]): [string, string[]] {
  return core === "" ? [command, [...args]] : ["taskset", ["-c", core, command, ...args]];
}

/** Linux counts processor time in hundredths of a second, whatever the kernel's own tick is (proc(5), sysconf(3)). */
const tickUs = 10_000;

async function children(pid: number): Promise<number[]> {
  const tasks = await readdir(`/proc/${pid}/task`).catch(() => []);
  const lists = await Promise.all(
    tasks.map((task) => readFile(`/proc/${pid}/task/${task}/children`, "utf8").catch(() => "")),
  );
  const own = lists.flatMap((list) => list.split(" ").filter(Boolean).map(Number));
  return [...own, ...(await Promise.all(own.map(children))).flat()];
}

export interface CpuTime {
  userUs: number;
  kernelUs: number;
}

/** Processor time of a process and those that it started. NaN where there is no /proc. */
export async function cpuTime(pid: number): Promise<CpuTime> {
  const pids = [pid, ...(await children(pid))];
  const times = await Promise.all(
    pids.map(async (pid) => {
      const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return { userUs: Number(fields[11]) * tickUs, kernelUs: Number(fields[12]) * tickUs };
    }),
  );
  return times.reduce((sum, one) => ({ userUs: sum.userUs + one.userUs, kernelUs: sum.kernelUs + one.kernelUs }));
}

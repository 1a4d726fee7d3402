/** Milliseconds of processor time that `work` takes: unlike time on the clock it doesn't grow with what else runs here. */
export function cpuMsOf(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

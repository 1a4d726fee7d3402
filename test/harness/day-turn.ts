const dayMs = 86_400_000;

/** For tests of one day, month or hour: where the day (UTC) would turn within `withinMs`, it has turned when this resolves. */
export async function pastDayTurn(withinMs = 60_000): Promise<void> {
  const leftMs = dayMs - (Date.now() % dayMs);
  if (leftMs < withinMs) await new Promise((resolve) => setTimeout(resolve, leftMs));
}

/**
 * The rows of an exhaustive table that a run tries: all, or in `make test-unit` (PROPERTY_RUNS below 1) the first and
 * every fifth after it, so that the lane stays short enough to run after every edit.
 */
const share = Math.min(1, Number(process.env["PROPERTY_RUNS"] ?? 1));

export function sampled<Row>(rows: Iterable<Row>): Row[] {
  const step = Math.max(1, Math.round(1 / share));
  return [...rows].filter((_, index) => index % step === 0);
}

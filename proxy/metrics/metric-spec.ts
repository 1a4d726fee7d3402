/** What is said of a metric in the catalogue. */
export interface MetricSpec {
  /** untyped: a counter whose name is fixed, and lacks the suffix that counters have. */
  type: "counter" | "gauge" | "histogram" | "untyped";
  help: string;
  labels: readonly string[];
  /** Whether the labels of `metrics.labels` are added. */
  ofCaller?: true;
}

/** Labels of what is about one model of a provider. */
export const modelLabels = ["provider", "model"] as const;
/** Labels of what is about the calls of a policy. */
export const callLabels = ["route", "provider", "model"] as const;

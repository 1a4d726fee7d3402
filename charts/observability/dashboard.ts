/** Grafana dashboards from short descriptions of their panels. */

/** Units as Grafana names them. */
type Unit = "short" | "s" | "percentunit" | "currencyUSD" | "reqps" | "bytes" | "dateTimeFromNow" | "none";

export interface Query {
  expr: string;
  /** Label template such as `{{provider}}`. */
  legend?: string;
}

export interface Panel {
  title: string;
  /** Says what to look for. */
  about?: string;
  kind: "timeseries" | "stat" | "table" | "bargauge";
  unit?: Unit;
  queries: readonly Query[];
  /** Of 24. */
  width?: 6 | 8 | 12 | 24;
  /** Where the colour turns; the first is always green. */
  thresholds?: readonly { value: number; color: "orange" | "red" | "green" }[];
  /** Text in place of a number, by value. */
  words?: Readonly<Record<string, string>>;
}

export interface Dashboard {
  uid: string;
  title: string;
  about: string;
  rows: readonly { title: string; panels: readonly Panel[] }[];
}

// biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of Grafana
const source = { type: "prometheus", uid: "${datasource}" };
const panelHeight = 8;

/** Tables and bars show the present; the others a range. */
const isInstant = (kind: Panel["kind"]): boolean => kind !== "timeseries";

function fieldConfig({ unit = "short", thresholds = [], words, kind }: Panel): object {
  const steps = [{ color: "green", value: null }, ...thresholds];
  const mappings =
    words === undefined
      ? []
      : [
          {
            type: "value",
            options: Object.fromEntries(Object.entries(words).map(([value, text]) => [value, { text }])),
          },
        ];
  const custom = kind === "timeseries" ? { custom: { fillOpacity: 10, showPoints: "never" } } : {};
  return { defaults: { unit, mappings, thresholds: { mode: "absolute", steps }, ...custom }, overrides: [] };
}

function optionsOf(kind: Panel["kind"]): object {
  const reduceOptions = { calcs: ["lastNotNull"], values: false };
  switch (kind) {
    case "timeseries":
      return { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi", sort: "desc" } };
    case "stat":
      return { reduceOptions, colorMode: "value", graphMode: "none" };
    case "bargauge":
      return { reduceOptions, displayMode: "basic", orientation: "horizontal" };
    case "table":
      return { showHeader: true };
  }
}

/** Proxies serve exemplars with their histograms; each is a dot that leads to the trace of a call. */
const exemplarsOf = (expr: string): object => (/\bai_\w+_bucket\b/.test(expr) ? { exemplar: true } : {});

function panelJson(panel: Panel, id: number, place: { x: number; y: number }): object {
  const { title, about, kind, queries, width = 12 } = panel;
  const instant = isInstant(kind);
  return {
    id,
    title,
    type: kind,
    ...(about === undefined ? {} : { description: about }),
    datasource: source,
    gridPos: { h: panelHeight, w: width, ...place },
    fieldConfig: fieldConfig(panel),
    options: optionsOf(kind),
    targets: queries.map(({ expr, legend }, index) => ({
      refId: String.fromCharCode(65 + index),
      datasource: source,
      expr,
      ...(legend === undefined ? {} : { legendFormat: legend }),
      ...(instant ? { instant: true, range: false } : { range: true, ...exemplarsOf(expr) }),
      ...(kind === "table" ? { format: "table" } : {}),
    })),
    ...(kind === "table" ? { transformations: [{ id: "organize", options: { excludeByName: { Time: true } } }] } : {}),
  };
}

function panelsOf({ rows }: Dashboard): object[] {
  const panels: object[] = [];
  let y = 0;
  for (const { title, panels: inRow } of rows) {
    panels.push({
      id: panels.length + 1,
      type: "row",
      title,
      collapsed: false,
      gridPos: { h: 1, w: 24, x: 0, y },
      panels: [],
    });
    y++;
    let x = 0;
    for (const panel of inRow) {
      const { width = 12 } = panel;
      if (x + width > 24) {
        x = 0;
        y += panelHeight;
      }
      panels.push(panelJson(panel, panels.length + 1, { x, y }));
      x += width;
    }
    y += panelHeight;
  }
  return panels;
}

/** The dashboard in Grafana's JSON model. */
export function grafanaJson(dashboard: Dashboard): object {
  return {
    uid: dashboard.uid,
    title: dashboard.title,
    description: dashboard.about,
    tags: ["sluice"],
    schemaVersion: 39,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: "30s",
    time: { from: "now-6h", to: "now" },
    templating: {
      list: [{ name: "datasource", label: "Data source", type: "datasource", query: "prometheus", hide: 0 }],
    },
    links: [{ type: "dashboards", title: "Sluice", tags: ["sluice"], asDropdown: true, includeVars: true }],
    panels: panelsOf(dashboard),
  };
}

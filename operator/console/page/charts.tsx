/** Small SVG charts. Each has a text alternative. */
import type { ComponentChildren } from "preact";
import type { TrafficPoint } from "../statistics.ts";
import { callCount, clockTime, dateAndTime, dollars } from "./format.ts";

const width = 600;

/** The next of 1, 2, 5, 10, 20, … that is not below a value. */
function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-12)));
  const step = [1, 2, 5, 10].find((one) => one * power >= value) ?? 10;
  return step * power;
}

function Frame(props: {
  top: string;
  left: string;
  right: string;
  label: string;
  height: number;
  children: ComponentChildren;
}) {
  const { top, left, right, label, height } = props;
  return (
    <figure class="chart">
      <div class="chart-top" aria-hidden="true">
        {top}
      </div>
      <svg
        role="img"
        aria-label={label}
        viewBox={`0 0 ${width} ${height}`}
        preserveAspectRatio="none"
        style={{ height: `${height}px` }}
      >
        <title>{label}</title>
        <line class="grid" x1="0" x2={width} y1="0.5" y2="0.5" />
        <line class="grid" x1="0" x2={width} y1={height / 2} y2={height / 2} />
        {props.children}
        <line class="axis" x1="0" x2={width} y1={height - 0.5} y2={height - 0.5} />
      </svg>
      <div class="chart-ends" aria-hidden="true">
        <span>{left}</span>
        <span>{right}</span>
      </div>
    </figure>
  );
}

/** Calls of the last hour: answered, refused, failed. */
export function TrafficChart({ points, height = 120 }: { points: readonly TrafficPoint[]; height?: number }) {
  const most = roundUp(Math.max(4, ...points.map(({ calls }) => calls)));
  const step = width / points.length;
  const bar = (at: number, from: number, count: number, kind: string) =>
    count <= 0 ? null : (
      <rect
        key={`${kind}${at}`}
        class={`bar ${kind}`}
        x={at * step + step * 0.12}
        width={step * 0.76}
        y={height - ((from + count) / most) * height}
        height={(count / most) * height}
      />
    );
  const sum = (figure: "calls" | "errors" | "refused"): number =>
    points.reduce((total, point) => total + point[figure], 0);
  const label = `Calls in the last hour: ${sum("calls")}, of which ${sum("errors")} failed and ${sum("refused")} were refused`;
  const [first, last] = [points[0], points.at(-1)];
  return (
    <Frame
      top={`${callCount(most)} in 30 s`}
      left={first === undefined ? "" : clockTime(first.atMs)}
      right={last === undefined ? "" : clockTime(last.atMs + 30_000)}
      label={label}
      height={height}
    >
      {points.map(({ calls, errors, refused }, at) => [
        bar(at, 0, calls - errors - refused, "answered"),
        bar(at, calls - errors - refused, refused, "refused"),
        bar(at, calls - errors, errors, "failed"),
      ])}
    </Frame>
  );
}

export function Sparkline({ points }: { points: readonly TrafficPoint[] }) {
  const height = 24;
  const wide = 120;
  const groups = 30;
  const size = Math.ceil(points.length / groups);
  const bars = Array.from({ length: groups }, (_, at) => {
    const part = points.slice(at * size, (at + 1) * size);
    const of = (figure: "calls" | "errors"): number => part.reduce((sum, point) => sum + point[figure], 0);
    return { calls: of("calls"), errors: of("errors") };
  });
  const most = Math.max(1, ...bars.map(({ calls }) => calls));
  const step = wide / groups;
  return (
    <svg class="spark" viewBox={`0 0 ${wide} ${height}`} aria-hidden="true">
      <line class="axis" x1="0" x2={wide} y1={height - 0.5} y2={height - 0.5} />
      {bars.map(({ calls, errors }, at) => [
        calls > 0 && (
          <rect
            class="bar answered"
            x={at * step}
            width={step - 1}
            y={height - (calls / most) * height}
            height={(calls / most) * height}
          />
        ),
        errors > 0 && (
          <rect
            class="bar failed"
            x={at * step}
            width={step - 1}
            y={height - (calls / most) * height}
            height={(errors / most) * height}
          />
        ),
      ])}
    </svg>
  );
}

/** Amounts by hour or day. */
export function AmountChart({
  points,
  height = 120,
}: {
  points: readonly { at: string; costNanoUsd: number }[];
  height?: number;
}) {
  const most = roundUp(Math.max(1e-6, ...points.map(({ costNanoUsd }) => costNanoUsd / 1e9)));
  const step = width / points.length;
  const sum = points.reduce((total, { costNanoUsd }) => total + costNanoUsd, 0);
  const name = (at: string): string => (at.length > 10 ? `${at.slice(11)}:00` : at.slice(5));
  return (
    <Frame
      top={dollars(most * 1e9)}
      left={name(points[0]?.at ?? "")}
      right={name(points.at(-1)?.at ?? "")}
      label={`Spent from ${points[0]?.at} to ${points.at(-1)?.at} UTC: ${dollars(sum)}`}
      height={height}
    >
      {points.map(({ at, costNanoUsd }, index) => {
        const tall = (costNanoUsd / 1e9 / most) * height;
        return costNanoUsd > 0 ? (
          <rect
            key={at}
            class="bar answered"
            x={index * step + step * 0.1}
            width={step * 0.8}
            y={height - tall}
            height={tall}
          >
            <title>{`${at}: ${dollars(costNanoUsd)}`}</title>
          </rect>
        ) : null;
      })}
    </Frame>
  );
}

export interface Burn {
  burn: readonly (readonly [number, number])[];
  amountNanoUsd: number;
  spentNanoUsd: number;
  periodStartMs: number;
  resetsAtMs: number;
  forecastNanoUsd: number | null;
}

/** The rest of a budget over its period, with the pace that would use it up exactly, and the forecast. */
export function BurnChart({
  burn,
  amountNanoUsd,
  spentNanoUsd,
  periodStartMs,
  resetsAtMs,
  forecastNanoUsd,
  nowMs,
}: Burn & { nowMs: number }) {
  const height = 90;
  const x = (ms: number): number =>
    Math.min(width, Math.max(0, ((ms - periodStartMs) / (resetsAtMs - periodStartMs)) * width));
  const y = (spent: number): number => Math.min(1, Math.max(0, spent / Math.max(1, amountNanoUsd))) * height;
  const scale = spentNanoUsd / Math.max(1, burn.at(-1)?.[1] ?? 0);
  const points = [...burn.map(([ms, spent]) => `${x(ms)},${y(spent * scale)}`), `${x(nowMs)},${y(spentNanoUsd)}`];
  const end = forecastNanoUsd === null ? null : `${x(nowMs)},${y(spentNanoUsd)} ${endOf()}`;
  function endOf(): string {
    const forecast = forecastNanoUsd ?? 0;
    if (forecast <= amountNanoUsd) return `${width},${y(forecast)}`;
    const share = (amountNanoUsd - spentNanoUsd) / Math.max(1, forecast - spentNanoUsd);
    return `${x(nowMs) + Math.max(0, share) * (width - x(nowMs))},${height}`;
  }
  return (
    <Frame
      top={`${dollars(amountNanoUsd)} left at the start`}
      left={dateAndTime(periodStartMs)}
      right={dateAndTime(resetsAtMs)}
      label={`${dollars(spentNanoUsd)} of ${dollars(amountNanoUsd)} spent`}
      height={height}
    >
      <line class="pace" x1="0" y1="0" x2={width} y2={height} />
      <polyline class="burn" points={points.join(" ")} />
      {end !== null && <polyline class="forecast" points={end} />}
    </Frame>
  );
}

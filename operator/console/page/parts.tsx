/** Parts that several pages use. */
import type { ComponentChildren } from "preact";

export function Card({
  title,
  aside,
  children,
}: {
  title?: string;
  aside?: ComponentChildren;
  children: ComponentChildren;
}) {
  return (
    <section class="card">
      {title !== undefined && (
        <header class="card-head">
          <h2>{title}</h2>
          {aside}
        </header>
      )}
      {children}
    </section>
  );
}

export function Stat({ name, value, note, tone = "" }: { name: string; value: string; note?: string; tone?: string }) {
  return (
    <div class={`stat ${tone}`}>
      <dt>{name}</dt>
      <dd>
        <span class="stat-value">{value}</span>
        {note !== undefined && <span class="stat-note">{note}</span>}
      </dd>
    </div>
  );
}

const tones: Readonly<Record<string, string>> = {
  served: "good",
  degraded: "warn",
  failed: "bad",
  pending: "quiet",
  fine: "good",
  ahead: "warn",
  "used up": "bad",
  unknown: "quiet",
  closed: "good",
  "half-open": "warn",
  open: "bad",
  "in use": "good",
  idle: "quiet",
  expired: "warn",
  revoked: "bad",
  "not served": "bad",
  error: "bad",
  warning: "warn",
  Progressing: "quiet",
  Promoted: "good",
  RolledBack: "bad",
};

export function Badge({ text, tone }: { text: string; tone?: string }) {
  return <span class={`badge ${tone ?? tones[text] ?? "quiet"}`}>{text}</span>;
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children !== undefined && <p>{children}</p>}
    </div>
  );
}

export interface Column<T> {
  name: string;
  /** Numbers are aligned to the right. */
  number?: boolean;
  cell(row: T): ComponentChildren;
}

export function Table<T>(props: {
  label: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  rowKey(row: T): string;
}) {
  const { label, columns, rows, rowKey } = props;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <section class="table-scroll" aria-label={label} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {columns.map(({ name, number }) => (
              <th key={name} scope="col" class={number ? "number" : ""}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={rowKey(row)}>
              {columns.map(({ name, number, cell }) => (
                <td key={name} class={number ? "number" : ""}>
                  {cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** `share` is from 0 to 1; more fills the meter. */
export function Meter({ share, label, tone = "" }: { share: number; label: string; tone?: string }) {
  const filled = Math.min(100, Math.max(0, 100 * share));
  return (
    <div class={`meter ${tone}`} role="img" aria-label={label}>
      <div class="meter-fill" style={{ width: `${filled}%` }} />
    </div>
  );
}

export function Search({ value, onChange, label }: { value: string; onChange(value: string): void; label: string }) {
  return (
    <input
      class="search"
      type="search"
      aria-label={label}
      placeholder={label}
      value={value}
      onInput={(event) => onChange(event.currentTarget.value)}
    />
  );
}

export function Choice<T extends string>(props: {
  label: string;
  value: T;
  options: readonly T[];
  onChange(value: NoInfer<T>): void;
}) {
  return (
    <fieldset class="choice">
      <legend class="unseen">{props.label}</legend>
      {props.options.map((option) => (
        <button key={option} type="button" aria-pressed={option === props.value} onClick={() => props.onChange(option)}>
          {option}
        </button>
      ))}
    </fieldset>
  );
}

/** A name such as `team-a/chat`, with its namespace less prominent. */
export function Name({ id }: { id: string }) {
  const slash = id.indexOf("/");
  if (slash < 0) return <span class="name">{id}</span>;
  return (
    <span class="name">
      <span class="quiet-text">{id.slice(0, slash + 1)}</span>
      {id.slice(slash + 1)}
    </span>
  );
}

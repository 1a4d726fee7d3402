/** Light, dark, or the system's setting. The choice is stored in this browser. */
const themes = ["system", "light", "dark"] as const;
export type ThemeName = (typeof themes)[number];

const storageName = "sluice-console-theme";

function show(theme: ThemeName): void {
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
}

export function themeNow(): ThemeName {
  const kept = themes.find((theme) => theme === localStorage.getItem(storageName)) ?? "system";
  show(kept);
  return kept;
}

export function nextTheme(theme: ThemeName): ThemeName {
  const next = themes[(themes.indexOf(theme) + 1) % themes.length] ?? "system";
  localStorage.setItem(storageName, next);
  show(next);
  return next;
}

const labels = { system: "Auto", light: "Light", dark: "Dark" } as const;

export function Theme({ value, onChange }: { value: ThemeName; onChange(): void }) {
  return (
    <button type="button" class="button" onClick={onChange} aria-label={`${labels[value]} colours, change`}>
      {labels[value]}
    </button>
  );
}

/** Parts of specs. Each function converts one setting, marks it, and returns an empty part if it is absent. */
import { decimalText, secondsOf, timerFrom } from "./amounts.ts";
import type { Spec } from "./manifests.ts";
import type { Setting } from "./setting.ts";

/** The first of these members that is set. */
export function firstSet(setting: Setting, ...names: readonly string[]): Setting {
  const settings = names.map((name) => setting.get(...name.split(".")));
  return settings.find((setting) => setting.isSet) ?? settings[0] ?? setting;
}

export function countField(setting: Setting, field: string, most = 1_000_000_000, least = 1): Spec {
  if (setting.number === undefined) return {};
  const count = Math.floor(setting.number);
  const kept = Math.min(most, Math.max(least, count));
  setting.mark(
    kept === count ? "Imported" : "Changed",
    kept === count ? field : `${field} is from ${least} to ${most}`,
  );
  return { [field.split(".").at(-1) ?? field]: kept };
}

/** `unitSeconds`: of a number without a unit. */
export function timerField(setting: Setting, field: string, unitSeconds = 1): Spec {
  const { text } = setting;
  if (text === undefined) return {};
  const seconds = /^[0-9.]+$/.test(text) ? Number(text) * unitSeconds : secondsOf(text);
  const timer = seconds === null ? null : timerFrom(seconds);
  if (timer === null) {
    setting.notImported(`${field} is a duration, such as 30s`);
    return {};
  }
  setting.imported(field);
  return { [field.split(".").at(-1) ?? field]: timer };
}

export function moneyField(setting: Setting, field: string): Spec {
  const amount = Number((setting.text ?? "").replace(/^[$€£¥]|,/g, ""));
  const text = setting.text === undefined || setting.text === "" ? null : decimalText(amount);
  if (text === null) return {};
  setting.imported(field);
  return { [field.split(".").at(-1) ?? field]: text };
}

/** A part of a spec; nothing if it has no fields. */
export const section = (name: string, fields: Spec): Spec =>
  Object.keys(fields).length === 0 ? {} : { [name]: fields };

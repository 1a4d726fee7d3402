/**
 * Telephone numbers from an independent source: libphonenumber's example number of every region, as people write it; and
 * other numbers as they are written there, by CLDR. Run as a program (`node test/proxy/masking/regions.test.ts --table`),
 * it prints recall and precision by region.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type CountryCode, getCountries, getExampleNumber, type PhoneNumber } from "libphonenumber-js";
import examples from "libphonenumber-js/examples.mobile.json";
import { detectors } from "../../../proxy/masking/detectors.ts";
import { lookAlikesOf } from "./region-look-alikes.ts";

const forms: Record<string, (number: PhoneNumber) => string> = {
  "E.164": (number) => number.format("E.164"),
  international: (number) => number.formatInternational(),
  "with 00": (number) => number.formatInternational().replace("+", "00"),
  "with hyphens": (number) => number.formatInternational().replaceAll(" ", "-"),
  "with no-break spaces": (number) => number.formatInternational().replaceAll(" ", "\u00a0"),
  national: (number) => number.formatNational(),
};
const sentences = [
  (number: string) => `My number is ${number}.`,
  (number: string) => `${number} is where you reach me after 6`,
  (number: string) => `Call me (${number}), or write.`,
  (number: string) => `tel: ${number}\nThanks`,
];

interface Row {
  region: CountryCode;
  recall: Record<string, number>;
  /** Of what is found in the sentences with numbers and in the look-alikes together. */
  precision: number;
  /** Look-alikes that were taken for telephone numbers. */
  mistakes: string[];
}

/** Share of the sentences with a number in this form in which exactly that number is found. */
function recall(number: string): number {
  const right = sentences.filter((sentence) => {
    const text = sentence(number);
    const found = detectors.Phone(text).map(({ start, end }) => text.slice(start, end));
    return found.length === 1 && found[0]?.replace(/^\(|\)$/g, "") === number.replace(/^\(|\)$/g, "");
  });
  return right.length / sentences.length;
}

function rows(): Row[] {
  const all: Row[] = [];
  for (const region of getCountries()) {
    const number = getExampleNumber(region, examples);
    if (number === undefined) continue;
    const byForm = Object.entries(forms).map(([form, write]) => [form, recall(write(number))] as const);
    const right = byForm.reduce((sum, [, share]) => sum + share * sentences.length, 0);
    const mistakes = lookAlikesOf(region).flatMap((text) =>
      detectors.Phone(text).map(({ start, end }) => `${text.slice(start, end)} in: ${text}`),
    );
    const precision = right / (right + mistakes.length);
    all.push({ region, recall: Object.fromEntries(byForm), precision, mistakes });
  }
  return all;
}

const mean = (all: readonly Row[], form: string): number =>
  all.reduce((sum, { recall: by }) => sum + (by[form] ?? 0), 0) / all.length;

if (process.argv.includes("--table")) {
  const all = rows();
  console.log(["region", ...Object.keys(forms), "precision"].join(" | "));
  for (const { region, recall: by, precision } of all)
    console.log(
      [region, ...[...Object.values(by), precision].map((share) => `${Math.round(share * 100)} %`)].join(" | "),
    );
  console.log(["all", ...Object.keys(forms).map((form) => `${(mean(all, form) * 100).toFixed(1)} %`)].join(" | "));
} else
  describe("the example number of every region", () => {
    const all = rows();
    it("exists for more than two hundred regions", () => assert.ok(all.length > 200));
    for (const form of Object.keys(forms).filter((name) => name !== "national"))
      it(`is found ${form}`, (context) => {
        context.diagnostic(`recall ${(mean(all, form) * 100).toFixed(1)} %`);
        assert.deepEqual(
          all.filter(({ recall: by }) => by[form] !== 1).map(({ region }) => region),
          [],
        );
      });
    it("is not confused with the dates, times, amounts and references of its region", () =>
      assert.deepEqual(
        all.flatMap(({ mistakes }) => mistakes),
        [],
      ));
    it("is found in the national form by its notation, or by a word that announces it", (context) => {
      context.diagnostic(`recall ${(mean(all, "national") * 100).toFixed(1)} % over all regions`);
      const byShare = Map.groupBy(all, ({ recall: by }) => by["national"] ?? 0);
      for (const [share, regions] of [...byShare].sort(([a], [b]) => b - a))
        context.diagnostic(`recall ${share * 100} %: ${regions.map(({ region }) => region).join(" ")}`);
      assert.ok(mean(all, "national") > 0.8);
    });
  });

/**
 * Numbers that are no telephone numbers, as people of each region write them: dates, times, amounts and lists by CLDR,
 * which Node has, and references that look alike everywhere.
 */
import type { CountryCode } from "libphonenumber-js";

const days = [
  [2027, 0, 4],
  [1998, 10, 23],
  [2031, 4, 30],
] as const;
const amounts = [1234.5, 98765.43, 1234567.89, 12345678, 250_000_000.5];
const counts = [1500, 45_000, 8_123_456];

const references = [
  "Order 10023984 has left the warehouse.",
  "Invoice 2027-00417-33 is due.",
  "Ticket #48211907, see comment 12.",
  "ISBN 978-3-16-148410-0 and EAN 4006381333931",
  "Version 10.15.7 of build 19041.1288",
  "The server at 192.168.100.12 answered in 1200 ms.",
  "At 48.85837, 2.29448 and 40.68924, -74.04450.",
  "Part no. 7700 273 459, drawing 12-3456-78",
  "Pages 101-118, 203-240 and 315.",
  "Results: 12 345 678 rows, 1 024 files, 99 errors",
  "Request 550e8400-e29b-41d4-a716-446655440000 failed at 1767225600.",
  "The match ended 21-19 17-21 21-18.",
  "Room 4.03.112, shelf 12/44/7",
];

/** One sentence for each number. */
export function lookAlikesOf(region: CountryCode): string[] {
  const { baseName: locale } = new Intl.Locale("und", { region }).maximize();
  // Digits as in the telephone numbers: others differ by themselves.
  const latin = { numberingSystem: "latn" } as const;
  const gregorian = { ...latin, calendar: "gregory", timeZone: "UTC" } as const;
  const dates = days.map(([year, month, day]) => new Date(Date.UTC(year, month, day, 17, 45, 30)));
  const dateForms: Intl.DateTimeFormatOptions[] = [
    { dateStyle: "short" },
    { dateStyle: "medium" },
    { dateStyle: "short", timeStyle: "short" },
    { dateStyle: "medium", timeStyle: "medium" },
    { year: "numeric", month: "2-digit", day: "2-digit" },
  ];
  const written = dates.flatMap((date) =>
    dateForms.map((form) => new Intl.DateTimeFormat(locale, { ...gregorian, ...form }).format(date)),
  );
  const money = amounts.flatMap((amount) =>
    ["USD", "EUR", "JPY"].map((currency) =>
      new Intl.NumberFormat(locale, { ...latin, style: "currency", currency }).format(amount),
    ),
  );
  const plain = new Intl.NumberFormat(locale, latin);
  const lists = [
    counts.map((count) => plain.format(count)).join("; "),
    `${plain.format(1500)} – ${plain.format(45_000)}`,
  ];
  return [
    ...written.map((date) => `It was sent on ${date}.`),
    ...money.map((amount) => `We paid ${amount} for it.`),
    ...amounts.map((amount) => `The sum is ${plain.format(amount)} in all.`),
    ...lists.map((list) => `Readers per month: ${list}`),
    // Next to words that announce a telephone number.
    ...written.map((date) => `Call me on ${date}, or later.`),
    ...money.map((amount) => `The phone bill was ${amount}.`),
    ...references,
  ];
}

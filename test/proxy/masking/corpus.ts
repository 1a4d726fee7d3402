/**
 * A generated, labelled corpus: sentences with one planted value of a type, and sentences with look-alikes. Run as a
 * program, it prints precision and recall by type.
 */
import { passesLuhn } from "../../../proxy/masking/cards.ts";
import { type DetectorName, detectorNames, detectors } from "../../../proxy/masking/detectors.ts";
import { DigitGroups } from "../../../proxy/masking/digit-groups.ts";

export interface Labelled {
  text: string;
  /** The value to find; null if there is none. */
  datum: string | null;
  type: DetectorName | null;
  /** The kind of value or look-alike. */
  kind: string;
}

/** mulberry32, so that every run has the same corpus. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const random = generator(20_270_301);
const below = (count: number): number => Math.floor(random() * count);
const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T;
/** # is a digit, N a digit from 2 up, A a hexadecimal digit. */
const form = (pattern: string): string =>
  pattern.replace(/[#NA]/g, (mark) =>
    mark === "#" ? String(below(10)) : mark === "N" ? String(2 + below(8)) : ("0123456789abcdef"[below(16)] ?? "0"),
  );

function isCardNumber(digits: string): boolean {
  const groups = new DigitGroups(digits);
  return groups.has(0) && passesLuhn(groups, 0, 0);
}

function card(prefix: string, length: number, separator: string): string {
  const body = prefix + Array.from({ length: length - prefix.length - 1 }, () => below(10)).join("");
  const digits = [..."0123456789"].map((last) => body + last).find(isCardNumber) ?? body;
  return separator === "" ? digits : (digits.match(/.{1,4}/g) ?? []).join(separator);
}

const data: Record<DetectorName, Record<string, () => string>> = {
  Email: {
    plain: () =>
      `${pick(["alice", "bob.smith", "c_lee", "d-ito"])}@${pick(["example.com", "mail.example.co.uk", "example.org"])}`,
    tagged: () => `jo+${form("###")}@example.io`,
    subdomain: () => `a.b.c${form("##")}@x.y.example.museum`,
    quote: () => `o'neil${form("#")}@example.ie`,
    international: () => `${pick(["müller", "наталья", "佐藤"])}@${pick(["example.de", "пример.рф", "例え.jp"])}`,
    capitals: () => `SALES${form("##")}@EXAMPLE.COM`,
  },
  Phone: {
    "E.164": () => form("+N##########"),
    "US, brackets": () => form("(N##) N##-####"),
    "US, hyphens": () => form("N##-N##-####"),
    "US, dots": () => form("N##.N##.####"),
    "US, with 1": () => form("+1 N## N## ####"),
    UK: () => form("+44 20 N### ####"),
    "UK, national": () => form("020 7### ####"),
    "UK, mobile": () => form("07### ######"),
    Germany: () => form("+49 30 N#######"),
    "Germany, national": () => form("030/N#######"),
    France: () => form("01 ## ## ## ##"),
    "France, international": () => form("+33 1 ## ## ## ##"),
    Japan: () => form("03-####-####"),
    "Japan, mobile": () => form("090-####-####"),
    India: () => form("+91 98### #####"),
    Brazil: () => form("+55 (11) 9####-####"),
  },
  SSN: { hyphens: () => form("5##-4#-1###"), blanks: () => form("2## 3# 4###") },
  CreditCard: {
    Visa: () => card("4", 16, ""),
    "Visa, blanks": () => card("4", 16, " "),
    "Mastercard, hyphens": () => card("55", 16, "-"),
    Amex: () => card("37", 15, ""),
    "Amex, as printed": () => card("34", 15, "").replace(/^(.{4})(.{6})(.{5})$/, "$1 $2 $3"),
    Discover: () => card("6011", 16, " "),
    JCB: () => card("3530", 16, ""),
  },
};

const lookAlikes: Record<string, () => string> = {
  "order number": () => form("order N#########"),
  "long order number": () => form("A-####-####-##"),
  hash: () => form("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
  UUID: () => form("AAAAAAAA-AAAA-4AAA-8AAA-AAAAAAAAAAAA"),
  "ISBN-13": () => form("978-3-16-######-#"),
  "ISBN-10": () => form("0-306-#####-#"),
  version: () => form("v#.##.###-rc.#"),
  package: () => form("lodash@#.##.##"),
  timestamp: () => form("2027-0#-1# 1#:3#:##.###"),
  "epoch milliseconds": () => form("17########321"),
  "IPv4 address": () => form("10.##.1##.2#"),
  "European date": () => form("0#.1#.202#"),
  "card that fails Luhn": () => card("4", 16, "").replace(/.$/, (last) => String((Number(last) + 1) % 10)),
  "SSN that is not given out": () => form("9##-##-####"),
  "SSN with area 000": () => form("000-12-####"),
  picture: () => form("icon@2x.png"),
  mention: () => form("@alice###"),
  price: () => form("USD #,###,###.##"),
  coordinates: () => form("52.######, 13.######"),
  range: () => form("pages 1##-2##"),
  "IBAN-like": () => form("REF ####################"),
  decimal: () => form("3.14159265####"),
};

const frames = [
  "{} is what I have.",
  "Please use {} for this.",
  "Note:{};",
  "({})",
  '"{}"',
  "see {}",
  "{}\nthanks",
  "a, {}, b",
  "<{}>",
];
const inFrame = (text: string): string => pick(frames).replace("{}", () => text);

export function corpus(each = 60): Labelled[] {
  const labelled: Labelled[] = [];
  for (const type of detectorNames)
    for (const [kind, make] of Object.entries(data[type]))
      for (let at = 0; at < each; at++) {
        const datum = make();
        labelled.push({ text: inFrame(datum), datum, type, kind: `${type}: ${kind}` });
      }
  for (const [kind, make] of Object.entries(lookAlikes))
    for (let at = 0; at < each; at++) labelled.push({ text: inFrame(make()), datum: null, type: null, kind });
  return labelled;
}

export interface Score {
  planted: number;
  found: number;
  wrong: number;
  /** Share of the planted values that were found. */
  recall: number;
  /** Share of the matches that were right. */
  precision: number;
}

export function score(
  type: DetectorName,
  all: readonly Labelled[],
): Score & { misses: Labelled[]; mistakes: Labelled[] } {
  const misses: Labelled[] = [];
  const mistakes: Labelled[] = [];
  let planted = 0;
  let found = 0;
  for (const one of all) {
    const spans = detectors[type](one.text).map(({ start, end }) => one.text.slice(start, end));
    const right = one.type === type && spans.length === 1 && spans[0] === one.datum;
    if (one.type === type) planted++;
    if (right) found++;
    else if (one.type === type) misses.push(one);
    if (spans.length > 0 && !right) mistakes.push(one);
  }
  return {
    planted,
    found,
    wrong: mistakes.length,
    recall: found / planted,
    precision: found / (found + mistakes.length),
    misses,
    mistakes,
  };
}

if (import.meta.main) {
  const all = corpus(500);
  console.log(`${all.length} sentences`);
  for (const type of detectorNames) {
    const { recall, precision, planted, found, wrong, misses, mistakes } = score(type, all);
    console.log(
      `${type.padEnd(11)} recall ${(recall * 100).toFixed(2)} % (${found} of ${planted}), precision ${(precision * 100).toFixed(2)} % (${wrong} wrong)`,
    );
    for (const miss of [...misses.slice(0, 3), ...mistakes.slice(0, 3)])
      console.log(`    ${miss.kind}: ${JSON.stringify(miss.text)}`);
  }
}

/**
 * National telephone numbers that only the words before them tell from other digits: `tel. 612 34 56 78`, `call me at
 * 8123 4567`. Pure.
 */
import type { Candidate } from "./cards.ts";
import { type DigitGroups, DOT, isDigit, isWordCharacter, OPEN } from "./digit-groups.ts";

const minDigits = 6;
const maxDigits = 12;
const maxGroups = 6;
const maxWords = 4;
/** A stream keeps little more of what it has sent. */
const maxWordLength = 16;
const maxGap = 6;
const gap = " .:(#=";

const words = (text: string): ReadonlySet<string> => new Set(text.split(" "));
const phoneWords = words(
  "tel tél téléphone telefon telefoon telefone telefono teléfono telephone phone telefoonnummer telefonnummer rufnummer mobile mob mobil móvil movil celular cel cell cellphone cellulare portable handy fax whatsapp телефон телефона тел моб โทร هاتف جوال",
);
const verbs = words("call text ring dial sms phone");
const numberWords = words("number no nr num numéro numero número nummer");
const owners = words("my your his her our their mon mi mio meu minha meine mijn mitt min");
const fillers = words("is at on under me us him them est ist es è é er");
/** Of languages that write no blanks between words. */
const unspaced = ["电话", "電話", "手机", "手機", "携帯", "전화", "전화번호", "휴대폰", "号码", "番号"];

const isLetter = (code: number): boolean => code > 127 || (isWordCharacter(code) && !isDigit(code));

/** The word that ends before `end`, in lower case, and where it begins; null if there is none close by. */
function wordBefore(text: string, end: number): { word: string; start: number } | null {
  let last = end;
  while (last > 0 && end - last <= maxGap && gap.includes(text[last - 1] ?? "")) last--;
  let start = last;
  while (start > 0 && last - start <= maxWordLength && isLetter(text.charCodeAt(start - 1))) start--;
  if (start === last || last - start > maxWordLength) return null;
  return { word: text.slice(start, last).toLowerCase(), start };
}

function isOwned(text: string, start: number): boolean {
  const before = wordBefore(text, start)?.word ?? "";
  return owners.has(before) || phoneWords.has(before);
}

/** Whether the words directly before this offset say that a telephone number follows. */
function isAnnounced(text: string, offset: number): boolean {
  let end = offset;
  for (let count = 0; count < maxWords; count++) {
    const before = wordBefore(text, end);
    if (before === null) return false;
    const { word, start } = before;
    if (phoneWords.has(word) || verbs.has(word)) return true;
    if (unspaced.some((ending) => word.endsWith(ending))) return true;
    if (numberWords.has(word)) return isOwned(text, start);
    if (!fillers.has(word) && !owners.has(word)) return false;
    end = start;
  }
  return false;
}

const dateShape = /^(?:4-[12]-[12]|[12]-[12]-(?:2|4))$/;
const COLON = 58;

/** A date and a time of day: the last group is the hour of `17:45`, or the last two are `17.45` after a year. */
function isMoment(groups: DigitGroups, shape: string, last: number): boolean {
  const { text } = groups;
  const end = groups.end(last);
  const hour = Number(text.slice(groups.start(last), end));
  if (text.charCodeAt(end) === COLON && isDigit(text.charCodeAt(end + 1)))
    return hour < 24 && dateShape.test(shape.replace(/-[12]$/, ""));
  return /^4-2-2-[12]-2$/.test(shape) && /^(?:19|20)/.test(text.slice(groups.start(last - 4)));
}

/** A date, an amount or an IP address, by the lengths of its groups. */
function isOther(groups: DigitGroups, index: number, last: number): boolean {
  if (last === index) return false;
  const lengths = Array.from({ length: last - index + 1 }, (_, place) => groups.length(index + place));
  const shape = lengths.join("-");
  if (dateShape.test(shape) || isMoment(groups, shape, last)) return true;
  if (lengths.length === 4 && groups.mark(last) === DOT && lengths.every((length) => length <= 3)) return true;
  const end = groups.end(last);
  return (
    /^[1-9]\d?\d?(?:-3)+$/.test(`${groups.digit(index)}${shape.slice(1)}`) && groups.text.slice(end - 3, end) === "000"
  );
}

/** All the groups on the line that may be one number, if words announce it. */
export function announcedAt(groups: DigitGroups, index: number): Candidate | null {
  if (groups.joined(index) && !groups.breaks(index)) return null;
  let last = index;
  let total = groups.length(index);
  while (groups.has(last + 1) && groups.joined(last + 1) && !groups.breaks(last + 1)) {
    last++;
    total += groups.length(last);
    if (total > maxDigits || last - index >= maxGroups) return null;
  }
  if (total < minDigits) return null;
  const { text } = groups;
  const end = groups.end(last);
  if (isWordCharacter(text.charCodeAt(end)) || isOther(groups, index, last)) return null;
  const bare = groups.start(index);
  const start = text.charCodeAt(bare - 1) === OPEN && text.slice(bare, end).includes(")") ? bare - 1 : bare;
  return isAnnounced(text, start) ? { start, end, last } : null;
}

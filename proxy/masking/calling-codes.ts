/**
 * How many digits the numbers under each country calling code may have, from the metadata of libphonenumber. This shows
 * where one number ends and the next begins. One table look-up per number, whatever the text.
 */
import { getCountries, getCountryCallingCode, Metadata } from "libphonenumber-js";

/** By calling code: bit N is set if national numbers of N digits exist. 0 if the code isn't assigned. */
const lengths = new Uint16Array(1_000);

for (const country of getCountries()) {
  const metadata = new Metadata();
  metadata.selectNumberingPlan(country);
  const code = Number(getCountryCallingCode(country));
  for (const length of metadata.numberingPlan?.possibleLengths() ?? [])
    lengths[code] = (lengths[code] ?? 0) | (1 << length);
}
/** Codes of services and satellites, which belong to no country: 8 to 12 digits. */
for (const code of [800, 808, 870, 878, 881, 882, 883, 888, 979]) lengths[code] = 0b1_1111_0000_0000;

/** Whether a number that starts with these three digits, calling code first, may have `total` digits. */
export function isPossible(first: number, second: number, third: number, total: number): boolean {
  const two = first * 10 + second;
  const three = two * 10 + third;
  // No calling code is a prefix of another.
  const [code, digits] = lengths[first] !== 0 ? [first, 1] : lengths[two] !== 0 && two > 9 ? [two, 2] : [three, 3];
  const national = total - digits;
  return national > 0 && national < 16 && ((lengths[code] ?? 0) & (1 << national)) !== 0;
}

/** Address to country, from a file in MaxMind's format. A replaced file is read again; a broken one leaves the old one in use. */
import { readFile, stat } from "node:fs/promises";
import { type CountryResponse, Reader } from "mmdb-lib";
import { countryCode } from "./client-address.ts";

export interface Countries {
  of(address: string): string | null;
  close(): void;
}

/** Without a file, no country is known. */
export const noCountries: Countries = { of: () => null, close: () => undefined };

/** Read at once; the countries of the whole world take about 10 MB. */
async function open(path: string): Promise<Reader<CountryResponse>> {
  return new Reader<CountryResponse>(await readFile(path));
}

async function edition(path: string): Promise<string> {
  const { ino, mtimeMs, size } = await stat(path);
  return `${ino} ${mtimeMs} ${size}`;
}

function lookUp(reader: Reader<CountryResponse>, address: string): string | null {
  try {
    const country = reader.get(address);
    return countryCode(country?.country?.iso_code);
  } catch {
    return null;
  }
}

/** Throws if the file can't be read at the start: rules with countries would refuse everyone. */
export async function countriesFrom(
  path: string,
  lookEveryMs: number,
  failed: (cause: unknown) => void,
): Promise<Countries> {
  let reader = await open(path);
  let seen = await edition(path);
  const look = async (): Promise<void> => {
    const now = await edition(path);
    if (now === seen) return;
    reader = await open(path);
    seen = now;
  };
  const timer = setInterval(() => void look().catch(failed), lookEveryMs);
  timer.unref();
  return { of: (address) => lookUp(reader, address), close: () => clearInterval(timer) };
}

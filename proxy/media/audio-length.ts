/** How long a recording is, from its bytes. Pure. */
import type { Buffer } from "node:buffer";

/** Bits per second of speech in a compressed file whose own rate is unknown, as it usually is and at least. */
const usualRate = 48_000;
const lowestRate = 6_000;

/** Seconds of a WAV file (PCM): http://soundfile.sapp.org/doc/WaveFormat/ . null if it is none. */
function ofWave(file: Buffer): number | null {
  if (file.length < 44 || file.toString("latin1", 0, 4) !== "RIFF" || file.toString("latin1", 8, 12) !== "WAVE")
    return null;
  for (let index = 12; index + 24 <= file.length; index += 8 + file.readUInt32LE(index + 4)) {
    if (file.toString("latin1", index, index + 4) !== "fmt ") continue;
    const perSecond =
      (file.readUInt16LE(index + 10) * file.readUInt32LE(index + 12) * file.readUInt16LE(index + 22)) / 8;
    return file.readUInt16LE(index + 8) === 1 && perSecond >= 1_000 ? file.length / perSecond : null;
  }
  return null;
}

/** kbit/s of MPEG-1 and MPEG-2 layer III: http://www.mp3-tech.org/programmer/frame_header.html */
const mpeg1 = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const mpeg2 = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];

/** Bits per second of the first frame of an MP3 file; null if it is none. */
function rateOfMp3(file: Buffer): number | null {
  const tagged = file.length > 10 && file.toString("latin1", 0, 3) === "ID3";
  const from = tagged ? 10 + [6, 7, 8, 9].reduce((size, index) => size * 128 + ((file[index] ?? 0) & 127), 0) : 0;
  if (file[from] !== 0xff || ((file[from + 1] ?? 0) & 0xe6) !== 0xe2) return null;
  const table = ((file[from + 1] ?? 0) & 0x18) === 0x18 ? mpeg1 : mpeg2;
  const rate = table[(file[from + 2] ?? 0) >> 4] ?? 0;
  return rate === 0 ? null : rate * 1_000;
}

export interface AudioLength {
  /** Whole seconds, as far as the file tells. */
  seconds: number;
  /** No longer than this. */
  atMost: number;
}

export function lengthOf(file: Buffer): AudioLength {
  const exact = ofWave(file);
  if (exact !== null) return { seconds: Math.ceil(exact), atMost: Math.ceil(exact) };
  const secondsAt = (rate: number): number => Math.ceil((file.length * 8) / rate);
  return { seconds: secondsAt(rateOfMp3(file) ?? usualRate), atMost: secondsAt(lowestRate) };
}

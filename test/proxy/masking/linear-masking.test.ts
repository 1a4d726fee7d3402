/** Processor time of masking. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MaskAnswer } from "../../../proxy/masking/changes.ts";
import { detectorNames } from "../../../proxy/masking/detectors.ts";
import { Masker } from "../../../proxy/masking/masker.ts";
import { Tally } from "../../../proxy/masking/tally.ts";
import { cpuMsOf } from "../../harness/cpu-time.ts";

const masker = (custom: Masker["config"]["custom"]): Masker =>
  new Masker({ detect: [...detectorNames], custom, mode: "Replace", answers: true });
const employee = { name: "EmployeeId", pattern: "EMP-\\d{6}", replacement: null };
const mask = (text: string): string => new Tally(masker([employee])).mask(text);

describe("masking", () => {
  it("costs about the same in a stream of small pieces as in one text, with the costliest patterns of a policy", () => {
    const costly = masker([{ name: "Code", pattern: "(?i)(?:[\\pL ]{0,240}secret|x{0,240}y)", replacement: null }]);
    const text = `${"plain words about nothing at all and some more of them; ".repeat(6)} the secret `.repeat(60);
    const inPieces = (): void => {
      const change = new MaskAnswer(costly, new Tally(costly));
      for (let at = 0; at < text.length; at += 4) change.piece("0", text.slice(at, at + 4));
      change.end("0");
    };
    const asWhole = (): void => void new Tally(costly).mask(text, false);
    const least = (work: () => void): number => Math.min(...Array.from({ length: 3 }, () => cpuMsOf(work)));
    const [whole, pieces] = [least(asWhole), least(inPieces)];
    assert.ok(pieces < 10 * whole, `${pieces} ms in pieces, ${whole} ms as a whole, ${costly.customSize} instructions`);
  });

  it("takes time linear in the text, whatever the text", () => {
    const timeOf = (text: string): number => cpuMsOf(() => mask(text));
    const length = 1_000_000;
    timeOf("warm ".repeat(length / 5));
    for (const bait of [
      "a",
      "a@",
      "@",
      "a.",
      "1",
      "1 ",
      "1-",
      "+1",
      "0",
      "0 1",
      "(",
      "+(1) ",
      "4",
      "4-1 ",
      "'a'@",
      "EMP-",
      "x@y.",
    ]) {
      const small = timeOf(bait.repeat(Math.ceil(length / 4 / bait.length)));
      const large = timeOf(bait.repeat(Math.ceil(length / bait.length)));
      // The text is four times as long: a quadratic search would take sixteen times as long, far beyond the noise of a
      // busy machine.
      assert.ok(large < 60 * Math.max(small, 25), `${bait}: ${small} ms, then ${large} ms`);
    }
  });
});

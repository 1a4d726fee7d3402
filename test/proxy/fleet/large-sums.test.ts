/** Sums of money around and beyond what a number holds exactly, in the state file. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { Journal } from "../../../proxy/fleet/journal.ts";
import { MemoryStore } from "../../../proxy/fleet/memory.ts";
import type { LeaseOp } from "../../../proxy/fleet/store.ts";

const folder = mkdtempSync(join(tmpdir(), "sluice-sums-"));
after(() => rmSync(folder, { recursive: true }));

const counted = (seed: number, seq: number): LeaseOp => ({
  ...{ kind: "period", key: "b|ns/x|0|", limit: null, seed, expiresAtMs: null, life: 0, epoch: "", seq },
  ...{ granted: 0, returned: 0, spent: 0, seenUsed: 0, seenSpent: 0, seenVersion: 0, need: 0, least: 0, want: 0 },
  debt: seq === 1 ? 1_000 : 0,
  confirmed: 0,
  seenShares: "",
});

describe("a state file", () => {
  for (const seed of [1, Number.MAX_SAFE_INTEGER - 1_000, Number.MAX_SAFE_INTEGER, 1e18, 1e21])
    it(`with a sum of ${seed + 1_000} nano-USD is read again`, async () => {
      const path = join(folder, `state-${seed}`);
      const first = new MemoryStore(() => 1_000, new Journal(path));
      const [before] = await first.sync("a", [counted(seed, 1)]);
      await first.close();
      const journal = new Journal(path);
      assert.equal(journal.damagedLines, 0);
      assert.equal(journal.isDamaged(1_000), false);
      const second = new MemoryStore(() => 2_000, journal);
      const [again] = await second.sync("b", [counted(0, 1)]);
      await second.close();
      assert.ok(before?.kind === "lease" && again?.kind === "lease");
      assert.equal(again.used, before.used + 1_000);
    });
});

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { cacheFolder, withLock } from "./cache-folder.ts";
import { inCi, MissingTool, skipReason } from "./missing-tool.ts";

describe("a missing tool", () => {
  const missing = () => Promise.reject(new MissingTool("etcd", "nobody built it"));
  const ci = process.env["CI"];
  afterEach(() => {
    if (ci === undefined) delete process.env["CI"];
    else process.env["CI"] = ci;
  });

  it("skips tests on a laptop", async () => {
    delete process.env["CI"];
    assert.equal(await skipReason(missing), "etcd is missing: nobody built it");
  });

  it("fails CI", async () => {
    process.env["CI"] = "true";
    await assert.rejects(skipReason(missing), MissingTool);
  });

  it("is not the same as a fault of ours, which fails everywhere", async () => {
    delete process.env["CI"];
    await assert.rejects(
      skipReason(() => Promise.reject(new TypeError("ours"))),
      TypeError,
    );
  });

  it("CI=false is not CI", () => {
    assert.equal(inCi({ CI: "false" }), false);
    assert.equal(inCi({ CI: "1" }), true);
  });
});

describe("the lock on a build", () => {
  const before = process.env["SLUICE_TOOLS_CACHE"];
  beforeEach(async () => {
    process.env["SLUICE_TOOLS_CACHE"] = await mkdtemp(join(tmpdir(), "sluice-lock-"));
  });
  afterEach(async () => {
    await rm(await cacheFolder(), { recursive: true });
    if (before === undefined) delete process.env["SLUICE_TOOLS_CACHE"];
    else process.env["SLUICE_TOOLS_CACHE"] = before;
  });

  it("lets one in at a time, also after a failure", async () => {
    let inside = 0;
    const work = async (fails: boolean) => {
      assert.equal(++inside, 1);
      await sleep(50);
      inside -= 1;
      if (fails) throw new Error("build failed");
    };
    const results = await Promise.allSettled([true, false, false].map((fails) => withLock("one", () => work(fails))));
    assert.equal(results.filter(({ status }) => status === "fulfilled").length, 2);
  });

  it("is free again when nobody has touched it for long", async () => {
    const lock = join(await cacheFolder(), "left.lock");
    await writeFile(lock, "");
    await utimes(lock, new Date(0), new Date(0));
    assert.equal(await withLock("left", async () => "in"), "in");
  });
});

it("servers die with a test process that is killed", {
  skip: process.platform !== "linux" && "only Linux ties a process to its parent",
}, async () => {
  const program = `
    import { startChild, temporaryFolder } from ${JSON.stringify(join(import.meta.dirname, "child.ts"))};
    const dir = await temporaryFolder("orphan");
    console.log((await startChild("sleep", ["600"], { name: "sleep", logFile: dir + "/log" })).pid, dir);
    setInterval(() => {}, 1000);`;
  const parent = spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(parent.stdout, "data")) as [Buffer];
  const [pid = "", dir = ""] = line.toString().trim().split(" ");
  parent.kill("SIGKILL");
  await once(parent, "exit");
  const deadline = performance.now() + 30_000;
  while (lives(Number(pid)) && performance.now() < deadline) await sleep(20);
  await rm(dir, { recursive: true });
  assert.equal(lives(Number(pid)), false);
});

function lives(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

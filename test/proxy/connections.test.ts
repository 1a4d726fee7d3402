/** Connections that arrive while the process is busy. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { startGateway } from "../harness/gateway.ts";

const burst = 900;

/** Prints how many of the connections were made. Waits at most as long as the kernel takes for two retries. */
const connecting = (port: string): string => `
  import { connect } from "node:net";
  let made = 0;
  const end = () => { console.log(made); process.exit(); };
  for (let at = 0; at < ${burst}; at++) connect(${port}, "127.0.0.1", () => ++made === ${burst} && end()).on("error", () => undefined);
  setTimeout(end, 4_000);`;

const maxOfKernel = (): number => {
  try {
    return Number(readFileSync("/proc/sys/net/core/somaxconn", "utf8"));
  } catch {
    return 0;
  }
};

describe("simultaneous connections", () => {
  it("are kept until they are accepted", {
    skip: maxOfKernel() < burst && "this kernel keeps fewer, whatever is asked of it",
  }, async (context) => {
    const gateway = await startGateway([]);
    context.after(() => gateway.close());
    // This process accepts nothing until the call returns.
    const made = execFileSync(process.execPath, ["--input-type=module", "-e", connecting(new URL(gateway.url).port)], {
      encoding: "utf8",
    });
    assert.equal(Number(made), burst);
  });
});

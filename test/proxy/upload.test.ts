/** Uploads that stream through: what cuts them off. */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { failureOfUpload, uploadStream } from "../../proxy/pipeline/upload.ts";
import { paceMs } from "../../proxy/wire/gathered-body.ts";

const perSecond = 256;
const perLook = (perSecond * paceMs) / 1000;

/** `reads`: whether the provider takes what arrives. */
function started(context: TestContext, reads: boolean) {
  context.mock.timers.enable({ apis: ["setInterval"] });
  const upload = uploadStream(null, perSecond);
  let code: string | null = null;
  upload.on("error", (cause) => {
    code = failureOfUpload(cause)?.code ?? "other";
  });
  if (reads) upload.resume();
  const look = async (bytes: number): Promise<void> => {
    if (bytes > 0) upload.write(Buffer.alloc(bytes));
    await new Promise((resolve) => setImmediate(resolve));
    context.mock.timers.tick(paceMs);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { upload, look, code: () => code };
}

describe("an upload", () => {
  for (const [what, arriving, reads, expected] of [
    ["that stops is cut off", [perLook, 0, 0], true, "request_timeout"],
    ["that crawls is cut off", [perLook, 1, 1], true, "request_timeout"],
    ["that pauses once goes on", [perLook, 0, perLook, 0, perLook], true, null],
    ["that the provider doesn't read is not the caller's fault", [perLook, 0, 0, 0], false, null],
  ] as const)
    it(what, async (context) => {
      const { upload, look, code } = started(context, reads);
      for (const bytes of arriving) await look(bytes);
      assert.equal(code(), expected);
      upload.destroy();
    });
});

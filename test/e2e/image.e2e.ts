/** The image itself: its size, and that it is the same each time it is built. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { Builder, type BuiltImage } from "./images.ts";
import { installNodePackages } from "./node.ts";

describe("the image", () => {
  let builder: Builder;
  let image: BuiltImage;
  before(async () => {
    await installNodePackages();
    builder = await Builder.open();
    image = (await builder.build()).sluice;
  });

  it("takes at most 150 MB", () => {
    process.stdout.write(`image, MB  ${image.megabytes}\n`);
    assert.ok(image.megabytes <= 150);
  });

  it("has the same digest when it is built again from nothing", async () => {
    assert.equal((await builder.buildAgain()).digest, image.digest);
  });
});

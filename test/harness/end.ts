/**
 * Imported before each test file by `make test`. A test that fails may leave servers open that it would have closed, and
 * its process would then stay until the runner's time limit: ten minutes for what is known already.
 */
import { after, afterEach, beforeEach } from "node:test";

const graceMs = 60_000;

// The runner itself imports this too, and has no tests.
if (process.env["NODE_TEST_CONTEXT"] !== undefined) {
  let over = false;
  let timer: NodeJS.Timeout | undefined;
  const wait = (): void => {
    timer = setTimeout(() => {
      process.stderr.write(
        `${process.argv[1]}: all tests are over, and these are still open: ${process.getActiveResourcesInfo().join(", ")}\n`,
      );
      process.exit(1);
    }, graceMs).unref();
  };
  // A file that awaits something between its tests seems to be over in between.
  beforeEach(() => clearTimeout(timer));
  afterEach(() => over && wait());
  after(() => {
    over = true;
    wait();
  });
}

/** A real browser: Debian's Chromium, driven by playwright-core. */
import { type Browser, chromium } from "playwright-core";
import { ensureDebian, skipReason } from "./tools.ts";

export const skipWithoutBrowser = (): Promise<string | false> => skipReason(() => ensureDebian("chromium", "chromium"));

/** No sandbox, as tests may run as root; and nothing that talks to anyone but the page's own server. */
const args = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export async function startBrowser(): Promise<Browser> {
  const executablePath = await ensureDebian("chromium", "chromium");
  return chromium.launch({ executablePath, args, timeout: 120_000 });
}

// The dashboard in a real browser, against a demo that is already running at TAPEDECK_TEST_URL.
//
// One worker: the tests share one market and one kill switch. Nothing waits for a quiet network, because
// a live page never is; tests wait for `data-v` and for elements.
import { existsSync } from "node:fs";
import { defineConfig } from "@playwright/test";
import { STATE } from "./sign-in";

const url = process.env["TAPEDECK_TEST_URL"];
if (!url) throw new Error("TAPEDECK_TEST_URL: expected the address of a running demo, such as http://127.0.0.1:8080/");

// A root user's chromium has no sandbox to offer; everything it visits is this machine's own page.
const sandbox = process.getuid?.() === 0 ? ["--no-sandbox"] : [];

export default defineConfig({
  testDir: ".",
  globalSetup: "./sign-in.ts",
  workers: 1,
  fullyParallel: false,
  retries: 0,
  timeout: 90_000,
  expect: { timeout: 15_000 },
  reporter: [["list"]],
  use: {
    baseURL: url,
    storageState: STATE,
    locale: "en-US",
    timezoneId: "Europe/Berlin",
    launchOptions: {
      executablePath: process.env["TAPEDECK_TEST_CHROMIUM"] ?? findChromium(),
      args: [
        ...sandbox,
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
});

function findChromium(): string {
  for (const folder of (process.env["PATH"] ?? "").split(":")) {
    const candidate = `${folder}/chromium`;
    if (existsSync(candidate)) return candidate;
  }
  throw new Error("chromium: expected on PATH, or its path in TAPEDECK_TEST_CHROMIUM");
}

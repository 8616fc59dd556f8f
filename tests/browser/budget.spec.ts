// What a page costs: script bytes, first paint, movement of what is already there.
import { expect, test } from "@playwright/test";
import { gzipSync } from "node:zlib";
import { openOverview } from "./support";

const SCRIPT_BYTES_MAX = 120 * 1024;
const FIRST_PAINT_MS_MAX = 1_000;
const SHIFT_MAX = 0.1;

test("scripts stay within their budget", async ({ page, request }) => {
  await page.goto("/");
  const paths = await page.evaluate(() => {
    const scripts = [...document.querySelectorAll<HTMLScriptElement>("script[src]")].map((script) => script.src);
    const worker = document.querySelector<HTMLMetaElement>("meta[name=tapedeck-worker]")?.content;
    return worker ? [...scripts, worker] : scripts;
  });
  expect(paths.length).toBeGreaterThan(1);
  let bytes = 0;
  for (const path of paths) {
    const response = await request.get(path);
    expect(response.ok()).toBe(true);
    expect(response.headers()["cache-control"]).toContain("immutable");
    bytes += gzipSync(await response.body()).length;
  }
  expect(bytes).toBeLessThanOrEqual(SCRIPT_BYTES_MAX);
});

for (const width of [390, 1440]) {
  test(`paints within a second and stays where it is at ${width} px`, async ({ page }) => {
    await page.setViewportSize({ width, height: 900 });
    await page.addInitScript(() => {
      const shifts = window as unknown as { shift: number };
      shifts.shift = 0;
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries() as unknown as { value: number; hadRecentInput: boolean }[]) {
          if (!entry.hadRecentInput) shifts.shift += entry.value;
        }
      }).observe({ type: "layout-shift", buffered: true });
    });
    await openOverview(page);
    await expect.poll(() => page.evaluate(() => window.__charts["equity"]?.state().loading)).toBe(false);
    const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
    expect(paint).toBeLessThan(FIRST_PAINT_MS_MAX);
    const shift = await page.evaluate(() => (window as unknown as { shift: number }).shift);
    expect(shift).toBeLessThan(SHIFT_MAX);
  });
}

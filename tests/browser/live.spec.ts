// The Overview while the market moves: a newcomer sees the whole pipeline, and at once.
import { expect, test } from "@playwright/test";
import { openOverview, switchTrading, version } from "./support";
import { Wire } from "./wire";

/** A fill must be in the profit and loss within this time of being written to the tape, so all the more of its commit. */
const FILL_MS_MAX = 500;
const FILLS_MEASURED = 10;
/** So many of them may be later: one stall of the machine, which says nothing about the page, holds up every fill of its moment. */
const FILLS_STALLED = 2;

test("bars, signals, approved and denied orders, fills, positions and equity within 30 seconds", { tag: "@timed" }, async ({ page }) => {
  const until = Date.now() + 30_000;
  const left = (): { timeout: number } => ({ timeout: Math.max(1, until - Date.now()) });
  await openOverview(page);
  await expect(page.locator("#prices tbody tr").first()).toBeVisible(left());
  await expect(page.locator("#strategies tbody time").first()).toBeVisible(left());
  await expect(page.locator("#fills tbody tr").first()).toBeVisible(left());
  // What scrolls by counts as seen: orders and denials take turns in ten rows.
  const seen = { denied: false, approved: false, position: false };
  await expect
    .poll(async () => {
      const statuses = await page
        .locator("#orders tbody tr")
        .evaluateAll((rows) => rows.map((row) => row.getAttribute("data-status")));
      seen.denied ||= statuses.includes("denied");
      seen.approved ||= statuses.some((status) => status !== "denied");
      seen.position ||= (await page.locator("#positions tbody tr").count()) > 0;
      return seen;
    }, left())
    .toEqual({ denied: true, approved: true, position: true });
  const last = (): Promise<number> => page.evaluate(() => window.__charts["equity"]?.state().last ?? 0);
  const before = await last();
  await expect.poll(last, left()).toBeGreaterThan(before);
});

test("the equity line moves by itself and leaves no mark out", async ({ page }) => {
  await openOverview(page);
  const line = (): Promise<{ points: number; last: number }> =>
    page.evaluate(() => {
      const state = window.__charts["equity"]?.state();
      return { points: state?.points ?? 0, last: state?.last ?? 0 };
    });
  await expect.poll(async () => (await line()).points).toBeGreaterThan(1);
  const before = await line();
  await expect.poll(async () => (await line()).last).toBeGreaterThan(before.last);
  // Whatever the message rate, no mark is left out: as many points as the server counts.
  await page.locator("#pause").click();
  const shown = await line();
  const counted = await page.evaluate(async (last) => {
    const source = document.querySelector<HTMLElement>("[data-chart=equity]")?.dataset["source"] ?? "";
    const body = (await (await fetch(source)).json()) as { points: [number, number][] };
    return body.points.filter(([time]) => time <= last).length;
  }, shown.last);
  expect(shown.points).toBe(counted);
});

test("a denied order says why", async ({ page }) => {
  await openOverview(page);
  const reason = page.locator("#orders tr[data-status=denied] .reason").first();
  await expect(reason).toHaveText(/\S/, { timeout: 60_000 });
});

test("a fill changes profit and loss within 500 ms of its commit", { tag: "@timed" }, async ({ page }) => {
  await openOverview(page);
  await switchTrading(page, "NORMAL");
  const delays = await page.evaluate(
    (wanted) =>
      new Promise<number[]>((resolve) => {
        const measured = new Map<number, number>();
        const newest = (): HTMLElement[] => [...document.querySelectorAll<HTMLElement>("#fills tr[data-recorded]")];
        const known = new Set(newest().map((row) => row.id));
        const waiting = new Map<number, number>();
        const look = (): void => {
          for (const row of newest()) {
            if (known.has(row.id)) continue;
            known.add(row.id);
            waiting.set(Number(row.dataset["seq"]), Date.parse(row.dataset["recorded"] ?? ""));
          }
          const shown = Number(document.querySelector<HTMLElement>("#tiles")?.dataset["seq"] ?? "0");
          for (const [sequence, recorded] of waiting) {
            if (shown < sequence) continue;
            waiting.delete(sequence);
            measured.set(sequence, Date.now() - recorded);
          }
          if (measured.size >= wanted) {
            observer.disconnect();
            resolve([...measured.values()]);
          }
        };
        const observer = new MutationObserver(look);
        observer.observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-seq"] });
      }),
    FILLS_MEASURED,
  );
  console.log(`fill to profit and loss: ${delays.join(", ")} ms`);
  expect(delays.length).toBeGreaterThanOrEqual(FILLS_MEASURED);
  expect(delays.filter((delay) => delay >= FILL_MS_MAX).length).toBeLessThanOrEqual(FILLS_STALLED);
});

test("pause holds everything still, resume catches up", async ({ page }) => {
  await openOverview(page);
  await page.locator("#pause").click();
  await expect(page.locator("html")).toHaveAttribute("data-live", "paused");
  const held = await version(page);
  const clock = await page.locator("#clock").textContent();
  await expect(page.locator("#live-text")).toHaveText(/waiting/, { timeout: 15_000 });
  expect(await version(page)).toBe(held);
  expect(await page.locator("#clock").textContent()).toBe(clock);
  await page.locator("#pause").click();
  await expect.poll(() => version(page)).toBeGreaterThan(held);
});

test("focus survives updates", async ({ page }) => {
  await openOverview(page);
  await page.locator("#strategies summary").first().click();
  const button = page.locator("#strategies details[open] form button").first();
  await button.focus();
  const before = await version(page);
  await expect.poll(() => version(page)).toBeGreaterThan(before + 20);
  await expect(button).toBeFocused();
});

test("seven pages are live at once", async ({ context }) => {
  // Browsers keep six connections to a host: a seventh page that had one of its own would never be live. How soon all
  // seven are is no matter here, with another browser on the same two cores.
  const pages = await Promise.all(Array.from({ length: 7 }, async () => context.newPage()));
  await Promise.all(pages.map(async (page) => page.goto("/")));
  for (const page of pages) {
    await expect(page.locator("html[data-live=live]")).toBeAttached({ timeout: 60_000 });
  }
});

for (const shared of [true, false]) {
  test(`${shared ? "with a shared worker" : "by itself"} a page says when the server is gone, and recovers`, async ({
    page,
    baseURL,
  }) => {
    if (!shared) {
      await page.addInitScript(() => Object.defineProperty(window, "SharedWorker", { value: undefined }));
    }
    const wire = await Wire.to(new URL(baseURL ?? ""));
    try {
      await page.goto(wire.url);
      await expect(page.locator("html")).toHaveAttribute("data-live", "live");
      await wire.cut();
      await expect(page.locator("#live-text")).toHaveText("Reconnecting");
      await expect(page.locator("#live-text")).toHaveText("Stale > 5 s", { timeout: 15_000 });
      await wire.mend();
      await expect(page.locator("html")).toHaveAttribute("data-live", "live", { timeout: 30_000 });
      const before = await version(page);
      await expect.poll(() => version(page)).toBeGreaterThan(before);
    } finally {
      await wire.cut();
    }
  });
}

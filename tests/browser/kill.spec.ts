// The halt of everything: needs its word, takes effect, and is released the same way.
import { expect, test } from "@playwright/test";
import { openOverview, switchTrading } from "./support";

test.afterEach(async ({ page }) => {
  await openOverview(page);
  await switchTrading(page, "NORMAL");
});

test("halt needs the typed word and stops new exposure until resumed", async ({ page }) => {
  await openOverview(page);
  await switchTrading(page, "NORMAL");
  const form = page.locator("#form-halt");
  await form.locator("input[name=word]").fill("halt please");
  await expect(form.locator("button")).toHaveAttribute("aria-disabled", "true");
  // Enter submits all the same: the server checks the word.
  await form.locator("input[name=word]").press("Enter");
  await expect(page.locator("#notice .bad")).toHaveText(/HALT/);
  await expect(page.locator("#halt-state")).toHaveText("NORMAL");

  await switchTrading(page, "REDUCE-ONLY");
  await expect(page.locator("#alerts")).toContainText("Reduce-only");
  const halted = await newest(page);
  // Time for signals: several bars of every symbol.
  await expect.poll(() => newest(page), { timeout: 60_000 }).toBeGreaterThan(halted);
  await page.waitForFunction((from) => {
    const rows = [...document.querySelectorAll<HTMLElement>("#events tr[data-seq]")];
    return rows.some((row) => Number(row.dataset["seq"]) > from + 50);
  }, halted);
  const opened = await page.locator("#orders tbody tr").evaluateAll(
    (rows, from) =>
      rows
        .filter((row) => Number(row.getAttribute("data-first")) > from && row.getAttribute("data-status") !== "denied")
        .filter((row) => row.getAttribute("data-reducing") !== "true")
        .map((row) => row.textContent),
    halted,
  );
  expect(opened).toEqual([]);

  await switchTrading(page, "NORMAL");
  await expect(page.locator("#alerts")).not.toContainText("Reduce-only");
});

test("a strategy stops and starts from its row", async ({ page }) => {
  await openOverview(page);
  const row = page.locator("#strategies tbody tr").first();
  const stop = row.locator("summary", { hasText: /^Stop/ });
  const start = row.getByRole("button", { name: /^Start/ });
  if (await start.isVisible()) await start.click();
  await expect(stop).toBeVisible();
  // Held still: whether it holds something changes from bar to bar, and with it the question.
  await page.locator("#pause").click();
  await stop.click();
  await row.locator("select[name=positions]").selectOption("flatten");
  await row.getByRole("button", { name: /^Yes, stop/ }).click();
  await expect(page.locator("#notice .good")).toContainText("closed at the market");
  await page.locator("#pause").click();
  await expect(start).toBeVisible();
  await expect(row.locator(".badge").first()).toHaveText(/disabled/i);
  await start.click();
  await expect(stop).toBeVisible();
});

/** Highest TRADING sequence on the page. */
async function newest(page: import("@playwright/test").Page): Promise<number> {
  const sequences = await page
    .locator("#events tr[data-seq]")
    .evaluateAll((rows) => rows.map((row) => Number(row.getAttribute("data-seq"))));
  return Math.max(0, ...sequences);
}

// Tear sheets: what every page must pass, and what is their own: a heatmap that compounds, a way into the chart, an export
// that opens offline. By its name it comes last, when the demo's market is old enough for a run with trades.
import { readFileSync } from "node:fs";
import { expect, test, type Page } from "@playwright/test";
import { checkPage } from "./checks";
import { ask, ended, lastWhole, market, one } from "./runs";
import { openPage } from "./support";

/** What of the chart's state is looked at. */
interface View {
  visible: { from: number | null; to: number | null } | null;
}

/** A finished run with trades, made once. */
let finished: string | undefined;
const tearSheet = async (page: Page): Promise<string> => {
  if (finished === undefined) {
    await page.goto("/backtests");
    const { timeframe, symbols } = await market(page);
    const id = await ask(page, {
      strategies: [{ kind: "sma_cross", parameters: { fast: "3", slow: "8" }, sizing: "fraction:0.3" }],
      symbols: symbols.slice(0, 3), timeframe, benchmark: symbols[0], to: await lastWhole(page),
    });
    expect((await ended(page, id)).status).toBe("succeeded");
    finished = id;
  }
  return `/backtests/${finished}`;
};

checkPage("a tear sheet", { path: tearSheet, ready: "#months" });

test("the heatmap compounds to the year", async ({ page }) => {
  await openPage(page, await tearSheet(page));
  const years = await page.locator("#months tbody tr").evaluateAll((rows) => {
    // As it is read: `−1.234 %`.
    const read = (cell: Element | null): number => Number((cell?.textContent ?? "").replace("−", "-").replace(" %", "")) / 100;
    return rows.map((row) => ({
      months: [...row.querySelectorAll("[data-month]")].filter((cell) => cell.textContent !== "").map(read),
      total: read(row.querySelector("[data-total]")),
    }));
  });
  expect(years.length).toBeGreaterThan(0);
  for (const { months } of years) expect(months.length).toBeGreaterThan(0);
  let whole = 1;
  for (const { months, total } of years) {
    const compounded = months.reduce((product, month) => product * (1 + month), 1) - 1;
    expect(Math.abs(compounded - total)).toBeLessThan(0.0001);
    whole *= 1 + total;
  }
  const id = page.url().split("/").at(-1) ?? "";
  const total = (await one(page.request, id)).statistics?.["total_return"] ?? Number.NaN;
  expect(Math.abs(whole - 1 - total)).toBeLessThan(0.0001);
});

test("a trade leads to the chart at its fill", async ({ page }) => {
  await openPage(page, await tearSheet(page));
  const link = page.locator("#trades tbody a[data-open]").first();
  const at = Number(/#t=(\d+)/.exec((await link.getAttribute("href")) ?? "")?.[1]);
  await link.click();
  await expect(page).toHaveURL(/\/chart\//);
  await expect
    .poll(async () => page.evaluate((moment) => {
      const state = window.__charts["candles"]?.state() as View | undefined;
      const { from, to } = state?.visible ?? { from: null, to: null };
      return from !== null && to !== null && from <= moment && moment <= to + 7 * 3_600;
    }, at), { timeout: 30_000 })
    .toBe(true);
});

test("the exported page opens without the server", async ({ page, browser }, info) => {
  await openPage(page, await tearSheet(page));
  const [download] = await Promise.all([page.waitForEvent("download"), page.locator("#download-html").click()]);
  const path = info.outputPath("tear-sheet.html");
  await download.saveAs(path);
  expect(readFileSync(path, "utf8")).not.toMatch(/<script[^>]+src=|<link[^>]+href="http/);
  const context = await browser.newContext({ offline: true });
  const alone = await context.newPage();
  const failed: string[] = [];
  alone.on("requestfailed", (request) => failed.push(request.url()));
  await alone.goto(`file://${path}`);
  await expect(alone.locator("svg").first()).toBeVisible();
  expect(failed).toEqual([]);
  await context.close();
});

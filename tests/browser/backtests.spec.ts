// Backtests: what every page must pass, and what is its own: progress that only grows, a run that can be ended, the same
// hash for the same request, sweeps and walk-forward tests.
import { expect, test } from "@playwright/test";
import { checkPage } from "./checks";
import { ask, ended, lastWhole, market, progressOf } from "./runs";
import { openPage, violations } from "./support";

checkPage("Backtests", { path: "/backtests", ready: "#form-backtest" });

test("the form starts a run, progress grows to the end, and a reload shows it again", async ({ page }) => {
  await market(page);
  await openPage(page, "/backtests");
  await page.locator("#form-backtest input[name='p.fast']").fill("4");
  await page.locator("#form-backtest").getByRole("button", { name: "Run the backtest" }).click();
  const link = page.locator("#notice a[data-run]");
  await expect(link).toBeVisible();
  const id = (await link.getAttribute("data-run")) ?? "";
  const seen = await progressOf(page.request, id);
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  expect(seen.at(-1)).toBe(100);
  await expect(page.locator(`#run-${id}`)).toHaveAttribute("data-status", "succeeded");
  await page.reload();
  await expect(page.locator(`#run-${id}`)).toHaveAttribute("data-status", "succeeded");
});

test("a search that runs to its end grows from value to value to 100", async ({ page }) => {
  await openPage(page, "/backtests");
  const { timeframe } = await market(page);
  const strategies = Array.from({ length: 4 }, (_, index) => ({ kind: "sma_cross", name: `cross_${index}` }));
  const range = (parameter: string, values: string) => ({ strategy: "cross_0", parameter, values: [values] });
  // Long enough for several hints, of which there are ten a second, and a tenth of the search that must not end.
  const id = await ask(page, {
    kind: "sweep", timeframe, strategies,
    search: { sampler: "grid", ranges: [range("fast", "1..60"), range("slow", "101..160")] },
  });
  const seen = await progressOf(page.request, id);
  expect(new Set(seen).size).toBeGreaterThanOrEqual(2);
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  expect(seen.at(-1)).toBe(100);
});

test("a long search shows progress that only grows, and can be ended", async ({ page }) => {
  await openPage(page, "/backtests");
  const { timeframe } = await market(page);
  // As many runs as a grid may have, of as many strategies as share an account: it must not end before it is ended.
  const strategies = Array.from({ length: 16 }, (_, index) => ({ kind: "sma_cross", name: `cross_${index}` }));
  const range = (parameter: string, values: string) => ({ strategy: "cross_0", parameter, values: [values] });
  const id = await ask(page, {
    kind: "sweep", timeframe, strategies,
    search: { sampler: "grid", ranges: [range("fast", "1..100"), range("slow", "101..200")] },
  });
  const bar = page.locator(`#run-${id} progress`);
  await expect(bar).toBeVisible({ timeout: 30_000 });
  const seen: number[] = [];
  for (let look = 0; look < 8; look += 1) {
    const percent = await bar.getAttribute("data-percent", { timeout: 2_000 }).catch(() => null);
    if (percent !== null) seen.push(Number(percent));
    await page.waitForTimeout(150);
  }
  expect(seen.length).toBeGreaterThanOrEqual(2);
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  await page.locator(`#confirm-${id} summary`).click();
  await page.locator(`#form-cancel-${id} button`).click();
  expect((await ended(page, id)).status).toBe("cancelled");
  await expect(page.locator(`#run-${id}`)).toHaveAttribute("data-status", "cancelled");
});

test("the same request has the same hash, and two runs are compared", async ({ page }) => {
  await openPage(page, "/backtests");
  const { timeframe, symbols } = await market(page);
  const asked = { strategies: [{ kind: "sma_cross", parameters: { fast: "3", slow: "9" } }], symbols: symbols.slice(0, 2), timeframe, seed: 11, to: await lastWhole(page) };
  const [a, b] = [await ask(page, asked), await ask(page, asked)];
  const [first, second] = [await ended(page, a), await ended(page, b)];
  expect(first.result_hash).toMatch(/^[0-9a-f]{64}$/);
  expect(second.result_hash).toBe(first.result_hash);
  await openPage(page, `/backtests?compare=${a},${b}`);
  await expect(page.locator("#backtests-compare tbody tr").first()).toBeVisible();
  await expect.poll(async () => page.evaluate(() => window.__charts["lines"]?.state().points ?? 0)).toBeGreaterThan(1);
  for (const act of ["zoom-in", "zoom-out", "pan-left", "pan-right", "latest", "all"]) {
    await page.locator(`[data-chart-for=lines-chart][data-act=${act}]`).click();
  }
  await page.locator("details.as-table summary").click();
  await expect(page.locator("#compared-sessions tbody tr").first()).toBeVisible();
  // Nothing is half below the bar that stays on top.
  await page.evaluate(() => window.scrollTo(0, 0));
  expect(await violations(page)).toEqual([]);
  // The list is narrowed by the keyboard, in the address; what is compared stays.
  await page.locator("body").press("/");
  await page.keyboard.type("nobody");
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => url.searchParams.get("find") === "nobody" && url.searchParams.get("compare") === `${a},${b}`);
  await expect(page.locator("#backtests-runs")).toContainText("No match.");
  await page.getByRole("search", { name: "Filter the runs" }).getByRole("link", { name: "Clear" }).click();
  await expect(page.locator(`#run-${a}`)).toBeVisible();
});

test("the form runs a sweep, whose scores make a map, and a walk-forward test, whose windows follow each other", async ({ page }) => {
  // The windows take six sessions up to the last whole one.
  const { timeframe, symbols } = await market(page, 10);
  const launch = async (kind: string, more: Record<string, string>, button: string): Promise<string> => {
    await openPage(page, `/backtests?strategy=sma_cross&run=${kind}`);
    const form = page.locator("#form-backtest");
    const fields = { "p.fast": "2..4", "p.slow": "8|12", symbols: symbols[0] ?? "", to: await lastWhole(page), ...more };
    for (const [name, value] of Object.entries(fields)) await form.locator(`input[name='${name}']`).fill(value);
    await form.locator("select[name=timeframe]").selectOption(timeframe);
    await form.locator("select[name=metric]").selectOption("total_return");
    await form.getByRole("button", { name: button }).click();
    const link = page.locator("#notice a[data-run]");
    await expect(link).toBeVisible();
    const id = (await link.getAttribute("data-run")) ?? "";
    expect((await ended(page, id)).status).toBe("succeeded");
    return id;
  };
  const sweep = await launch("sweep", {}, "Run the sweep");
  await openPage(page, `/backtests/${sweep}`);
  await expect(page.locator("#heat tbody td")).toHaveCount(6);
  await expect(page.locator("#heat [data-best]")).toHaveCount(1);
  await expect(page.locator("#h-warnings")).toBeVisible();
  expect(await violations(page)).toEqual([]);
  const walk = await launch("walk_forward", { in_sample: "3", out_of_sample: "1" }, "Run the walk-forward test");
  await openPage(page, `/backtests/${walk}`);
  await expect(page.locator("#h-windows")).toBeVisible();
  expect(await page.locator("[aria-labelledby=h-windows] tbody tr").count()).toBeGreaterThan(1);
  await expect.poll(async () => page.evaluate(() => window.__charts["lines"]?.state().points ?? 0)).toBeGreaterThan(1);
});

test("a strategy is added to the form, and both share an account with limits", async ({ page }) => {
  const { timeframe, symbols } = await market(page);
  await openPage(page, "/backtests?strategy=sma_cross");
  await page.locator("select[name=strategy_2]").selectOption("sma_cross");
  await page.getByRole("button", { name: "Choose" }).click();
  const form = page.locator("#form-backtest");
  await form.locator("input[name='p2.fast']").fill("3");
  await form.locator("input[name=symbols]").fill(symbols[0] ?? "");
  await form.locator("select[name=timeframe]").selectOption(timeframe);
  await form.locator("input[name=limits]").fill("strategy:sma_cross_2.max_open_orders=3");
  expect(await violations(page)).toEqual([]);
  await form.getByRole("button", { name: "Run the backtest" }).click();
  const link = page.locator("#notice a[data-run]");
  await expect(link).toBeVisible();
  const id = (await link.getAttribute("data-run")) ?? "";
  expect((await ended(page, id)).status).toBe("succeeded");
  await openPage(page, `/backtests/${id}`);
  await expect(page.locator("[aria-labelledby=h-asked]")).toContainText("strategy sma_cross_2: max_open_orders=3");
});

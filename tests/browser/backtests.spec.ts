// Backtests and their tear sheets: what every page must pass, and what is its own: progress that only grows, a run
// that can be ended, the same hash for the same request, a heatmap that compounds, an export that opens offline.
import { readFileSync } from "node:fs";
import { expect, test, type APIRequestContext, type Page } from "@playwright/test";
import { checkPage } from "./checks";
import { openPage, violations } from "./support";

interface Run {
  run_id: string;
  status: string;
  progress: { percent: number } | null;
  result_hash: string | null;
  statistics: Record<string, number | null> | null;
}

/** What of the chart's state is looked at. */
interface View {
  visible: { from: number | null; to: number | null } | null;
}

let number = 0;

const headers = async (page: Page): Promise<Record<string, string>> => {
  const token = await page.locator("meta[name=csrf-token]").getAttribute("content");
  return { "x-csrf-token": token ?? "", "idempotency-key": `browser-${Date.now()}-${(number += 1)}`, origin: new URL(page.url()).origin };
};

interface Series {
  symbol: string;
  timeframe: string;
  bars: number;
  first_close_ns: number;
  last_close_ns: number;
}

const series = async (page: Page): Promise<Series[]> => {
  const answer = (await (await page.request.get("/api/v1/symbols")).json()) as { items: { symbol: string; series: Omit<Series, "symbol">[] }[] };
  return answer.items.flatMap(({ symbol, series: all }) => all.map((one) => ({ symbol, ...one })));
};

const DAY_NS = 86_400_000_000_000;

/** Bars that the demo has, once it has those of so many days: the timeframe of the most, and its symbols. */
const market = async (page: Page, days = 4): Promise<{ timeframe: string; symbols: string[] }> => {
  let found: Series[] = [];
  await expect
    .poll(async () => {
      found = await series(page);
      return Math.max(0, ...found.map((one) => one.last_close_ns - one.first_close_ns));
    }, { timeout: 60_000 })
    .toBeGreaterThan(days * DAY_NS);
  const timeframe = [...found].sort((a, b) => b.bars - a.bars)[0]?.timeframe ?? "1h";
  return { timeframe, symbols: found.filter((one) => one.timeframe === timeframe).map(({ symbol }) => symbol) };
};

const one = async (request: APIRequestContext, id: string): Promise<Run> => (await (await request.get(`/api/v1/backtests/${id}`)).json()) as Run;

/** Asks for a run by the API and answers its id. */
const ask = async (page: Page, asked: object): Promise<string> => {
  const answer = await page.request.post("/api/v1/backtests", { headers: await headers(page), data: asked });
  expect(answer.status(), await answer.text()).toBe(202);
  return ((await answer.json()) as { run_id: string }).run_id;
};

const ended = async (page: Page, id: string): Promise<Run> => {
  await expect.poll(async () => (await one(page.request, id)).status, { timeout: 60_000 }).toMatch(/succeeded|failed|cancelled/);
  return one(page.request, id);
};

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

/** The demo goes on: a range that ends makes two runs read the same. */
const lastWhole = async (page: Page): Promise<string> => {
  const last = Math.min(...(await series(page)).map(({ last_close_ns }) => last_close_ns));
  return new Date(last / 1e6 - 2 * 86_400_000).toISOString().slice(0, 10);
};

checkPage("Backtests", { path: "/backtests", ready: "#form-backtest" });
checkPage("a tear sheet", { path: tearSheet, ready: "#months" });

test("the form starts a run, progress grows to the end, and a reload shows it again", async ({ page }) => {
  await market(page);
  await openPage(page, "/backtests");
  await page.locator("#form-backtest input[name='p.fast']").fill("4");
  await page.locator("#form-backtest").getByRole("button", { name: "Run the backtest" }).click();
  const link = page.locator("#notice a[data-run]");
  await expect(link).toBeVisible();
  const id = (await link.getAttribute("data-run")) ?? "";
  const seen: number[] = [];
  await expect
    .poll(async () => {
      const run = await one(page.request, id);
      if (run.progress) seen.push(run.progress.percent);
      return run.status;
    }, { timeout: 60_000, intervals: [20] })
    .toBe("succeeded");
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  await expect(page.locator(`#run-${id}`)).toHaveAttribute("data-status", "succeeded");
  await page.reload();
  await expect(page.locator(`#run-${id}`)).toHaveAttribute("data-status", "succeeded");
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

test("the heatmap compounds to the year", async ({ page }) => {
  await openPage(page, await tearSheet(page));
  const years = await page.locator("#months tbody tr").evaluateAll((rows) =>
    rows.map((row) => ({
      months: [...row.querySelectorAll<HTMLElement>("[data-month]")].map((cell) => cell.dataset["value"] ?? "").filter((text) => text !== "").map(Number),
      total: Number(row.querySelector<HTMLElement>("[data-total]")?.dataset["total"]),
    })),
  );
  expect(years.length).toBeGreaterThan(0);
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

// The chart of a symbol: what every page must pass, and what is its own: candles, fills, panning, the live bar.
import { expect, test, type Page } from "@playwright/test";
import { checkPage } from "./checks";
import { openPage } from "./support";

interface State {
  points: number;
  first: number | null;
  last: number | null;
  lastValue: number | null;
  loading: boolean;
  start: number;
  markers: number;
  averages: { length: number; value: number | null }[];
  lines: number;
  visible: { from: number | null; to: number | null } | null;
  older: boolean;
}

const state = (page: Page): Promise<State | undefined> =>
  page.evaluate(() => window.__charts["candles"]?.state() as State | undefined);

/** Opens a chart, and waits until its bars are there. */
async function openChart(page: Page, path: string): Promise<State> {
  await openPage(page, path);
  await expect(page.locator("[data-chart-state]")).toHaveAttribute("data-chart-state", "ready", { timeout: 30_000 });
  await expect.poll(async () => (await state(page))?.loading).toBe(false);
  return (await state(page)) as State;
}

/** A symbol that was filled at least once, the one filled last. */
async function traded(page: Page): Promise<string> {
  const fills = async (): Promise<{ symbol: string }[]> => {
    const answer = await page.request.get("/api/v1/fills?limit=1");
    const body = (await answer.json()) as { rows?: { symbol: string }[]; items?: { symbol: string }[] };
    return body.rows ?? body.items ?? [];
  };
  await expect.poll(async () => (await fills()).length, { timeout: 60_000 }).toBeGreaterThan(0);
  return (await fills())[0]?.symbol ?? "";
}

checkPage("Chart", {
  path: async (page) => `/chart/${await traded(page)}`,
  ready: "[data-chart-state=ready]",
  prepare: async (page) => {
    await expect.poll(async () => (await state(page))?.loading).toBe(false);
    await page.locator("#chart-latest details.as-table summary").click();
  },
});

/** Marks of the chart, and fills of the bars that it holds as the server counts them. */
async function counted(page: Page, symbol: string): Promise<{ marks: number; fills: number }> {
  const now = (await state(page)) as State;
  const range = new URLSearchParams({
    from: new Date(now.start * 1000).toISOString(),
    to: new Date((now.last ?? 0) * 1000).toISOString(),
  });
  const answer = (await (await page.request.get(`/chart/${symbol}/fills.json?${range}`)).json()) as { fills: unknown[] };
  return { marks: now.markers, fills: answer.fills.length };
}

/** Makes parts small, so that there is more than one of a market that has just begun. */
async function smallParts(page: Page): Promise<void> {
  await page.route("**/api/v1/bars?*", (route) => route.continue({ url: route.request().url().replace("limit=1000", "limit=40") }));
}

test("there are as many marks as fills, and a click on one scrolls the chart to it", async ({ page }) => {
  const symbol = await traded(page);
  await smallParts(page);
  await openChart(page, `/chart/${symbol}`);
  const agree = async (): Promise<boolean> => {
    const { marks, fills } = await counted(page, symbol);
    return fills > 0 && marks === fills;
  };
  // The oldest fill of the list need not be among the bars that are there: the chart goes and loads them.
  const link = page.locator("#chart-fills a[data-at]").last();
  await expect(link).toBeVisible();
  await page.locator("#pause").click();
  let at = Number(await link.getAttribute("data-at"));
  await link.click();
  const inView = async (): Promise<boolean> => {
    const { visible } = (await state(page)) as State;
    return visible !== null && (visible.from ?? Infinity) <= at && at <= (visible.to ?? 0);
  };
  await expect.poll(inView).toBe(true);
  expect(page.url()).toContain(`#t=${at}`);
  // Away and, by the keyboard, back again.
  await page.locator("#pause").click();
  await page.locator("[data-chart-for=candles-chart][data-act=latest]").click();
  await expect.poll(agree, { timeout: 30_000 }).toBe(true);
  await page.locator("#pause").click();
  // The list may have gone on meanwhile.
  at = Number(await link.getAttribute("data-at"));
  await link.focus();
  await page.keyboard.press("Enter");
  await expect.poll(inView).toBe(true);
});

test("older bars come as the reader pans, and the newest are a button away", async ({ page }) => {
  const symbol = await traded(page);
  await smallParts(page);
  const bars = async (): Promise<number> => {
    const answer = await page.request.get("/api/v1/symbols?limit=200");
    const { items } = (await answer.json()) as { items: { symbol: string; series: { bars: number }[] }[] };
    return items.find((item) => item.symbol === symbol)?.series[0]?.bars ?? 0;
  };
  await expect.poll(bars, { timeout: 60_000 }).toBeGreaterThan(150);
  const before = await openChart(page, `/chart/${symbol}`);
  await page.locator("#pause").click();
  await expect.poll(async () => (await state(page))?.loading).toBe(false);
  expect(before.older).toBe(true);
  const loaded = ((await state(page)) as State).points;
  await page.locator("[data-chart-for=candles-chart][data-act=pan-left]").focus();
  // Pressed until it works: the chart takes at most one press per frame.
  const pressed = async (): Promise<number> => {
    await page.keyboard.press("Enter");
    return (await state(page))?.points ?? 0;
  };
  await expect.poll(pressed, { intervals: [50] }).toBeGreaterThan(loaded);
  const after = (await state(page)) as State;
  expect(after.first).toBeLessThan(before.first ?? 0);
  expect(after.points).toBeLessThanOrEqual(10_000);
  // What was loaded is one series without a hole or a bar twice: as many as the server counts in the range.
  const whole = async (): Promise<number> => {
    const { first, last, points } = (await state(page)) as State;
    const [from, to] = [first, last].map((time) => new Date((time ?? 0) * 1000).toISOString());
    const answer = await page.request.get(`/api/v1/bars?${new URLSearchParams({ symbol, limit: "2000", from: from ?? "", to: to ?? "" })}`);
    return ((await answer.json()) as { items: unknown[] }).items.length - points;
  };
  await expect.poll(whole).toBe(0);
  await page.locator("[data-chart-for=candles-chart][data-act=latest]").click();
  await expect.poll(async () => (await state(page))?.visible?.to).toBe(after.last);
});

test("the newest bar comes by itself, unless the page is paused; averages and the table follow", async ({ page }) => {
  const symbol = await traded(page);
  const before = await openChart(page, `/chart/${symbol}?sma=3,7`);
  await expect.poll(async () => (await state(page))?.last, { timeout: 60_000 }).toBeGreaterThan(before.last ?? 0);
  const now = (await state(page)) as State;
  expect(now.averages.map(({ length }) => length)).toEqual([3, 7]);
  expect(now.averages.every(({ value }) => value !== null && value > 0)).toBe(true);
  await page.locator("#pause").click();
  const held = ((await state(page)) as State).last;
  await expect(page.locator("#live-text")).toHaveText(/waiting/, { timeout: 60_000 });
  expect(((await state(page)) as State).last).toBe(held);
  await page.locator("#pause").click();
  await expect.poll(async () => (await state(page))?.last, { timeout: 60_000 }).toBeGreaterThan(held ?? 0);
  await page.locator("#chart-latest details.as-table summary").click();
  await expect(page.locator("#chart-latest tbody tr").first()).toBeVisible();
});

test("symbol, prices and averages are in the address, and a wrong one is named", async ({ page }) => {
  const symbol = await traded(page);
  await openChart(page, "/chart");
  await page.keyboard.press("/");
  await page.locator("input[name=symbol]").fill(symbol.toLowerCase());
  await page.locator("select[name=adjustment]").selectOption("total-return");
  await page.locator("input[name=sma]").fill("5");
  await page.locator("input[name=sma]").press("Enter");
  await page.waitForURL((url) => url.pathname === `/chart/${symbol}` && url.searchParams.get("adjustment") === "total-return");
  await expect.poll(async () => (await state(page))?.averages.map(({ length }) => length)).toEqual([5]);
  const csv = (await page.locator("#candles-csv").getAttribute("href")) ?? "";
  expect(csv).toContain("adjustment=total-return");
  const file = await page.evaluate(async (url) => (await fetch(url)).text(), csv);
  expect(file.split("\r\n")[0]).toContain("sma_5");
  expect((await page.request.get(`/chart/${symbol}?sma=x`)).status()).toBe(422);
  const none = await page.goto("/chart/NOSUCHSYMBOL");
  expect(none?.status()).toBe(200);
  await expect(page.locator("#chart-latest")).toContainText("tapedeck import FILE --symbol NOSUCHSYMBOL");
});

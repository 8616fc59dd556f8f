// One picture of each page into docs/images, as the tour of the documentation shows them. To look at them in the other
// theme: TAPEDECK_TEST_THEME=light TAPEDECK_TEST_IMAGES=directory.
import { join } from "node:path";
import { expect, test, type Page } from "@playwright/test";
import { openPage } from "./support";

const IMAGES = process.env["TAPEDECK_TEST_IMAGES"] ?? join(import.meta.dirname, "../../docs/images");
const THEME = process.env["TAPEDECK_TEST_THEME"] === "light" ? "light" : "dark";

interface Picture {
  name: string;
  path: string;
  /** What must be there before the picture is taken. */
  ready: string;
  theme?: "dark" | "light";
  width?: number;
}

const PICTURES: Picture[] = [
  { name: "overview-dark", path: "/", ready: "[id^=fill-]", theme: "dark" },
  { name: "overview-light", path: "/", ready: "[id^=fill-]", theme: "light" },
  { name: "overview-mobile", path: "/", ready: "[id^=fill-]", width: 390 },
  { name: "chart", path: "/chart", ready: "canvas" },
  { name: "orders", path: "/orders?tab=all", ready: "main table tbody tr" },
  { name: "strategies", path: "/strategies", ready: "main table tbody tr" },
  { name: "events", path: "/events?stream=TRADING", ready: "main table tbody tr" },
  { name: "system", path: "/system", ready: "#p-bars" },
  { name: "logs", path: "/logs", ready: "[id^=log-]" },
  { name: "settings", path: "/settings", ready: "#main" },
];

async function take(page: Page, { name, theme = THEME, width = 1440 }: Picture): Promise<void> {
  await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
  await page.setViewportSize({ width, height: width === 390 ? 844 : 900 });
  await page.screenshot({ path: join(IMAGES, `${name}.png`), animations: "disabled" });
}

for (const picture of PICTURES) {
  test(picture.name, async ({ page }) => {
    await openPage(page, picture.path);
    await expect(page.locator(picture.ready).first()).toBeVisible({ timeout: 60_000 });
    await take(page, picture);
  });
}

/** Headers of a command of the page that is open. */
async function commanding(page: Page): Promise<Record<string, string>> {
  const token = (await page.locator("meta[name=csrf-token]").getAttribute("content")) ?? "";
  return { "x-csrf-token": token, "idempotency-key": `picture-${crypto.randomUUID()}`, origin: new URL(page.url()).origin };
}

test("positions", async ({ page }) => {
  await openPage(page, "/positions");
  const { symbols } = await market(page);
  // Bought twice by hand and sold in part: there first in, first out says something else than the average.
  for (const side of ["buy", "buy", "sell"]) {
    const order = { side, symbol: symbols.at(-1), quantity: "6", time_in_force: "gtc" };
    const answer = await page.request.post("/api/v1/orders", { headers: await commanding(page), data: order });
    expect(answer.ok(), await answer.text()).toBe(true);
    await page.waitForTimeout(3_000);
  }
  await expect(page.locator("#positions-held [data-fifo]").first()).toBeVisible({ timeout: 60_000 });
  await take(page, { name: "positions", path: "", ready: "" });
});

/** Asks for a run by the API, waits for its end and takes its picture. */
async function run(page: Page, asked: { name: string; path: string; data: object; shown: (id: string) => string; row: string; ready: string; scroll?: boolean }): Promise<void> {
  await openPage(page, "/");
  const answer = await page.request.post(asked.path, { headers: await commanding(page), data: asked.data });
  expect(answer.status(), await answer.text()).toBe(202);
  const id = ((await answer.json()) as { run_id: string }).run_id;
  const status = async (): Promise<string> => ((await (await page.request.get(`${asked.row}/${id}`)).json()) as { status: string }).status;
  await expect.poll(status, { timeout: 80_000 }).toBe("succeeded");
  await openPage(page, asked.shown(id));
  await expect(page.locator(asked.ready).first()).toBeVisible({ timeout: 60_000 });
  await expect(page.locator("[data-chart-state=ready]").first()).toBeAttached();
  if (asked.scroll) await page.locator(asked.ready).evaluate((element) => scrollTo(0, element.getBoundingClientRect().top + scrollY - 160));
  await take(page, { name: asked.name, path: "", ready: "" });
}

interface Series {
  symbol: string;
  series: { timeframe: string; bars: number }[];
}

/** The timeframe of the most bars, and its symbols. */
async function market(page: Page): Promise<{ timeframe: string; symbols: string[] }> {
  const { items } = (await (await page.request.get("/api/v1/symbols")).json()) as { items: Series[] };
  const all = items.flatMap(({ symbol, series }) => series.map((one) => ({ symbol, ...one })));
  const timeframe = all.sort((a, b) => b.bars - a.bars)[0]?.timeframe ?? "1h";
  return { timeframe, symbols: all.filter((one) => one.timeframe === timeframe).map(({ symbol }) => symbol) };
}

test("a tear sheet", async ({ page }) => {
  const { timeframe, symbols } = await market(page);
  const data = { strategies: [{ kind: "sma_cross", parameters: { fast: "5", slow: "20" }, sizing: "fraction:0.3" }], symbols: symbols.slice(0, 3), timeframe, benchmark: symbols[0] };
  await run(page, { name: "tear-sheet", path: "/api/v1/backtests", data, shown: (id) => `/backtests/${id}`, row: "/api/v1/backtests", ready: "#banner" });
});

test("a sweep", async ({ page }) => {
  const { timeframe, symbols } = await market(page);
  const search = { sampler: "grid", ranges: [{ parameter: "fast", values: ["3..12:3"] }, { parameter: "slow", values: ["15..40:5"] }] };
  const data = { kind: "sweep", strategies: [{ kind: "sma_cross" }], symbols: symbols.slice(0, 2), timeframe, search };
  await run(page, { name: "sweep", path: "/api/v1/backtests", data, shown: (id) => `/backtests/${id}`, row: "/api/v1/backtests", ready: "#heat", scroll: true });
});

test("a fork", async ({ page }) => {
  const { rows } = (await (await page.request.get("/api/v1/fills?limit=200")).json()) as { rows: { event_time_ns: number }[] };
  const at = new Date(Math.min(...rows.map((row) => row.event_time_ns)) / 1e6).toISOString();
  const data = { at, limits: { paper: { max_exposure: "0.05" } } };
  await run(page, { name: "fork", path: "/api/v1/forks", data, shown: (id) => `/fork/${id}`, row: "/api/v1/comparisons", ready: "#orders tbody tr" });
});

test("a parity", async ({ page }) => {
  await openPage(page, "/parity");
  const session = await page.locator("#form-parity input[name=session]").inputValue();
  await run(page, { name: "parity", path: "/api/v1/parity", data: { session }, shown: (id) => `/parity/${id}?show=all`, row: "/api/v1/comparisons", ready: "#sides" });
});

test("backtests", async ({ page }) => {
  await openPage(page, "/backtests?strategy=sma_cross&run=sweep");
  await expect(page.locator("#backtests-runs tbody tr").first()).toBeVisible();
  await take(page, { name: "backtests", path: "", ready: "" });
});

test("chain", async ({ page, request }) => {
  const fills = (await (await request.get("/api/v1/fills?limit=1")).json()) as { rows: { order_id: string }[] };
  const order = fills.rows[0]?.order_id ?? "";
  expect(order).not.toBe("");
  await openPage(page, `/orders/${order}`);
  await take(page, { name: "order", path: "", ready: "" });
  await page.locator("a[href*=chain]").first().click();
  await expect(page.locator("main")).toContainText("filled ");
  await take(page, { name: "chain", path: "", ready: "" });
});

test("the API's reader", async ({ page }) => {
  await page.goto("/api/docs");
  await expect(page.locator("main")).toContainText("/api/v1/orders");
  await take(page, { name: "api", path: "", ready: "" });
});

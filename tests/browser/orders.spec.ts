// Orders: what every page must pass, and what is its own: filters, the file, the cancel, focus.
import { expect, test, type Page } from "@playwright/test";
import { checkPage } from "./checks";
import { openPage, version } from "./support";

checkPage("Orders", { path: "/orders?tab=all", ready: "#orders-table tbody tr" });
checkPage("Fills", { path: "/orders?tab=fills", ready: "#orders-table tbody tr" });
checkPage("An order", {
  path: async (page) => {
    await openPage(page, "/orders?tab=all");
    const link = page.locator("#orders-table tbody a[data-open]").first();
    await expect(link).toBeVisible({ timeout: 30_000 });
    return (await link.getAttribute("href")) ?? "";
  },
  ready: "#order .facts",
});

const ids = (page: Page): Promise<string[]> =>
  page.locator("#orders-table tbody tr").evaluateAll((rows) => rows.map((row) => row.id));

test("the list moves by itself, keeps its filters, and the focus survives", async ({ page }) => {
  await openPage(page, "/orders?tab=all&side=buy");
  await expect(page.locator("#orders-table tbody tr").first()).toBeVisible({ timeout: 30_000 });
  const [first] = await ids(page);
  const link = page.locator(`#${first} a[data-open]`);
  await link.focus();
  // A newer order comes above it, and the link that had the focus still has it.
  await expect.poll(async () => (await ids(page))[0], { timeout: 60_000 }).not.toBe(first);
  await expect(link).toBeFocused();
  const sides = await page.locator("#orders-table tbody td[data-label=Side]").allTextContents();
  expect(new Set(sides)).toEqual(new Set(["BUY"]));
});

test("pause holds the list still, resume catches up", async ({ page }) => {
  await openPage(page, "/orders?tab=all");
  await expect(page.locator("#orders-table tbody tr").first()).toBeVisible({ timeout: 30_000 });
  await page.locator("#pause").click();
  const held = await page.locator("#orders-table").innerHTML();
  await expect(page.locator("#live-text")).toHaveText(/waiting/, { timeout: 30_000 });
  expect(await page.locator("#orders-table").innerHTML()).toBe(held);
  const before = await version(page);
  await page.locator("#pause").click();
  await expect.poll(() => version(page)).toBeGreaterThan(before);
});

test("filters are in the address, and the file holds the rows that pass them", async ({ page }) => {
  await openPage(page, "/orders?tab=all");
  await expect(page.locator("#orders-table tbody tr").first()).toBeVisible({ timeout: 30_000 });
  const symbol = (await page.locator("#orders-table tbody th").last().textContent()) ?? "";
  // Up to and including an order that is there: the rows stay the same while the demo goes on.
  const until = (await page.locator("#orders-table tbody time").last().getAttribute("datetime")) ?? "";
  await page.keyboard.press("/");
  await page.locator("input[name=symbol][data-filter]").fill(symbol);
  await page.locator("input[name=symbol][data-filter]").press("Enter");
  await page.waitForURL((url) => url.searchParams.get("symbol") === symbol && !url.searchParams.has("side"));
  await openPage(page, `/orders?tab=all&symbol=${symbol}&to=${encodeURIComponent(until)}&limit=200`);
  const shown = (await ids(page)).map((id) => id.replace(/^o-/, ""));
  expect(shown.length).toBeGreaterThan(0);
  const href = (await page.getByRole("link", { name: "Download CSV" }).getAttribute("href")) ?? "";
  const file = await page.evaluate(async (url) => (await fetch(url)).text(), href);
  const rows = file.trim().split("\r\n").slice(1);
  expect(rows.map((row) => row.split(",")[0])).toEqual(shown);
  expect(new Set(rows.map((row) => row.split(",")[4]))).toEqual(new Set([symbol]));
});

test("older rows are a link away, and the way back", async ({ page }) => {
  await openPage(page, "/orders?tab=all&limit=1");
  const older = page.getByRole("link", { name: /Older/ });
  await expect(older).toBeVisible({ timeout: 60_000 });
  await page.locator("#pause").click();
  const [newest] = await ids(page);
  await older.click();
  await page.waitForURL(/before=/);
  expect((await ids(page))[0]).not.toBe(newest);
  await page.getByRole("link", { name: /Newer/ }).click();
  await page.waitForURL(/after=/);
  await expect(page.locator(`#${newest}`)).toBeVisible();
});

test("j, k and Enter open an order; it shows its history, its decision and its chain", async ({ page }) => {
  await openPage(page, "/orders?tab=all");
  await expect(page.locator("#orders-table tbody tr").first()).toBeVisible({ timeout: 30_000 });
  await page.locator("#pause").click();
  const [first] = await ids(page);
  await page.locator("body").press("j");
  await expect(page.locator(`#${first}`)).toBeFocused();
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/orders\/[0-9a-f]+$/);
  await expect(page.locator("#h-risk")).toBeVisible();
  await expect(page.getByText("Version of the limits")).toBeVisible();
  await expect(page.getByRole("link", { name: "Chain: bar to fill" })).toHaveAttribute("href", /\/events\/chain\//);
});

interface Order {
  order_id: string;
  symbol: string;
  strategy: string;
  status: string;
  average_price: string | null;
}

const orders = async (page: Page, query: string): Promise<Order[]> => {
  const answer = await page.request.get(`/api/v1/orders?${query}`);
  expect(answer.ok()).toBe(true);
  return ((await answer.json()) as { rows: Order[] }).rows;
};

test("Enter pressed twice cancels an order, once", async ({ page }) => {
  test.setTimeout(240_000);
  await openPage(page, "/orders?tab=all&strategy=manual");
  await expect.poll(async () => (await orders(page, "limit=1")).length, { timeout: 60_000 }).toBe(1);
  const [{ symbol }] = (await orders(page, "limit=1")) as [Order];
  const form = page.locator("#form-place");
  let id = "";
  /** Asks for an order that no bar fills: it follows the price at a distance of nine tenths of it. */
  const place = async (): Promise<string> => {
    await page.locator("#place").evaluate((details: HTMLDetailsElement) => (details.open = true));
    await form.locator("input[name=symbol]").fill(symbol);
    await form.locator("input[name=quantity]").fill("1");
    await form.locator("select[name=type]").selectOption("trailing_stop");
    await form.locator("input[name=trail]").fill("90%");
    await form.locator("select[name=tif]").selectOption("gtc");
    await form.getByRole("button", { name: "Ask risk" }).click();
    await expect(page.locator("#notice .good")).toContainText("Risk answers next");
    id = /Order ([0-9a-f]{24})/.exec((await page.locator("#notice .good").textContent()) ?? "")?.[1] ?? "";
    const answered = page.locator(`#o-${id}[data-status=accepted], #o-${id}[data-status=denied]`);
    await expect(answered).toBeVisible({ timeout: 60_000 });
    return (await answered.getAttribute("data-status")) ?? "";
  };
  // The demo's strategies may hold all that the account may hold at the moment: then there is no room for one more.
  await expect.poll(place, { timeout: 150_000, intervals: [2_000] }).toBe("accepted");

  const keys = new Set<string | null>();
  page.on("request", (request) => {
    if (request.url().endsWith("/cancel")) keys.add(new URLSearchParams(request.postData() ?? "").get("key"));
  });
  await page.locator("#pause").click();
  await page.locator(`#o-${id} summary`).focus();
  await page.keyboard.press("Enter");
  await expect(page.locator(`#o-${id} form button`)).toBeFocused();
  await page.keyboard.press("Enter");
  // An impatient finger: what was asked is under way or answered, and is not asked again.
  await page.keyboard.press("Enter");
  await expect(page.locator("#notice .good")).toContainText(/Cancel of order .* requested/);
  expect(keys.size).toBe(1);
  const ended = async (): Promise<string[]> =>
    (await orders(page, "strategy=manual&status=cancelled")).map((order) => order.order_id);
  await expect.poll(ended, { timeout: 60_000 }).toContain(id);
  const subject = encodeURIComponent(`order.*.manual.*.${id}.>`);
  const answer = await page.request.get(`/api/v1/events?stream=TRADING&limit=50&subject=${subject}`);
  const told = ((await answer.json()) as { rows: { subject: string }[] }).rows.map((row) => row.subject.split(".").pop());
  expect(told.filter((event) => event === "cancel_requested")).toEqual(["cancel_requested"]);
});

test("an order by hand passes risk and is manual's; one too large is denied, with the reason", async ({ page }) => {
  test.setTimeout(300_000);
  await openPage(page, "/orders?tab=all&strategy=manual");
  await expect.poll(async () => (await orders(page, "status=filled&limit=1")).length, { timeout: 60_000 }).toBe(1);
  const [{ symbol }] = (await orders(page, "status=filled&limit=1")) as [Order];
  await page.locator("#place summary").click();
  const form = page.locator("#form-place");
  let id = "";
  const open = (): Promise<boolean> => page.locator("#place").evaluate((details: HTMLDetailsElement) => (details.open = true));
  /** Asks for one share, and waits for what becomes of it. */
  const one = async (): Promise<string> => {
    await open();
    await form.locator("input[name=symbol]").fill(symbol);
    await form.locator("input[name=quantity]").fill("1");
    await form.getByRole("button", { name: "Ask risk" }).click();
    await expect(page.locator("#notice .good")).toContainText("Risk answers next");
    id = /Order ([0-9a-f]{24})/.exec((await page.locator("#notice .good").textContent()) ?? "")?.[1] ?? "";
    await expect(page.locator(`#o-${id}`)).toBeVisible({ timeout: 30_000 });
    const ended = page.locator(`#o-${id}[data-status=filled], #o-${id}[data-status=denied]`);
    await expect(ended).toBeVisible({ timeout: 60_000 });
    const status = (await ended.getAttribute("data-status")) ?? "";
    if (status === "denied") await expect(ended.locator("[data-label='Reject reason']")).toContainText("max_exposure");
    return status;
  };
  // The demo's strategies may hold all that the account may hold at the moment: then there is no room for one more.
  await expect.poll(one, { timeout: 150_000, intervals: [2_000] }).toBe("filled");
  await expect.poll(async () => (await orders(page, "strategy=manual&status=filled")).map((one) => one.order_id), { timeout: 60_000 }).toContain(id);

  await open();
  await form.locator("input[name=symbol]").fill(symbol);
  await form.locator("input[name=quantity]").fill("1");
  await form.locator("select[name=type]").selectOption("trailing_stop");
  await form.locator("select[name=side]").selectOption("sell");
  await form.locator("input[name=trail]").fill("two");
  await form.getByRole("button", { name: "Ask risk" }).click();
  await expect(page.locator("#notice .bad")).toContainText("2%");
  await open();
  await form.locator("input[name=trail]").fill("2.5%");
  await form.getByRole("button", { name: "Ask risk" }).click();
  await expect(page.locator("#notice .good")).toContainText("sell");
  // From the first bar on the price that it stands at is told as well.
  const trailing = page.locator("#orders-table tr").filter({ hasText: /trailing stop.* by 0\.025 of the price/ }).first();
  await expect(trailing).toBeVisible({ timeout: 30_000 });

  await open();
  await form.locator("select[name=type]").selectOption("market");
  await form.locator("select[name=side]").selectOption("buy");
  await form.locator("input[name=trail]").fill("");
  await form.locator("input[name=symbol]").fill(symbol);
  await form.locator("input[name=quantity]").fill("9000000");
  await form.getByRole("button", { name: "Ask risk" }).click();
  const denied = page.locator("#orders-table tr[data-status=denied]").first();
  await expect(denied).toBeVisible({ timeout: 30_000 });
  await expect(denied.locator("[data-label='Reject reason']")).toContainText(/max_|insufficient_/);
});

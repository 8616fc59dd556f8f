// The tape, message by message: what every page must pass, and what is its own.
import { expect, test, type Page } from "@playwright/test";
import { checkPage } from "./checks";
import { openPage } from "./support";

const ROWS = "#tape-events tbody tr";

/** The address of the first link of a kind in the list of events, once there is one. */
async function first(page: Page, list: string, link: string): Promise<string> {
  await page.goto(list);
  const found = page.locator(`${ROWS} ${link}`).first();
  await expect(async () => {
    if ((await found.count()) === 0) await page.reload();
    expect(await found.count()).toBeGreaterThan(0);
  }).toPass({ timeout: 60_000 });
  return (await found.getAttribute("href")) ?? "";
}

checkPage("the Events page", {
  path: "/events",
  ready: ROWS,
  prepare: async (page) => {
    await page.locator("details[data-stream=TRADING] summary").click();
    await expect(page.locator("details[data-stream=TRADING] li").first()).toBeVisible();
  },
});
checkPage("a message", { path: (page) => first(page, "/events?type=signal", "a[data-open]"), ready: "#fields" });
checkPage("a message as hex", {
  path: async (page) => `${await first(page, "/events?type=signal", "a[data-open]")}?tab=hex`,
  ready: "#raw",
});
checkPage("a chain", { path: (page) => first(page, "/events?type=fill", "a[href*='/chain/']"), ready: "#chain li" });
checkPage("the parked messages", { path: "/events/parked", ready: "#parked-table" });

test("a fill leads to its signal, with its indicators, in three clicks", async ({ page }) => {
  await first(page, "/events?type=fill", "a[href*='/chain/']");
  // One: from the fill to its chain, which shows every step at once.
  await page.locator(`${ROWS} a[href*='/chain/']`).first().click();
  const stages = page.locator("#chain > li");
  await expect(stages.first()).toHaveAttribute("data-stage", "bar");
  for (const stage of ["signal", "risk", "order", "fill"]) {
    await expect(page.locator(`#chain > li[data-stage=${stage}]`).first()).toBeVisible();
  }
  await expect(page.locator("#chain > li[data-stage=signal] [data-detail]").first()).toBeVisible();
  await expect(page.locator("#chain > li[data-stage=risk] [data-detail]").first()).toBeVisible();
  await expect(page.locator("#chain > li[data-stage=fill] [data-latency]").first()).toBeVisible();
  // Two: the signal itself.
  await page.locator("#chain > li[data-stage=signal] header a").first().click();
  await expect(page.locator("#event")).toHaveAttribute("data-kind", "signal");
  await expect(page.locator("#fields")).toContainText("signal.indicators[0].name");
  // Three: how everything stood after it.
  await page.getByRole("link", { name: "State after it" }).click();
  await expect(page.locator("#past-label")).toContainText("Nothing here is live");
});

test("a jump leads to the sequence and the time asked for, and on from there", async ({ page }) => {
  await openPage(page, "/events?stream=MARKET");
  await page.locator("input[name=seq]").fill("3");
  await page.getByRole("button", { name: "Jump to sequence" }).click();
  await expect(page.locator(ROWS).first()).toHaveAttribute("data-seq", "3");
  await page.getByRole("link", { name: "‹ Newer" }).click();
  await expect(page.locator(ROWS).last()).toHaveAttribute("data-seq", "4");
  await page.locator("input[name=at]").fill("2000-01-01 00:00");
  await page.getByRole("button", { name: "Jump to time" }).click();
  await expect(page.locator(ROWS).first()).toHaveAttribute("data-seq", "1");
});

test("the tree opens level by level and leads to the list", async ({ page }) => {
  await openPage(page, "/events");
  const market = page.locator("details[data-stream=MARKET]");
  await market.locator("summary").first().click();
  await market.locator("summary", { hasText: /^market$/ }).click();
  await market.locator("summary", { hasText: /^bar$/ }).click();
  const leaf = market.locator("li", { has: page.locator("summary", { hasText: /^\w+$/ }) }).last().locator("a").first();
  await expect(leaf).toBeVisible();
  const subject = new URL((await leaf.getAttribute("href")) ?? "", page.url()).searchParams.get("subject") ?? "";
  await leaf.click();
  await expect(page.locator("form[role=search] input[name=subject]")).toHaveValue(subject);
  await expect(page.locator(ROWS).first()).toBeVisible();
});

test("the newest events come by themselves, and rest while the reader has scrolled away", async ({ page }) => {
  await page.setViewportSize({ width: 1000, height: 600 });
  await openPage(page, "/events?stream=TRADING");
  const top = async (): Promise<number> => Number(await page.locator(ROWS).first().getAttribute("data-seq"));
  await expect(page.locator(ROWS).nth(20)).toBeAttached({ timeout: 60_000 });
  const before = await top();
  await expect.poll(top, { timeout: 30_000 }).toBeGreaterThan(before);
  // By the window, not by a row: rows come and go until the list rests.
  await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
  await expect(page.locator("html")).toHaveAttribute("data-live", "paused");
  await page.evaluate(() => scrollTo(0, 0));
  await expect(page.locator("html")).toHaveAttribute("data-live", "live");
});

test("an empty list and a wrong filter say so", async ({ page, request }) => {
  await openPage(page, "/events?stream=PARKED");
  await expect(page.locator("#tape-events")).toContainText("Stream is empty.");
  const wrong = await request.get("/events?type=nonsense");
  expect(wrong.status()).toBe(422);
  expect(await wrong.text()).toContain("type = ");
});

// The Overview: what every page must pass, and what is its own.
import { expect, test } from "@playwright/test";
import { checkPage } from "./checks";
import { go, openOverview, pauseWith } from "./support";

checkPage("the Overview", {
  path: "/",
  ready: "#orders tbody tr",
  prepare: async (page) => {
    await expect.poll(() => page.evaluate(() => window.__charts["equity"]?.state().loading)).toBe(false);
    await page.locator("details.as-table summary").click();
  },
});

test("the theme and the timezone follow the reader's choice and are remembered", async ({ page }) => {
  await openOverview(page);
  await page.locator("#theme").selectOption("light");
  await expect(page.locator("html")).toHaveAttribute("data-theme", "light");
  const time = page.locator("#tiles time").first();
  await page.locator("#pause").click();
  await page.locator("#zone").selectOption("utc");
  const utc = (await time.textContent()) ?? "";
  await page.locator("#zone").selectOption("et");
  await expect(time).not.toHaveText(utc);
  const iso = (await time.getAttribute("datetime")) ?? "";
  expect(utc).toBe(iso.slice(0, 19).replace("T", " "));
  await page.reload();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "light");
  await expect(page.locator("#zone")).toHaveValue("et");
});

test("keys help, rest while typing and can be switched off", async ({ page }) => {
  await openOverview(page);
  await page.keyboard.press("?");
  await expect(page.locator("#help")).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.locator("#help")).toBeHidden();
  await page.locator("body").press(" ");
  await expect(page.locator("html")).toHaveAttribute("data-live", "paused");
  await page.locator("body").press(" ");
  await expect(page.locator("html")).toHaveAttribute("data-live", "live");
  await page.locator("#kill input[name=word]").press("?");
  await expect(page.locator("#help")).toBeHidden();
  await page.locator("[data-open-help]").click();
  await page.locator("#keys-enabled").uncheck();
  await page.keyboard.press("Escape");
  await page.keyboard.press("?");
  await expect(page.locator("#help")).toBeHidden();
});

test("Esc closes a question without an answer, and the focus is where it was asked", async ({ page }) => {
  await openOverview(page);
  const question = page.locator("#strategies details.confirm").first();
  await expect(question).toBeVisible({ timeout: 30_000 });
  await page.locator("#pause").click();
  const asked: string[] = [];
  page.on("request", (request) => {
    if (request.method() === "POST") asked.push(request.url());
  });
  await question.locator("summary").press("Enter");
  await expect(question.locator("form button")).toBeFocused();
  await page.keyboard.press("Escape");
  await expect(question).not.toHaveAttribute("open");
  await expect(question.locator("summary")).toBeFocused();
  expect(asked).toEqual([]);
});

test("the chart zooms, pans, and is a table as well", async ({ page }) => {
  await openOverview(page);
  const points = (): Promise<number> => page.evaluate(() => window.__charts["equity"]?.state().points ?? 0);
  await expect.poll(points, { timeout: 30_000 }).toBeGreaterThan(1);
  for (const act of ["zoom-in", "zoom-out", "pan-left", "pan-right", "latest", "all"]) {
    await page.locator(`[data-chart-for=equity-chart][data-act=${act}]`).click();
  }
  await page.locator("details.as-table summary").click();
  await expect(page.locator("details.as-table tbody tr").first()).toBeVisible();
});

test("keys lead to pages, and the palette to pages and symbols", async ({ page }) => {
  await openOverview(page);
  await page.keyboard.press("Control+k");
  const input = page.locator("#palette input");
  await expect(input).toBeFocused();
  await expect(page.locator("#palette [role=option]").first()).toBeVisible();
  await input.fill("overv");
  await expect(page.locator("#palette [role=option]")).toHaveCount(1);
  await page.keyboard.press("Escape");
  await expect(page.locator("#palette")).toBeHidden();
  const links = await page.locator("nav [data-go]").evaluateAll((all) => all.map((link) => [link.getAttribute("data-go"), link.getAttribute("href")]));
  expect(links.length).toBeGreaterThan(0);
  // Each from the one before, the first from the Overview.
  for (const [letter, href] of links) {
    await go(page, letter ?? "");
    // The way to the charts leads on to that of a symbol.
    await expect(page).toHaveURL((url) => url.pathname === href || url.pathname.startsWith(`${href}/`));
  }
});

test("j and k move through the rows of a table", async ({ page }) => {
  await openOverview(page);
  await expect(page.locator("#orders tbody tr").nth(1)).toBeAttached({ timeout: 30_000 });
  await page.locator("#pause").click();
  const focused = (): Promise<string | undefined> => page.evaluate(() => document.activeElement?.closest("tr")?.id);
  await page.locator("body").press("j");
  const first = await focused();
  await page.keyboard.press("j");
  expect(await focused()).not.toBe(first);
  await page.keyboard.press("k");
  expect(await focused()).toBe(first);
});

test("a denial leads to its chain", async ({ page }) => {
  await openOverview(page);
  // Risk denies something in every session of the demo.
  const denied = page.locator("#alerts a[href^='/events/chain/']").first();
  await pauseWith(page, denied, 60_000);
  await denied.click();
  await page.waitForURL(/\/events\/chain\//);
  await expect(page.locator("#chain")).toContainText(/denied/i);
});

test("the newest articles stand with their symbols, source and sentiment", async ({ page }) => {
  await openOverview(page);
  const article = page.locator("#news tbody tr", { hasText: "ACMEX wins the best prize" });
  await expect(article.locator("td[data-label='Symbols'] a")).toHaveText("ACMEX");
  await expect(article.locator("td[data-label='Source']")).toContainText("alpaca");
  await expect(article.locator(".badge-gain")).toHaveText(/\+0\.\d\d/);
  await expect(article.locator("th a")).toHaveAttribute("href", "https://news.example/3");
});

test("an alert of the monitor leads to what it measured", async ({ page }) => {
  await openOverview(page);
  // A strategy of the demo that buys more and more comes near a limit sooner or later.
  const alert = page.locator("#alerts a[href*='#monitor']").first();
  await pauseWith(page, alert, 80_000);
  await alert.click();
  await page.waitForURL(/\/positions\?account=\w+#monitor$/);
  await expect(page.locator("#monitor")).toBeInViewport();
  await expect(page.locator("#monitor")).toContainText("Gross exposure");
});

// Positions & risk: what every page must pass, and what is its own: sums, limits, denials, halts, the past.
import { expect, test, type Page } from "@playwright/test";
import { checkPage } from "./checks";
import { openOverview, openPage } from "./support";

checkPage("Positions", { path: "/positions", ready: "#positions-held tbody tr" });
checkPage("Positions of the past", { path: "/positions?as_of=seq:40", live: false });

const open = async (page: Page): Promise<void> => {
  await openPage(page, "/positions");
  await expect(page.locator("#positions-held tbody tr").first()).toBeVisible({ timeout: 30_000 });
};

/** A sum of decimal strings at 1e-9, exact. */
function sum(values: string[]): bigint {
  return values.map(nano).reduce((a, b) => a + b, 0n);
}

function nano(text: string): bigint {
  const [whole = "0", fraction = ""] = text.replace("-", "").split(".");
  const value = BigInt(whole) * 1_000_000_000n + BigInt(fraction.padEnd(9, "0"));
  return text.startsWith("-") ? -value : value;
}

test("totals equal the sum of the rows, and both tables say the same", async ({ page }) => {
  await open(page);
  // The tables come one after the other: a pause between them shows two moments, and the next one need not.
  let torn = false;
  await expect(async () => {
    await page.locator("#pause").click();
    const totals: Record<string, string[]> = {};
    for (const table of ["#positions-held", "#positions-netted"]) {
      for (const figure of ["data-unrealized", "data-realized", "data-fifo-unrealized", "data-fifo-realized", "data-exposure", "data-fees"]) {
        // In one go, so that no update comes between.
        const { rows, total } = await page.locator(table).evaluate((panel, name) => {
          const of = (selector: string): string[] =>
            [...panel.querySelectorAll(selector)].map((row) => row.getAttribute(name) ?? "");
          return { rows: of("tbody tr"), total: of("tfoot tr")[0] ?? "" };
        }, figure);
        torn ||= nano(total) !== sum(rows);
        if (figure !== "data-exposure") (totals[figure] ??= []).push(total);
      }
    }
    await page.locator("#pause").click();
    for (const [held, netted] of Object.values(totals)) expect(held).toBe(netted);
  }).toPass({ timeout: 30_000 });
  // Within one table there is no excuse.
  expect(torn).toBe(false);
});

test("limits show what is used of most", async ({ page }) => {
  await open(page);
  for (const rule of ["daily_loss", "max_order_value", "max_position", "max_exposure"]) {
    await expect(page.locator(`#limit-${rule} progress`)).toBeVisible();
  }
  const exposure = Number(await page.locator("#limit-max_exposure progress").getAttribute("value"));
  expect(exposure).toBeGreaterThan(0);
});

test("a breach names its rule and links to its chain", async ({ page }) => {
  await openPage(page, "/positions");
  const breach = page.locator("#breaches tbody tr").first();
  await expect(breach).toBeVisible({ timeout: 60_000 });
  await page.locator("#pause").click();
  const rule = (await breach.getAttribute("data-rule")) ?? "";
  expect(rule).not.toBe("");
  await expect(breach.locator("a[data-open]")).toHaveAttribute("href", /^\/events\/chain\/[0-9a-f-]+$/);
  await page.locator("#breach-rule").selectOption(rule);
  await page.locator("#breaches form button").click();
  await page.waitForURL((url) => url.searchParams.get("rule") === rule);
  const rules = await page.locator("#breaches tbody tr").evaluateAll((rows) => rows.map((row) => row.getAttribute("data-rule")));
  expect(new Set(rules)).toEqual(new Set([rule]));
});

test("one account is halted with its word and resumed", async ({ page }) => {
  await open(page);
  await page.locator("#form-account-halt input[name=word]").fill("HALT");
  await page.locator("#form-account-halt button").click();
  await expect(page.locator("#account-state")).toHaveText("REDUCE-ONLY");
  await page.locator("#form-account-resume input[name=word]").fill("RESUME");
  await page.locator("#form-account-resume button").click();
  await expect(page.locator("#account-state")).toHaveText("NORMAL");
});

test("a limit is stated on the page, shows what is used of it, and ends", async ({ page }) => {
  await open(page);
  const state = async (value: string): Promise<void> => {
    await page.locator("#limit-name").selectOption("max_gross_exposure");
    await page.locator("#limit-value").fill(value);
    await page.locator("#form-limit button").click();
  };
  await state("much");
  await expect(page.locator("#notice .bad")).toContainText("max_gross_exposure=much");
  await state("90000000");
  await expect(page.locator("#scoped-limits .bars")).toContainText("max gross exposure");
  await expect(page.locator("#scoped-limits progress").first()).toBeVisible();
  await state("none");
  await expect(page.locator("#scoped-limits .bars")).not.toContainText("max gross exposure");
});

test("the kill switch needs its typed word, stops a strategy and is released", async ({ page }) => {
  await open(page);
  const form = page.locator("#form-kill");
  const option = form.locator("#kill-of option[value^='strategy:']").first();
  const of = (await option.getAttribute("value")) ?? "";
  await form.locator("#kill-of").selectOption(of);
  await form.locator("#kill-word").fill("kill it");
  await expect(form.locator("button")).toHaveAttribute("aria-disabled", "true");
  await form.locator("#kill-word").press("Enter");
  await expect(page.locator("#notice .bad")).toContainText("KILL");
  await expect(page.locator("#stops [data-by=kill]")).toHaveCount(0);
  await form.locator("#kill-of").selectOption(of);
  await form.locator("#kill-word").fill("KILL");
  await form.locator("button").click();
  await expect(page.locator("#stops [data-by=kill]")).toContainText(of.replace("strategy:", ""));
  await expect(page.locator("#risk-state")).toHaveText("NORMAL");
  const release = page.locator("#stops [data-by=kill] form");
  await release.locator("input[name=word]").fill("RESUME");
  await release.locator("button").click();
  await expect(page.locator("#stops [data-by=kill]")).toHaveCount(0);
});

test("the monitor shows exposure and risk by strategy, sector and symbol", async ({ page }) => {
  await open(page);
  await expect(page.locator("#monitor tbody tr").first()).toBeVisible({ timeout: 60_000 });
  await expect(page.locator("#monitor")).toContainText("VaR 95 %");
  const sector = page.locator("#m-sector-unknown");
  await expect(sector).toBeVisible();
  for (const label of ["Largest position", "Profit and loss", "Drawdown", "VaR", "CVaR", "Correlation"]) {
    await expect(sector.locator(`[data-label="${label}"]`)).not.toBeEmpty();
  }
});

test("the slider leads to the past and along it, and back to the present", async ({ page }) => {
  await open(page);
  const slider = page.locator("[data-timeline] input[type=range]");
  await slider.focus();
  await page.keyboard.press("Home");
  await page.waitForURL(/as_of=seq%3A1$/);
  await expect(page.locator("html")).toHaveAttribute("data-live", "past");
  await expect(page.locator("#past-label")).toContainText("Past");
  await expect(page.locator("#positions-held")).toContainText("Flat");
  await expect(page.locator("main form[method=post]")).toHaveCount(0);
  // To the end of the line as it was when the page was opened: what is held then is held.
  await page.locator("[data-timeline] input[type=range]").focus();
  await page.keyboard.press("End");
  await expect(page.locator("#positions-held tbody tr").first()).toBeVisible();
  expect(new URL(page.url()).searchParams.get("as_of")).toMatch(/^seq:\d+$/);
  // A page of the past stays as it is.
  const held = await page.locator("#positions-held").innerHTML();
  await page.getByRole("link", { name: "Back to live" }).click();
  await expect(page.locator("html")).toHaveAttribute("data-live", "live");
  expect(held).not.toBe("");
});

test("the same moment looks the same twice, on the Overview too", async ({ page }) => {
  await open(page);
  const head = await page.locator("[data-timeline] input[type=range]").getAttribute("max");
  const seen: string[] = [];
  for (let round = 0; round < 2; round += 1) {
    await openPage(page, `/positions?as_of=seq:${head}`, false);
    seen.push((await page.locator("#positions-held table").textContent()) ?? "");
    await openPage(page, `/?as_of=seq:${head}`, false);
    seen.push((await page.locator("#tiles").textContent()) ?? "");
    await openOverview(page);
  }
  expect(seen[0]).toBe(seen[2]);
  expect(seen[1]).toBe(seen[3]);
});

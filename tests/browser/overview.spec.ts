// The Overview at both widths and in both themes: readable, reachable, silent.
import { expect, test, type Page } from "@playwright/test";
import { complaints, openOverview, violations } from "./support";

const WIDTHS = [390, 1440];
const THEMES = ["dark", "light"] as const;

for (const width of WIDTHS) {
  for (const theme of THEMES) {
    test.describe(`${width} px, ${theme}`, () => {
      test.use({ viewport: { width, height: 900 }, colorScheme: theme });

      test("has no accessibility violation and no complaint", async ({ page }) => {
        const found = complaints(page);
        await openOverview(page);
        await expect(page.locator("#orders tbody tr").first()).toBeAttached({ timeout: 30_000 });
        // Judged while it stands still: a row replaced under the judge would be no violation.
        await page.locator("#pause").click();
        await page.locator("details.as-table summary").click();
        expect(await violations(page)).toEqual([]);
        expect(found).toEqual([]);
      });

      test("does not scroll sideways", async ({ page }) => {
        await openOverview(page);
        await expect(page.locator("#orders tbody tr").first()).toBeAttached({ timeout: 30_000 });
        const { content, view } = await page.evaluate(() => ({
          content: document.documentElement.scrollWidth,
          view: document.documentElement.clientWidth,
        }));
        expect(content).toBeLessThanOrEqual(view);
      });

      test("lets Tab reach every control, with the focus in sight", async ({ page }) => {
        await openOverview(page);
        await page.locator("#pause").click();
        const missed = await walk(page);
        expect(missed).toEqual({ unreached: [], invisible: [] });
      });
    });
  }
}

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

/** Presses Tab through the page; tells which controls were never reached or showed no focus. */
async function walk(page: Page): Promise<{ unreached: string[]; invisible: string[] }> {
  const total = await page.evaluate(() => {
    const controls = document.querySelectorAll<HTMLElement>("a[href], button, input:not([type=hidden]), select, summary");
    const shown = [...controls].filter((element) => element.checkVisibility() && element.closest("dialog:not([open])") === null);
    shown.forEach((element, index) => element.setAttribute("data-walk", String(index)));
    return shown.length;
  });
  const reached = new Set<string>();
  const invisible: string[] = [];
  for (let step = 0; step < total * 2 + 5 && reached.size < total; step += 1) {
    await page.keyboard.press("Tab");
    const focus = await page.evaluate(() => {
      const element = document.activeElement;
      if (!(element instanceof HTMLElement) || element === document.body) return null;
      const style = getComputedStyle(element);
      const box = element.getBoundingClientRect();
      return {
        walk: element.dataset["walk"] ?? "",
        name: `${element.tagName.toLowerCase()}#${element.id} ${element.textContent?.trim().slice(0, 30) ?? ""}`,
        ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
        inSight: box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
      };
    });
    if (!focus) continue;
    if (focus.walk !== "") reached.add(focus.walk);
    if (!focus.ring || !focus.inSight) invisible.push(focus.name);
  }
  const unreached = await page.evaluate(
    (seen) =>
      [...document.querySelectorAll<HTMLElement>("[data-walk]")]
        .filter((element) => !seen.includes(element.dataset["walk"] ?? ""))
        .map((element) => element.outerHTML.slice(0, 120)),
    [...reached],
  );
  return { unreached, invisible };
}

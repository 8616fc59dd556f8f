// What every page must pass, declared once: a page's spec calls `checkPage` with its path.
import { gzipSync } from "node:zlib";
import { expect, test, type APIRequestContext, type Page } from "@playwright/test";
import { complaints, openPage, violations } from "./support";

/** Widths of windows, with the theme that a page is opened in to be looked at, and the other one. */
const WINDOWS = [
  { width: 390, theme: "dark", other: "light" },
  { width: 1440, theme: "light", other: "dark" },
] as const;
const HEIGHT = 900;
const SCRIPT_BYTES_MAX = 120 * 1024;
const FIRST_PAINT_MS_MAX = 1_000;
const SHIFT_MAX = 0.1;

interface Shift {
  value: number;
  hadRecentInput: boolean;
  sources: { node: Node | null }[];
}

export interface Checked {
  /** Path of the page, or how to find it once the demo has something to show. */
  path: string | ((page: Page) => Promise<string>);
  /** What must be there before the page is judged; nothing when it is not given. */
  ready?: string;
  /** Opens what a reader might open: details, dialogs. */
  prepare?: (page: Page) => Promise<void>;
  /** Whether the page's data is live; a page of the past is not. */
  live?: boolean;
}

/** Declares the tests that every page must pass. */
export function checkPage(name: string, checked: Checked): void {
  const open = async (page: Page): Promise<void> => {
    const path = typeof checked.path === "string" ? checked.path : await checked.path(page);
    await openPage(page, path, checked.live ?? true);
    if (checked.ready) await expect(page.locator(checked.ready).first()).toBeAttached({ timeout: 30_000 });
    // Judged while it stands still: a row replaced under the judge would be no violation.
    if (checked.live ?? true) await page.locator("#pause").click();
    await checked.prepare?.(page);
  };

  for (const { width, theme, other } of WINDOWS) {
    test.describe(`${name} at ${width} px`, () => {
      test.use({ viewport: { width, height: HEIGHT }, colorScheme: theme });

      test("paints within a second, stays where it is and complains of nothing", { tag: "@timed" }, async ({ page }) => {
        const found = complaints(page);
        // In the other theme than below: so a page is opened in both at each width.
        await page.emulateMedia({ colorScheme: other });
        await watchShifts(page);
        await open(page);
        // What is asked for may be there before it was painted.
        const painted = await page.waitForFunction(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
        expect(await painted.jsonValue()).toBeLessThan(FIRST_PAINT_MS_MAX);
        expect(await page.evaluate(() => (window as unknown as { shift: number }).shift)).toBeLessThan(SHIFT_MAX);
        expect(found).toEqual([]);
      });

      test("has no accessibility violation, no complaint and no sideways scroll, loads little script, and lets Tab reach every control in sight", {
        tag: "@look",
      }, async ({ page, request }) => {
        const found = complaints(page);
        await open(page);
        for (const colorScheme of [theme, other]) {
          await page.emulateMedia({ colorScheme });
          expect(await violations(page), colorScheme).toEqual([]);
          expect(await sideways(page), colorScheme).toEqual([]);
        }
        const bytes = await scriptBytes(page, request);
        expect(bytes).toBeGreaterThan(0);
        expect(bytes).toBeLessThanOrEqual(SCRIPT_BYTES_MAX);
        expect(await walk(page)).toEqual({ unreached: [], invisible: [] });
        expect(found).toEqual([]);
      });
    });
  }
}

/** Sums up, from the first paint on, by how much what is there moves without anybody's doing. */
async function watchShifts(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const shifts = window as unknown as { shift: number };
    shifts.shift = 0;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as unknown as Shift[]) {
        // New rows move those below them: that is what a live list does, and all that it may do.
        const listed = entry.sources.some(({ node }) => (node instanceof Element ? node : node?.parentElement)?.closest("[data-refetch]"));
        if (!entry.hadRecentInput && !listed) shifts.shift += entry.value;
      }
    }).observe({ type: "layout-shift", buffered: true });
  });
}

/** The page's own scripts, its worker counted in, as they come over the wire. */
async function scriptBytes(page: Page, request: APIRequestContext): Promise<number> {
  const scripts = await page.evaluate(() => {
    const own = [...document.querySelectorAll<HTMLScriptElement>("script[src]")].map((script) => script.src);
    const worker = document.querySelector<HTMLMetaElement>("meta[name=tapedeck-worker]")?.content;
    return worker ? [...own, worker] : own;
  });
  let bytes = 0;
  for (const path of scripts) bytes += gzipSync(await (await request.get(path)).body()).length;
  return bytes;
}

/** Elements that stick out of the page to the right; none when it does not scroll sideways. */
async function sideways(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const view = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= view) return [];
    // What a box of its own scrolls or cuts off makes no page wider.
    const contained = (element: Element): boolean => {
      for (let box = element.parentElement; box && box !== document.body; box = box.parentElement) {
        if (getComputedStyle(box).overflowX !== "visible") return true;
      }
      return false;
    };
    const out = (element: Element): boolean => element.getBoundingClientRect().right > view + 1;
    const wide = [...document.querySelectorAll("body *")].filter((element) => out(element) && !contained(element));
    const named = wide.slice(0, 5).map((element) => element.outerHTML.slice(0, 100));
    return [`${document.documentElement.scrollWidth} px wide`, ...named];
  });
}

/** Presses Tab through the page; tells which controls were never reached or showed no focus. */
export async function walk(page: Page): Promise<{ unreached: string[]; invisible: string[] }> {
  const total = await page.evaluate(() => {
    const controls = document.querySelectorAll<HTMLElement>(
      "a[href], button:not(:disabled), input:not([type=hidden]):not(:disabled), select:not(:disabled), summary",
    );
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

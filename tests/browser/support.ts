// What the browser tests share.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { expect, type Locator, type Page } from "@playwright/test";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

/** The directory of the system under test. */
export function testHome(): string {
  const home = process.env["TAPEDECK_TEST_HOME"];
  if (!home) throw new Error("TAPEDECK_TEST_HOME: expected the directory of the running system");
  return home;
}

/** Collects whatever the page complains about. */
export function complaints(page: Page): string[] {
  const found: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") found.push(`${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => found.push(`uncaught: ${error.message}`));
  return found;
}

/** Opens a page and waits until it is live; one of the past never is. */
export async function openPage(page: Page, path: string, live = true): Promise<void> {
  await page.goto(path);
  await expect(page.locator(live ? "html[data-live=live]" : "html[data-live=past][data-script=on]")).toBeAttached();
}

/** Opens the Overview and waits until it is live. */
export async function openOverview(page: Page): Promise<void> {
  await openPage(page, "/");
}

/** Holds the page still with `wanted` on it: what comes and goes by itself may have gone by the time of the pause. */
export async function pauseWith(page: Page, wanted: Locator, timeout: number): Promise<void> {
  await expect(async () => {
    await expect(wanted).toBeVisible({ timeout });
    await page.locator("#pause").click();
    if (await wanted.isVisible()) return;
    await page.locator("#pause").click();
    throw new Error("it went while the page was being paused");
  }).toPass({ timeout });
}

/** Presses `g` and the letter of a page, and waits until that page has its script. */
export async function go(page: Page, letter: string): Promise<void> {
  // Without the mark of the page that is left: what is waited for is the mark of the next one.
  await page.locator("html").evaluate((root) => root.removeAttribute("data-script"));
  // By the keyboard alone: the second key counts for a moment only.
  await page.keyboard.press("g");
  await page.keyboard.press(letter);
  await expect(page.locator("html[data-script=on]")).toBeAttached();
}

/** The violations of WCAG 2.2 AA, as lines that name rule and element. */
export async function violations(page: Page): Promise<string[]> {
  // Evaluated by the test, not by the page, whose policy would refuse it; once for a page that is judged twice.
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(axe);
  return page.evaluate(async (tags) => {
    const run = (window as unknown as { axe: { run(node: Document, options: object): Promise<AxeResult> } }).axe;
    interface AxeResult {
      violations: { id: string; help: string; nodes: { target: string[]; failureSummary?: string }[] }[];
    }
    const result = await run.run(document, { runOnly: { type: "tag", values: tags }, resultTypes: ["violations"] });
    return result.violations.flatMap(({ id, help, nodes }) =>
      nodes.map((node) => `${id}: ${help}: ${node.target.join(" ")}: ${node.failureSummary ?? ""}`),
    );
  }, TAGS);
}

/** The live version of the whole page. */
export async function version(page: Page): Promise<number> {
  return Number(await page.locator("html").getAttribute("data-v"));
}

/** Types the word and presses the button of the halt, unless it is in the wanted state already. */
export async function switchTrading(page: Page, to: "REDUCE-ONLY" | "NORMAL"): Promise<void> {
  const [form, word] = to === "REDUCE-ONLY" ? ["#form-halt", "HALT"] : ["#form-resume", "RESUME"];
  if ((await page.locator("#halt-state").textContent())?.trim() === to) return;
  await page.locator(`${form} input[name=word]`).fill(word);
  await page.locator(`${form} button[type=submit]`).click();
  await expect(page.locator("#halt-state")).toHaveText(to);
}

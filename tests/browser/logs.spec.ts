// Logs: filters, the tail that follows and pauses, and a thousand lines a second.
import { expect, test, type Page } from "@playwright/test";
import { checkPage } from "./checks";
import { openPage } from "./support";

checkPage("Logs", { path: "/logs", ready: "#log-lines li" });

const LINES = "#log-lines li";

test("filters live in the address, and what they leave out is not there", async ({ page }) => {
  await openPage(page, "/logs");
  await expect(page.locator(LINES).first()).toBeVisible();
  await page.locator("[name=service]").selectOption("web");
  await page.getByRole("button", { name: "Apply" }).click();
  await expect(page).toHaveURL(/\/logs\?service=web$/);
  await expect(page.locator(`${LINES} .log-service`).first()).toHaveText("web");
  expect(new Set(await page.locator(`${LINES} .log-service`).allTextContents())).toEqual(new Set(["web"]));
  await page.locator("[name=text]").fill("nothing says this");
  await page.getByRole("button", { name: "Apply" }).click();
  await expect(page.locator("#log-empty")).toContainText("No match");
  await page.getByRole("link", { name: "Clear the filters" }).click();
  await expect(page).toHaveURL(/\/logs$/);
});

test("a download holds the lines of the filter", async ({ page, request }) => {
  await openPage(page, "/logs?service=web");
  const ndjson = await (await request.get((await page.getByText("Download NDJSON").getAttribute("href")) ?? "")).text();
  const rows = ndjson.trim().split("\n").map((line) => JSON.parse(line) as { service: string });
  expect(rows.length).toBeGreaterThan(0);
  expect(rows.every((row) => row.service === "web")).toBe(true);
});

/** Sequence of the first line of a flood. */
const FIRST = 10_000_000;

/** Stands in for the server: so many lines at once, and `rate` more a second from now on, as the page asks for them. */
async function flood(page: Page, rate: number, burst = 0): Promise<void> {
  const began = Date.now();
  await page.route(/\/logs\/lines(\?|$)/, async (route) => {
    const asked = new URL(route.request().url()).searchParams;
    const head = FIRST - 1 + burst + Math.floor(((Date.now() - began) / 1_000) * rate);
    const after = Math.max(FIRST - 1, Number(asked.get("after") ?? head - 1_000));
    if (asked.has("count")) return route.fulfill({ body: String(Math.min(head - after, 10_000)) });
    const lines = Array.from({ length: Math.min(head - after, 1_000) }, (_, index) => {
      const number = after + 1 + index;
      return `<li id="log-${number}" data-seq="${number}"><span class="num"><time datetime="2026-01-06T14:30:00.000Z" data-form="full"></time></span> <span class="log-level muted">INFO</span> <span class="log-service">risk</span> <span class="log-message">line ${number} of a flood, with a text as long as such lines are</span> <span class="log-fields">lag=${index} run=0123456789abcdef</span></li>`;
    });
    return route.fulfill({ body: lines.join("\n"), contentType: "text/html", headers: { "x-last": String(after + lines.length) } });
  });
  // The stream tells of news ten times a second.
  await page.evaluate(() => {
    setInterval(() => document.dispatchEvent(new CustomEvent("live:nudge", { detail: "logs" })), 100);
  });
}

test("scrolling away pauses the tail and counts what is new; the end follows again", async ({ page }) => {
  await openPage(page, "/logs");
  await flood(page, 200);
  const follow = page.locator("#log-follow");
  await expect.poll(() => page.locator(LINES).count()).toBeGreaterThan(300);
  await expect(follow).toHaveText("Following");
  await page.locator("#log-lines").hover();
  await page.mouse.wheel(0, -600);
  await expect(follow).toHaveText(/^[1-9][\d,]* new$/);
  const held = await page.locator(LINES).count();
  const top = await page.locator("#log-lines").evaluate((list) => list.scrollTop);
  const before = Number((await follow.textContent())?.replace(/\D/g, ""));
  await expect.poll(async () => Number((await follow.textContent())?.replace(/\D/g, ""))).toBeGreaterThan(before);
  expect(await page.locator(LINES).count()).toBe(held);
  expect(await page.locator("#log-lines").evaluate((list) => list.scrollTop)).toBe(top);
  await page.locator("#log-bottom").click();
  await expect(follow).toHaveText("Following");
  await expect.poll(() => page.locator(LINES).count()).toBeGreaterThan(held);
  await page.locator("#log-top").click();
  await expect(follow).toHaveText(/ new$/);
  await expect.poll(() => page.locator("#log-lines").evaluate((list) => list.scrollTop)).toBe(0);
});

test("lines wrap or do not, and that is remembered", async ({ page }) => {
  await openPage(page, "/logs");
  await page.locator("#log-wrap").click();
  await expect(page.locator("#log-lines")).toHaveClass(/log-nowrap/);
  await page.reload();
  await expect(page.locator("#log-wrap")).toHaveAttribute("aria-pressed", "false");
  await page.locator("#log-wrap").click();
});

test("a thousand lines a second keep input below 200 ms, and at most a thousand lines are kept", { tag: "@timed" }, async ({ page }) => {
  await openPage(page, "/logs");
  await flood(page, 1_000);
  await expect.poll(() => page.locator(LINES).count(), { timeout: 30_000 }).toBe(1_000);
  const delays = await page.locator("[name=text]").evaluate(async (input: HTMLInputElement) => {
    input.focus();
    const seen: number[] = [];
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as unknown as { processingStart: number; startTime: number }[]) {
        seen.push(entry.processingStart - entry.startTime);
      }
    }).observe({ type: "event", durationThreshold: 16, buffered: false } as PerformanceObserverInit);
    (window as unknown as { delays: number[] }).delays = seen;
    return seen.length;
  });
  expect(delays).toBe(0);
  const waits: number[] = [];
  for (const letter of "typing while lines come") {
    const began = Date.now();
    await page.keyboard.press(letter === " " ? "Space" : letter);
    waits.push(Date.now() - began);
  }
  await expect(page.locator("[name=text]")).toHaveValue("typing while lines come");
  const observed = await page.evaluate(() => (window as unknown as { delays: number[] }).delays);
  expect(Math.max(0, ...observed)).toBeLessThan(200);
  expect(Math.max(...waits)).toBeLessThan(400);
  expect(await page.locator(LINES).count()).toBeLessThanOrEqual(1_000);
});

test("of a burst only the newest thousand lines are put in, a few per frame", async ({ page }) => {
  await openPage(page, "/logs");
  await page.locator("#log-lines").evaluate((list, first) => {
    const turns: number[] = [];
    (window as unknown as { turns: number[] }).turns = turns;
    new MutationObserver((records) => {
      const added = records.flatMap((record) => [...record.addedNodes]);
      const lines = added.filter((node) => node instanceof HTMLElement && Number(node.dataset["seq"]) >= first);
      if (lines.length > 0) turns.push(lines.length);
    }).observe(list, { childList: true });
  }, FIRST);
  await flood(page, 0, 5_000);
  await expect(page.locator(LINES).last()).toHaveAttribute("data-seq", String(FIRST + 4_999));
  await expect(page.locator(LINES)).toHaveCount(1_000);
  await expect(page.locator(LINES).first()).toHaveAttribute("data-seq", String(FIRST + 4_000));
  await expect(page.locator("#log-skipped")).toHaveText("4,000 or more lines skipped");
  const turns = await page.evaluate(() => (window as unknown as { turns: number[] }).turns);
  expect(turns.reduce((sum, lines) => sum + lines, 0)).toBe(1_000);
  expect(Math.max(...turns)).toBeLessThanOrEqual(50);
});

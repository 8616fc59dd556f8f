// Strategies: what every page must pass, and what is its own: switches that take effect at once, credentials
// that are shown once, a removal that needs the name.
import { expect, test, type Page } from "@playwright/test";
import { checkPage } from "./checks";
import { openPage, violations } from "./support";

const NAME = "swing_test";

checkPage("Strategies", { path: "/strategies", ready: "#strategies-table tbody tr" });
checkPage("one strategy", { path: "/strategies/sma_cross", ready: "#parameter-fast" });

interface Strategy {
  name: string;
  state: string;
  external: boolean;
  signals: number;
  orders: number;
  fills: number;
  hit_rate: number | null;
  last_signal: { sequence: number } | null;
}

const strategies = async (page: Page): Promise<Strategy[]> => {
  const answer = await page.request.get("/api/v1/strategies");
  expect(answer.ok()).toBe(true);
  return ((await answer.json()) as { rows: Strategy[] }).rows;
};

const strategy = async (page: Page, name: string): Promise<Strategy> => {
  const found = (await strategies(page)).find((one) => one.name === name);
  if (!found) throw new Error(`no strategy ${name}`);
  return found;
};

/** The strategy that has signalled most: the one whose silence says the most. */
const busiest = async (page: Page): Promise<Strategy> => {
  const [first] = (await strategies(page)).filter((one) => !one.external).sort((a, b) => b.signals - a.signals);
  if (!first) throw new Error("the demo has no strategy");
  return first;
};

const row = (page: Page, name: string) => page.locator(`#s-${name}`);

interface Message {
  sequence: number;
  recorded_time_ns: number;
  summary: string;
}

/** The last message of TRADING under a subject. */
const last = async (page: Page, subject = ""): Promise<Message> => {
  const filter = subject === "" ? "" : `&subject=${encodeURIComponent(subject)}`;
  const answer = await page.request.get(`/api/v1/events?stream=TRADING&limit=1${filter}`);
  const [row] = ((await answer.json()) as { rows: Message[] }).rows;
  if (!row) throw new Error(`nothing under ${subject}`);
  return row;
};

const MS = 1_000_000;

/** The market goes on for a while after a message: others may signal, a strategy that was stopped does not. */
const goesOn = (page: Page, { sequence, recorded_time_ns }: Message): Promise<void> =>
  expect
    .poll(async () => {
      const head = await last(page);
      return head.sequence > sequence + 300 && head.recorded_time_ns - recorded_time_ns > 3_000 * MS;
    }, { timeout: 60_000 })
    .toBe(true);

test("disable stops a strategy's signals within a second, enable lets them on", { tag: "@timed" }, async ({ page }) => {
  await openPage(page, "/strategies");
  await expect.poll(async () => (await busiest(page)).signals, { timeout: 60_000 }).toBeGreaterThan(0);
  const { name } = await busiest(page);
  await expect(row(page, name)).toHaveAttribute("data-state", /paper|shadow/);
  // Held still, so that the question is the one that was read: whether it holds something changes from bar to bar.
  await page.locator("#pause").click();
  await page.locator(`#stop-${name} summary`).click();
  const fate = page.locator(`#form-disable-${name} select[name=positions]`);
  if (await fate.isVisible()) await fate.selectOption("flatten");
  await page.locator(`#form-disable-${name} button`).click();
  await expect(page.locator("#notice .good")).toContainText("stops");
  await page.locator("#pause").click();
  await expect(row(page, name)).toHaveAttribute("data-state", "disabled");
  const disabled = await last(page, `control.strategy.${name}.disabled`);
  await goesOn(page, disabled);
  const signal = await last(page, `signal.${name}.>`);
  console.log(`last signal ${(signal.recorded_time_ns - disabled.recorded_time_ns) / MS} ms after disabling`);
  expect(signal.recorded_time_ns - disabled.recorded_time_ns).toBeLessThan(1_000 * MS);
  const stopped = await strategy(page, name);
  expect(stopped.state).toBe("disabled");
  await row(page, name).getByRole("button", { name: /^Enable paper/ }).click();
  await expect(row(page, name)).toHaveAttribute("data-state", "paper");
  await expect.poll(async () => (await strategy(page, name)).signals, { timeout: 80_000 }).toBeGreaterThan(stopped.signals);
});

test("stopping a strategy that holds something asks what becomes of it; kept, it closes and opens nothing", { tag: "@timed" }, async ({ page }) => {
  // The busiest that holds something: of one that seldom signals, silence would say little.
  const holding = async (): Promise<string | undefined> => {
    const answer = await page.request.get("/api/v1/positions");
    const held = ((await answer.json()) as { rows: { strategy: string }[] }).rows.map((position) => position.strategy);
    const holders = (await strategies(page)).filter(({ name, external }) => !external && held.includes(name));
    return holders.sort((a, b) => b.signals - a.signals)[0]?.name;
  };
  await openPage(page, "/strategies");
  await expect.poll(holding, { timeout: 80_000 }).toBeTruthy();
  const name = (await holding()) ?? "";
  await page.locator(`#stop-${name} summary`).click();
  const form = page.locator(`#form-disable-${name}`);
  await form.locator("select[name=positions]").selectOption("keep");
  await form.getByRole("button", { name: /^Yes, disable/ }).click();
  await expect(page.locator("#notice .good")).toContainText("goes on to manage its positions");
  await expect(page.locator(`#stopped-${name}`)).toContainText("goes on to manage its positions");
  const disabled = await last(page, `control.strategy.${name}.disabled`);
  await goesOn(page, disabled);
  const signals = await page.request.get(`/api/v1/events?stream=TRADING&limit=200&subject=${encodeURIComponent(`signal.${name}.>`)}`);
  const since = ((await signals.json()) as { rows: Message[] }).rows.filter(
    (signal) => signal.recorded_time_ns > disabled.recorded_time_ns + 1_000 * MS,
  );
  for (const signal of since) expect(signal.summary).toMatch(/^exit /);
  await row(page, name).getByRole("button", { name: /^Enable paper/ }).click();
  await expect(row(page, name)).toHaveAttribute("data-state", "paper");
});

test("a strategy changes between paper and shadow while it runs", async ({ page }) => {
  await openPage(page, "/strategies/sma_cross");
  const state = page.locator("#strategy-state");
  const ask = page.locator("#shadow-sma_cross summary");
  const shadow = page.locator("#form-shadow-sma_cross");
  const paper = page.locator("#form-paper-sma_cross button");
  if (await paper.isVisible()) await paper.click();
  await expect(state).toHaveText("paper");
  // Held still: whether it holds something changes from bar to bar, and with it the question.
  await page.locator("#pause").click();
  await ask.click();
  await shadow.locator("select[name=positions]").selectOption("flatten");
  await shadow.getByRole("button", { name: /^Yes, shadow/ }).click();
  await expect(page.locator("#notice .good")).toContainText("closed at the market");
  await page.locator("#pause").click();
  await expect(state).toHaveText("shadow");
  await paper.click();
  await expect(state).toHaveText("paper");
  await expect(page.locator("#live-refused-sma_cross")).toContainText("tapedeck live confirm");
});

test("the list tells what a strategy is given and set to, and what live needs", async ({ page }) => {
  await openPage(page, "/strategies");
  await expect(page.locator("#parameters-sma_cross")).toContainText(/fast = \d+, slow = \d+/);
  await expect(page.locator("#reads-sma_cross")).toContainText(/market\.bar\..* through strategy/);
  await page.locator("#pause").click();
  await page.locator("#live-sma_cross summary").click();
  await expect(page.locator("#live-refused-sma_cross")).toBeVisible();
  await expect(page.locator("#form-live-sma_cross")).toHaveCount(0);
});

test("the page and the API tell the same figures, and the last signal leads to its chain", async ({ page }) => {
  await openPage(page, "/strategies");
  await expect.poll(async () => (await busiest(page)).last_signal, { timeout: 60_000 }).not.toBeNull();
  const { name } = await busiest(page);
  await openPage(page, `/strategies/${name}`);
  await expect
    .poll(async () => {
      const shown = await page.locator("[data-figure=signals]").textContent();
      return Number(shown?.replaceAll(",", "")) - (await strategy(page, name)).signals;
    })
    .toBe(0);
  await openPage(page, "/strategies");
  await page.locator("#pause").click();
  await row(page, name).locator("a[href^='/events/chain/']").click();
  await expect(page.locator(".chain").first()).toBeVisible();
});

test("register shows credentials once, and remove needs the name", async ({ page }) => {
  if ((await strategies(page)).some((one) => one.name === NAME && one.state !== "removed")) {
    throw new Error(`${NAME} is left over from an earlier run`);
  }
  await openPage(page, "/strategies");
  const form = page.locator("#form-register");
  await form.locator("input[name=name]").fill(NAME);
  await form.locator("input[name=subjects]").fill("order.>");
  await form.getByRole("button", { name: "Register" }).click();
  await expect(page.locator("#notice .bad")).toContainText("subjects");
  expect((await strategies(page)).some((one) => one.name === NAME && one.state !== "removed")).toBe(false);

  await form.locator("input[name=subjects]").fill("market.bar.1h.SPY");
  await form.getByRole("button", { name: "Register" }).click();
  const told = page.locator("#credentials pre").first();
  await expect(told).toContainText(`strategy-${NAME}`);
  const credentials = JSON.parse((await told.textContent()) ?? "") as Record<string, string>;
  expect(Object.keys(credentials)).toEqual(["strategy", "account", "url", "user", "password", "consumer", "inbox_prefix"]);
  expect(credentials["password"]).toMatch(/\S{16}/);
  await expect(row(page, NAME)).toHaveAttribute("data-state", "disabled");
  await page.locator("#pause").click();
  expect(await violations(page)).toEqual([]);

  // Never again, neither here nor anywhere else.
  for (const path of ["/strategies", `/strategies/${NAME}`, "/api/v1/strategies", `/api/v1/strategies/${NAME}`]) {
    expect(await (await page.request.get(path)).text()).not.toContain(credentials["password"]);
  }
  await page.reload();
  await expect(page.locator("#credentials")).toBeEmpty();

  await row(page, NAME).locator("a[data-open]").click();
  await page.waitForURL(`**/strategies/${NAME}`);
  await expect(page.locator("html[data-live=live]")).toBeAttached();
  const remove = page.locator("#form-remove");
  await remove.locator("input[name=word]").fill("REMOVE");
  await expect(remove.locator("button")).toHaveAttribute("aria-disabled", "true");
  await remove.locator("input[name=word]").press("Enter");
  await expect(page.locator("#notice .bad")).toContainText(NAME);
  await expect(page.locator("#strategy-state")).toHaveText("disabled");
  await remove.locator("input[name=word]").fill(NAME);
  await expect(remove.locator("button")).toHaveAttribute("aria-disabled", "false");
  await remove.locator("button").click();
  await expect(page.locator("#strategy-state")).toHaveText("removed");
  expect((await strategy(page, NAME)).state).toBe("removed");
});

test("the Overview leads here", async ({ page }) => {
  await openPage(page, "/");
  await page.locator("#pause").click();
  await page.locator("#strategies tbody a[data-open]").first().click();
  await page.waitForURL(/\/strategies\/\w+$/);
});

// Parity and Fork: what every page must pass, and what is their own: a session that compares to the same, a fork that
// goes its own way, both on one timeline, the way from the first difference into the chain, a reload that shows it all.
import { expect, test, type Page } from "@playwright/test";
import { checkPage } from "./checks";
import { go, openPage } from "./support";

interface Run {
  run_id: string;
  status: string;
  percent: number | null;
  verdict: string | null;
  compared: number | null;
  detail: string;
  parameters: string[];
}

interface Line {
  name: string;
  points: number;
  marks: number;
}

let number = 0;

const headers = async (page: Page): Promise<Record<string, string>> => {
  const token = await page.locator("meta[name=csrf-token]").getAttribute("content");
  return { "x-csrf-token": token ?? "", "idempotency-key": `comparison-${Date.now()}-${(number += 1)}`, origin: new URL(page.url()).origin };
};

const one = async (page: Page, id: string): Promise<Run> => (await (await page.request.get(`/api/v1/comparisons/${id}`)).json()) as Run;

const ask = async (page: Page, path: string, data: object): Promise<string> => {
  const answer = await page.request.post(path, { headers: await headers(page), data });
  expect(answer.status(), await answer.text()).toBe(202);
  return ((await answer.json()) as { run_id: string }).run_id;
};

const ended = async (page: Page, id: string): Promise<Run> => {
  await expect.poll(async () => (await one(page, id)).status, { timeout: 80_000 }).toMatch(/succeeded|failed|cancelled/);
  return one(page, id);
};

/** Waits until the demo's tape has fills: before that there is nothing to compare. */
const traded = async (page: Page): Promise<void> =>
  expect
    .poll(async () => ((await (await page.request.get("/api/v1/fills?limit=20")).json()) as { rows: unknown[] }).rows.length, { timeout: 80_000 })
    .toBeGreaterThan(5);

/** Opens Parity once a session on the tape is over: the form offers the newest one, which is the answer. */
const session = async (page: Page): Promise<string> => {
  await traded(page);
  let date = "";
  await expect
    .poll(async () => {
      await openPage(page, "/parity");
      date = (await page.locator("#form-parity input[name=session]").inputValue({ timeout: 2_000 }).catch(() => "")) ?? "";
      return date;
    }, { timeout: 60_000 })
    .toMatch(/^\d{4}-\d{2}-\d{2}$/);
  return date;
};

/** Instant of the oldest of the newest fills: everything after it is forked. */
const early = async (page: Page): Promise<string> => {
  const { rows } = (await (await page.request.get("/api/v1/fills?limit=200")).json()) as { rows: { event_time_ns: number }[] };
  return new Date(Math.min(...rows.map((row) => row.event_time_ns)) / 1e6).toISOString();
};

/** Finished runs, made once. */
const made: Record<string, string> = {};
const parity = async (page: Page): Promise<string> => {
  made["parity"] ??= await ask(page, "/api/v1/parity", { session: await session(page) });
  expect((await ended(page, made["parity"])).status).toBe("succeeded");
  return `/parity/${made["parity"]}`;
};
const fork = async (page: Page): Promise<string> => {
  if (made["fork"] === undefined) {
    await traded(page);
    await openPage(page, "/fork");
    made["fork"] = await ask(page, "/api/v1/forks", { at: await early(page), limits: { paper: { max_exposure: "0.01" } } });
  }
  const run = await ended(page, made["fork"]);
  expect(run.status, run.detail).toBe("succeeded");
  return `/fork/${made["fork"]}`;
};

checkPage("Parity", { path: "/parity", ready: "#parity-runs" });
checkPage("Fork", { path: "/fork", ready: "#fork-runs" });
checkPage("a parity", { path: async (page) => `${await parity(page)}?show=all`, ready: "#sides" });
checkPage("a fork", { path: fork, ready: "#orders tbody tr" });

test("a session run again comes to what was decided live, and a reload shows it", async ({ page }) => {
  const date = await session(page);
  await page.locator("#form-parity input[name=session]").fill(date);
  await page.locator("#form-parity").getByRole("button", { name: "Compare" }).click();
  const link = page.locator("#notice a[data-run]");
  await expect(link).toBeVisible();
  const id = (await link.getAttribute("data-run")) ?? "";
  const run = await ended(page, id);
  expect(run.status, run.detail).toBe("succeeded");
  expect(run.verdict).toBe("same");
  expect(run.compared ?? 0).toBeGreaterThan(0);
  await expect(page.locator(`#run-${id}`)).toHaveAttribute("data-verdict", "same");
  await page.reload();
  await expect(page.locator(`#run-${id}`)).toHaveAttribute("data-verdict", "same");
  await openPage(page, `/parity/${id}?show=all`);
  await expect(page.locator("#verdict")).toHaveAttribute("data-verdict", "same");
  await expect(page.locator("#events tbody tr").first()).toBeVisible();
  await expect(page.getByRole("heading", { name: "First difference" })).toHaveCount(0);
});

test("a fork with another parameter goes its own way on the same timeline", async ({ page }) => {
  await traded(page);
  await openPage(page, `/fork?at=${encodeURIComponent(await early(page))}`);
  const field = page.locator("#form-fork input[name$='.fast']").first();
  const before = Number(await field.inputValue());
  await field.fill(String(before + 1));
  await page.locator("#form-fork").getByRole("button", { name: "Fork the tape" }).click();
  const link = page.locator("#notice a[data-run]");
  await expect(link).toBeVisible();
  const id = (await link.getAttribute("data-run")) ?? "";
  const seen: number[] = [];
  await expect
    .poll(async () => {
      const run = await one(page, id);
      // The read model may not know the run yet.
      if (typeof run.percent === "number") seen.push(run.percent);
      return run.status;
    }, { timeout: 80_000, intervals: [20] })
    .toBe("succeeded");
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  const run = await one(page, id);
  expect(run.parameters).toHaveLength(1);
  expect(run.verdict).toBe("differs");
  await openPage(page, `/fork/${id}`);
  await expect(page.locator("#verdict")).toHaveAttribute("data-verdict", "differs");
  const lines = async (): Promise<Line[]> => page.evaluate(() => (window.__charts["lines"]?.state() as unknown as { lines: Line[] } | undefined)?.lines ?? []);
  await expect.poll(async () => (await lines()).filter(({ points }) => points > 1).map(({ name }) => name)).toEqual(["Recorded", "Run again"]);
  await page.reload();
  await expect(page.locator("#orders tbody tr").first()).toBeVisible();
});

test("the first difference leads into the chain", async ({ page }) => {
  await openPage(page, await fork(page));
  await page.locator("#first-chain a").click();
  await expect(page).toHaveURL(/\/events\/chain\//);
  await expect(page.locator("main")).toContainText("signal");
});

test("what cannot be run again is said beside the form", async ({ page }) => {
  await session(page);
  await page.locator("#form-parity input[name=session]").fill("2020-01-01");
  await page.locator("#form-parity").getByRole("button", { name: "Compare" }).click();
  await expect(page.locator("#notice .bad")).toContainText("a day on which the exchange is open");
  // What this tape does not hold is refused by its field as well, before a run is opened for it.
  const at = await early(page);
  const wrong: [string, object, string][] = [
    ["/api/v1/parity", { session: "2010-01-04" }, "session"],
    ["/api/v1/forks", { at: "100000000" }, "at"],
    ["/api/v1/forks", { at, to: "2010-01-04T15:30:00Z" }, "to"],
    ["/api/v1/forks", { at, parameters: { nobody: { fast: "3" } } }, "parameters"],
    ["/api/v1/forks", { at, limits: { nobody: { max_position: "0.1" } } }, "limits"],
  ];
  for (const [path, data, field] of wrong) {
    const answer = await page.request.post(path, { headers: await headers(page), data });
    expect(answer.status(), await answer.text()).toBe(422);
    expect(((await answer.json()) as { field: string }).field).toBe(field);
  }
});

test("the palette and the keys lead to both pages", async ({ page }) => {
  await openPage(page, "/");
  await go(page, "a");
  await expect(page).toHaveURL(/\/parity$/);
  await go(page, "k");
  await expect(page).toHaveURL(/\/fork$/);
  const places = (await (await page.request.get("/palette.json")).json()) as { title: string }[];
  expect(places.map(({ title }) => title)).toEqual(expect.arrayContaining(["Parity", "Fork"]));
});

// System: read models with their rebuilds and verifications, and one that makes no progress.
import { execFileSync, spawn } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test, type Page } from "@playwright/test";
import { checkPage } from "./checks";
import { openPage, testHome } from "./support";

checkPage("System", { path: "/system", ready: "#p-bars" });

const job = (page: Page, task: string, name: string) =>
  page.locator(`#system-jobs tr[data-task=${task}][data-projection=${name}]`).first();

test("services, streams, the database and the checks are told", async ({ page }) => {
  await openPage(page, "/system");
  for (const service of ["ingest", "risk", "execution", "strategy", "backtest", "projector", "web"]) {
    // Beside the present instance stands one that has just ended.
    await expect(page.locator(`#system-services th`, { hasText: service }).first()).toBeVisible();
  }
  for (const stream of ["MARKET", "TRADING", "LOGS"]) await expect(page.locator(`#stream-${stream}`)).toContainText("as defined");
  await expect(page.locator("#system-database")).toContainText("Version");
  await expect(page.locator("#system-findings")).toContainText("configuration");
});

test("sources with their breakers, series with what is missing and data quality are told", async ({ page, request }) => {
  await openPage(page, "/system");
  for (const [panel, heading] of [
    ["#system-sources", "Live sources and breakers"],
    ["#system-series", "History and news"],
    ["#system-universe", "Universe"],
    ["#system-quality", "Data quality"],
  ] as const) {
    const card = page.locator("section.card", { has: page.locator(panel) });
    await expect(card.getByRole("heading")).toHaveText(heading);
    await expect(card).not.toContainText("Not available.");
  }
  // A demo streams nothing and asks no broker.
  await expect(page.locator("#system-sources")).toContainText("Nothing is streamed here.");
  expect(await (await request.get("/api/v1/sources/breakers")).json()).toEqual([]);
  // Its articles were fetched; NewsAPI has a key and was never asked.
  const news = page.locator("#filled-alpaca-ACMEX-news");
  await expect(news).toHaveAttribute("data-state", "filled");
  await expect(news.locator("td[data-label='Missing sessions']")).toHaveText("–");
  await expect(page.locator("#idle-newsapi")).toContainText("configured, neither streamed nor filled");
  await expect(page.locator("#system-quality").locator(".findings li, .state").first()).toBeVisible();
});

test("a rebuild shows how it goes and ends with the same state hash; a second one is refused", async ({ page, request }) => {
  await openPage(page, "/system");
  const rebuilt = job(page, "rebuild", "calendar");
  await page.locator("#form-rebuild-calendar button").click();
  await expect(page.locator("#notice")).toContainText("rebuild of calendar is asked for");
  await expect(rebuilt).toHaveAttribute("data-outcome", "succeeded", { timeout: 30_000 });
  await expect(rebuilt).toContainText(/built from \d+ messages up to \d+/);
  await expect(rebuilt).toContainText(/same state hash as before|it moved on meanwhile/);
  await page.locator("#form-verify-calendar button").click();
  const verified = job(page, "verify", "calendar");
  await expect(verified).toHaveAttribute("data-outcome", "succeeded", { timeout: 30_000 });
  await expect(verified).toContainText("equals the fold of");
  // Both are on the tape, with who asked.
  const jobs = (await (await request.get("/api/v1/projections/jobs")).json()) as { rows: { actor: string; outcome: string }[] };
  expect(jobs.rows.slice(0, 2).map((row) => [row.actor, row.outcome])).toEqual([["owner", "succeeded"], ["owner", "succeeded"]]);
});

test("a read model that makes no progress turns Stale within ten seconds, and recovers", { tag: "@timed" }, async ({ page }) => {
  const database = superuser();
  await openPage(page, "/system");
  await expect(page.locator("#p-bars")).toHaveAttribute("data-state", /Up to date|Catching up/);
  // Whoever reads still can; the projector's next write waits.
  const holding = "BEGIN; LOCK TABLE bars.bars IN SHARE MODE; SELECT pg_sleep(60);";
  const holder = spawn(database.psql, ["-X", "-q", database.url, "-c", holding], { stdio: "ignore" });
  try {
    await expect(page.locator("#p-bars")).toHaveAttribute("data-state", "Stale", { timeout: 10_000 });
  } finally {
    holder.kill("SIGKILL");
    execFileSync(database.psql, [
      "-X", "-q", database.url, "-c",
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()",
    ], { stdio: "ignore" });
  }
  await expect(page.locator("#p-bars")).toHaveAttribute("data-state", /Up to date|Catching up/, { timeout: 20_000 });
});

function superuser(): { psql: string; url: string } {
  const tapes = join(testHome(), "tapes");
  const running = readdirSync(tapes).map((tape) => join(tapes, tape, "running.json")).find((file) => existsSync(file));
  const folders = (process.env["PATH"] ?? "").split(":");
  const psql = folders.map((folder) => join(folder, "psql")).find((file) => existsSync(file));
  if (!running || !psql) throw new Error("expected a running tape under TAPEDECK_TEST_HOME, and psql, to hold a table");
  const { admin_url: url } = JSON.parse(readFileSync(running, "utf8")) as { admin_url: string };
  return { psql, url };
}

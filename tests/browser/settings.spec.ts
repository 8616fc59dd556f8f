// Settings: preferences, connections, configuration without secrets, licences.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "@playwright/test";
import { checkPage } from "./checks";
import { openPage, testHome } from "./support";

checkPage("Settings", {
  path: "/settings",
  ready: "#configuration",
  prepare: async (page) => page.locator("details summary", { hasText: "All packages" }).click(),
});

test("theme, times, sizes and keys are set here and kept everywhere", async ({ page }) => {
  await openPage(page, "/settings");
  await page.locator("#setting-theme").selectOption("light");
  await expect(page.locator("html")).toHaveAttribute("data-theme", "light");
  await expect(page.locator("#theme")).toHaveValue("light");
  await page.locator("#setting-zone").selectOption("utc");
  await expect(page.locator("#zone")).toHaveValue("utc");
  await page.locator("#units").selectOption("binary");
  await page.locator("#setting-keys").uncheck();
  await openPage(page, "/system");
  await expect(page.locator("#stream-MARKET data[data-size]")).toHaveText(/ [KMG]iB$/);
  await page.locator("body").press("?");
  await expect(page.locator("#help")).toBeHidden();
  await openPage(page, "/settings");
  await expect(page.locator("#units")).toHaveValue("binary");
  await expect(page.locator("#setting-keys")).not.toBeChecked();
  await page.locator("#setting-keys").check();
  // Keys rest in inputs, and the box still has the focus.
  await page.locator("h1").click();
  await page.keyboard.press("?");
  await expect(page.locator("#help")).toBeVisible();
});

test("connections to servers and vendors can be tested", async ({ page }) => {
  await openPage(page, "/settings");
  await page.locator("#form-test-nats button").click();
  await expect(page.locator("#notice")).toContainText(/NATS: nats-server .* answered in/);
  await page.locator("#form-test-postgres button").click();
  await expect(page.locator("#notice")).toContainText(/PostgreSQL: PostgreSQL .* answered in/);
  await page.locator("#form-test-yahoo button").click();
  await expect(page.locator("#notice")).toContainText(/Yahoo Finance: answered in \d+ ms: \d+ daily bars of SPY/);
  await page.locator("#form-test-newsapi button").click();
  await expect(page.locator("#notice")).toContainText(/NewsAPI: answered in \d+ ms: \d+ articles about SPY/);
});

test("a secret is in neither page nor answer", async ({ request }) => {
  const secrets: string[] = [];
  const tapes = join(testHome(), "tapes");
  for (const tape of readdirSync(tapes)) {
    secrets.push(readFileSync(join(tapes, tape, "web-secret"), "utf8").trim());
    secrets.push(...Object.values(JSON.parse(readFileSync(join(tapes, tape, "logins.json"), "utf8")) as Record<string, string>));
    const running = JSON.parse(readFileSync(join(tapes, tape, "running.json"), "utf8")) as Record<string, string | null>;
    for (const url of Object.values(running)) {
      const password = /^[a-z]+:\/\/[^:/@]*:([^@]+)@/.exec(url ?? "")?.[1];
      if (password) secrets.push(password);
    }
  }
  expect(secrets.length).toBeGreaterThanOrEqual(4);
  const paths = ["/settings", "/system", "/logs", "/logs.ndjson", "/api/v1/settings", "/api/v1/health", "/api/v1/logs?limit=1000"];
  for (const path of paths) {
    const text = await (await request.get(path)).text();
    for (const secret of secrets) expect(text.includes(secret), path).toBe(false);
  }
});

test("the packages are listed with their licences, and the chart library's notice is shown", async ({ page }) => {
  await openPage(page, "/settings");
  await expect(page.locator(".notice-text")).toContainText("TradingView Lightweight Charts");
  await page.locator("details summary", { hasText: "All packages" }).click();
  await expect(page.locator("#licences tr", { hasText: "tokio" }).first()).toContainText("MIT");
  await expect(page.locator("#licences tr", { hasText: "lightweight-charts" })).toContainText("Apache-2.0");
});

test("users and tokens are made, changed and removed, and a secret is shown once", async ({ page, request }) => {
  const name = `ann-${Date.now()}`;
  const confirm = async (task: string): Promise<void> => {
    await page.locator(`#confirm-${task}-${name} summary`).click();
    await page.locator(`#form-${task}-${name} button`).click();
  };
  await openPage(page, "/settings");
  await page.locator("#form-add-user input[name=name]").fill(name);
  await page.locator("#form-add-user select[name=role]").selectOption("operator");
  await page.locator("#add-user").click();
  await expect(page.locator("#notice")).toContainText(`${name} may sign in as operator.`);
  const password = (await page.locator("#secret").textContent()) ?? "";
  expect(password.length).toBeGreaterThanOrEqual(10);
  const row = page.locator(`#user-${name}`);
  await row.locator("select[name=role]").selectOption("viewer");
  await page.locator(`#set-role-${name}`).click();
  await expect(page.locator("#notice")).toContainText(`${name} is viewer now.`);
  await expect(page.locator("#secret")).toHaveCount(0);
  await confirm("disable");
  await expect(row).toContainText("disabled");
  await page.locator("#form-create-token input[name=name]").fill(name);
  await page.locator("#create-token").click();
  await expect(page.locator(`#token-${name}`)).toContainText("viewer");
  const secret = (await page.locator("#secret").textContent()) ?? "";
  const asked = { headers: { authorization: `Bearer ${secret}` } };
  expect((await request.get("/api/v1/status", asked)).status()).toBe(200);
  await openPage(page, "/settings");
  const text = await page.content();
  expect(text.includes(secret) || text.includes(password)).toBe(false);
  await confirm("revoke");
  await expect(page.locator(`#token-${name}`)).toHaveCount(0);
  expect((await request.get("/api/v1/status", asked)).status()).toBe(401);
  await confirm("remove");
  await expect(page.locator(`#user-${name}`)).toHaveCount(0);
  const audits = await (await request.get("/api/v1/events?stream=AUDIT&limit=200")).text();
  for (const action of ["user_add", "user_role", "user_disable", "token_create", "token_revoke", "user_remove"]) expect(audits).toContain(`${action} ${name}`);
});

test("a viewer sees what there is, no form that would be refused, and why", async ({ page, browser }) => {
  const name = `vic-${Date.now()}`;
  await openPage(page, "/settings");
  await page.locator("#form-add-user input[name=name]").fill(name);
  await page.locator("#form-add-user select[name=role]").selectOption("viewer");
  await page.locator("#add-user").click();
  await expect(page.locator("#notice")).toContainText(`${name} may sign in as viewer.`);
  const password = (await page.locator("#secret").textContent()) ?? "";
  const context = await browser.newContext({ storageState: { cookies: [], origins: [] } });
  const viewer = await context.newPage();
  await viewer.goto("/sign-in");
  await viewer.getByLabel("User").fill(name);
  await viewer.getByLabel("Password").fill(password);
  await viewer.getByRole("button", { name: "Sign in" }).click();
  for (const path of ["/", "/orders", "/positions", "/strategies", "/backtests", "/system"]) {
    await openPage(viewer, path);
    await expect(viewer.locator("#viewer-note")).toContainText("takes an operator or an admin");
    await expect(viewer.locator("main form[method=post]:visible")).toHaveCount(0);
    await expect(viewer.locator("main details.confirm:visible")).toHaveCount(0);
  }
  await openPage(viewer, "/settings");
  await expect(viewer.locator("#form-own-password")).toBeVisible();
  await context.close();
  await page.locator(`#confirm-remove-${name} summary`).click();
  await page.locator(`#form-remove-${name} button`).click();
  await expect(page.locator(`#user-${name}`)).toHaveCount(0);
});

test("a wrong password in use changes nothing and is named", async ({ page }) => {
  await openPage(page, "/settings");
  await page.locator("#form-own-password input[name=current]").fill("not the one");
  await page.locator("#form-own-password input[name=password]").fill("a new long password");
  await page.locator("#set-own-password").click();
  await expect(page.locator("#notice")).toContainText("current");
});

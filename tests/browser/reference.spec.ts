// Company, fundamentals and news beside the chart: filled for a symbol that was fetched, the command for one that was not.
import { expect, test } from "@playwright/test";
import { complaints, openPage, violations } from "./support";

test("what vendors state of a symbol stands beside its chart", async ({ page }) => {
  const said = complaints(page);
  await openPage(page, "/chart/ACMEX");
  const company = page.locator("#chart-company");
  await expect(company).toContainText("Ms. Ada Example");
  await expect(company).toContainText("Stated by yahoo");
  await expect(company.locator(".badge")).toHaveText("listed");
  await company.locator("summary").click();
  await expect(company).toContainText("A company that exists in tests only.");

  const fundamentals = page.locator("#chart-fundamentals");
  await expect(fundamentals).toContainText("Market capitalisation");
  await expect(fundamentals.locator("thead th")).toHaveCount(4);
  const revenue = fundamentals.locator("tbody tr", { hasText: "Revenue" });
  await expect(revenue.locator("data").first()).toHaveText(/^\d+\.\d\d B$/);
  await expect(fundamentals).toContainText("Analysts: 5 strong buy, 23 buy, 15 hold, 1 sell, 2 strong sell.");

  const article = page.locator("#chart-news li", { hasText: "ACMEX wins the best prize" });
  await expect(article.locator(".badge-gain")).toHaveText(/\+0\.\d\d/);
  const link = article.locator("a");
  await expect(link).toHaveAttribute("href", "https://news.example/3");
  await expect(link).toHaveAttribute("rel", /noopener/);
  await expect(page.locator("#chart-actions")).toBeVisible();
  expect(await violations(page)).toEqual([]);
  expect(said).toEqual([]);
});

test("a symbol of which nothing is known names the commands that fetch it", async ({ page }) => {
  await openPage(page, "/chart/NOSUCHSYMBOL");
  for (const panel of ["#chart-company", "#chart-fundamentals"]) {
    await expect(page.locator(panel)).toContainText("tapedeck reference fetch --source yahoo --symbols NOSUCHSYMBOL");
  }
  await expect(page.locator("#chart-news")).toContainText("tapedeck news fetch --source alpaca --symbols NOSUCHSYMBOL");
  await expect(page.locator("#chart-actions")).toContainText("tapedeck backfill --source yahoo --symbols NOSUCHSYMBOL");
});

// Nobody gets in without signing in; the page to do so passes the same checks as the others.
import { expect, test } from "@playwright/test";
import { complaints, violations } from "./support";

test.use({ storageState: { cookies: [], origins: [] } });

for (const width of [390, 1440]) {
  for (const colorScheme of ["dark", "light"] as const) {
    test(`the sign-in page at ${width} px, ${colorScheme}`, async ({ browser }) => {
      const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme });
      const page = await context.newPage();
      const found = complaints(page);
      await page.goto("/orders");
      await expect(page).toHaveURL(/\/sign-in\?next=%2Forders$/);
      expect(await violations(page)).toEqual([]);
      expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)).toBe(0);
      expect(found).toEqual([]);
      await context.close();
    });
  }
}

test("a wrong password is told so and lets nobody in", async ({ page }) => {
  await page.goto("/");
  await page.getByLabel("User").fill("nobody");
  await page.getByLabel("Password").fill("not the password");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("alert")).toHaveText("User or password is wrong.");
  await page.goto("/orders");
  await expect(page).toHaveURL(/\/sign-in/);
});

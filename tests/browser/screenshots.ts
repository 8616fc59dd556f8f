// One picture of each page into docs/images, as the tour of the documentation shows them.
import { join } from "node:path";
import { expect, test, type Page } from "@playwright/test";
import { openPage } from "./support";

const IMAGES = join(import.meta.dirname, "../../docs/images");

interface Picture {
  name: string;
  path: string;
  /** What must be there before the picture is taken. */
  ready: string;
  theme?: "dark" | "light";
  width?: number;
}

const PICTURES: Picture[] = [
  { name: "overview-dark", path: "/", ready: "[id^=fill-]" },
  { name: "overview-light", path: "/", ready: "[id^=fill-]", theme: "light" },
  { name: "overview-mobile", path: "/", ready: "[id^=fill-]", width: 390 },
  { name: "chart", path: "/chart", ready: "canvas" },
  { name: "orders", path: "/orders?tab=all", ready: "main table tbody tr" },
  { name: "positions", path: "/positions", ready: "main table tbody tr" },
  { name: "strategies", path: "/strategies", ready: "main table tbody tr" },
  { name: "events", path: "/events?stream=TRADING", ready: "main table tbody tr" },
  { name: "system", path: "/system", ready: "#p-bars" },
  { name: "logs", path: "/logs", ready: "[id^=log-]" },
  { name: "settings", path: "/settings", ready: "#main" },
];

async function take(page: Page, { name, theme = "dark", width = 1440 }: Picture): Promise<void> {
  await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
  await page.setViewportSize({ width, height: width === 390 ? 844 : 900 });
  await page.screenshot({ path: join(IMAGES, `${name}.png`), animations: "disabled" });
}

for (const picture of PICTURES) {
  test(picture.name, async ({ page }) => {
    await openPage(page, picture.path);
    await expect(page.locator(picture.ready).first()).toBeVisible({ timeout: 60_000 });
    await take(page, picture);
  });
}

test("chain", async ({ page, request }) => {
  const fills = (await (await request.get("/api/v1/fills?limit=1")).json()) as { rows: { order_id: string }[] };
  const order = fills.rows[0]?.order_id ?? "";
  expect(order).not.toBe("");
  await openPage(page, `/orders/${order}`);
  await take(page, { name: "order", path: "", ready: "" });
  await page.locator("a[href*=chain]").first().click();
  await expect(page.locator("main")).toContainText("filled ");
  await take(page, { name: "chain", path: "", ready: "" });
});

test("the API's reader", async ({ page }) => {
  await page.goto("/api/docs");
  await expect(page.locator("main")).toContainText("/api/v1/orders");
  await take(page, { name: "api", path: "", ready: "" });
});

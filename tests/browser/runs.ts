// Runs of the engine as tests ask for them: what the demo's market offers, requests by the API, their ends.
import { expect, type APIRequestContext, type Page } from "@playwright/test";

export interface Run {
  run_id: string;
  status: string;
  progress: { percent: number } | null;
  result_hash: string | null;
  statistics: Record<string, number | null> | null;
}

let number = 0;

const headers = async (page: Page): Promise<Record<string, string>> => {
  const token = await page.locator("meta[name=csrf-token]").getAttribute("content");
  return { "x-csrf-token": token ?? "", "idempotency-key": `browser-${Date.now()}-${(number += 1)}`, origin: new URL(page.url()).origin };
};

interface Series {
  symbol: string;
  timeframe: string;
  bars: number;
  first_close_ns: number;
  last_close_ns: number;
}

const series = async (page: Page): Promise<Series[]> => {
  const answer = (await (await page.request.get("/api/v1/symbols")).json()) as { items: { symbol: string; series: Omit<Series, "symbol">[] }[] };
  return answer.items.flatMap(({ symbol, series: all }) => all.map((one) => ({ symbol, ...one })));
};

const DAY_NS = 86_400_000_000_000;

/** Bars that the demo has, once it has those of so many days: the timeframe of the most, and its symbols. */
export const market = async (page: Page, days = 4): Promise<{ timeframe: string; symbols: string[] }> => {
  let found: Series[] = [];
  await expect
    .poll(async () => {
      found = await series(page);
      return Math.max(0, ...found.map((one) => one.last_close_ns - one.first_close_ns));
    }, { timeout: 60_000 })
    .toBeGreaterThan(days * DAY_NS);
  const timeframe = [...found].sort((a, b) => b.bars - a.bars)[0]?.timeframe ?? "1h";
  return { timeframe, symbols: found.filter((one) => one.timeframe === timeframe).map(({ symbol }) => symbol) };
};

export const one = async (request: APIRequestContext, id: string): Promise<Run> => (await (await request.get(`/api/v1/backtests/${id}`)).json()) as Run;

/** Asks for a run by the API and answers its id. */
export const ask = async (page: Page, asked: object): Promise<string> => {
  const answer = await page.request.post("/api/v1/backtests", { headers: await headers(page), data: asked });
  expect(answer.status(), await answer.text()).toBe(202);
  return ((await answer.json()) as { run_id: string }).run_id;
};

/** Everything that is said of how far a run is, in order, until it has succeeded and its last hint was heard. */
export const progressOf = async (request: APIRequestContext, id: string): Promise<number[]> => {
  const seen: number[] = [];
  await expect
    .poll(async () => {
      const { status, progress } = await one(request, id);
      if (progress) seen.push(progress.percent);
      return { status, whole: seen.at(-1) === 100 };
    }, { timeout: 60_000, intervals: [20] })
    .toEqual({ status: "succeeded", whole: true });
  return seen;
};

export const ended = async (page: Page, id: string): Promise<Run> => {
  await expect.poll(async () => (await one(page.request, id)).status, { timeout: 60_000 }).toMatch(/succeeded|failed|cancelled/);
  return one(page.request, id);
};

/** The demo goes on: a range that ends makes two runs read the same. */
export const lastWhole = async (page: Page): Promise<string> => {
  const last = Math.min(...(await series(page)).map(({ last_close_ns }) => last_close_ns));
  return new Date(last / 1e6 - 2 * 86_400_000).toISOString().slice(0, 10);
};

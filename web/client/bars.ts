// Bars, fills and lines as the server states them, and what a chart makes of them.

import type { UTCTimestamp } from "lightweight-charts";

export interface Bar {
  time: UTCTimestamp;
  open: number;
  high: number;
  low: number;
  close: number;
  volume: number;
  sma: (number | null)[];
  figures: (number | null)[];
}

export interface Fill {
  seq: number;
  time: number;
  side: string;
  quantity: string;
  price: string;
}

export interface Line {
  kind: "entry" | "limit" | "stop";
  price: number;
  title: string;
}

export interface ApiBar {
  start_ns: number;
  close_ns: number;
  open: string;
  high: string;
  low: string;
  close: string;
  volume: string;
  sma: (string | null)[];
  figures: (number | null)[];
}

/** A line of an indicator. */
export interface Figure {
  label: string;
  indicator: number;
  on_price: boolean;
}

export interface Part {
  basis: number;
  sma: number[];
  figures: Figure[];
  items: ApiBar[];
  next: string | null;
}

export type Latest = [number, number, number, number, number, number, (number | null)[], (number | null)[]];

export const seconds = (ns: number): UTCTimestamp => Math.round(ns / 1e9) as UTCTimestamp;
export const number = (value: number, least = 2, most = 4): string =>
  value.toLocaleString("en-US", { minimumFractionDigits: least, maximumFractionDigits: most });

export function bar(item: ApiBar): Bar {
  return {
    time: seconds(item.close_ns),
    open: Number(item.open),
    high: Number(item.high),
    low: Number(item.low),
    close: Number(item.close),
    volume: Number(item.volume),
    sma: item.sma.map((value) => (value === null ? null : Number(value))),
    figures: item.figures,
  };
}

export function latest(element: HTMLElement): Latest[] {
  return JSON.parse(element.dataset["bars"] ?? "[]") as Latest[];
}

export function iso(time: number): string {
  return new Date(time * 1000).toISOString();
}

export async function fetchJson<T>(url: string): Promise<T> {
  const response = await fetch(url, { headers: { accept: "application/json" } });
  if (response.ok) return (await response.json()) as T;
  const problem = (await response.json().catch(() => ({}))) as { detail?: string };
  throw new Error(problem.detail ?? `the server answered ${response.status}`);
}

// The equity line. The server renders its newest points into the page (`#equity-latest`) like any other
// live element; the chart reads them from there, and loads the history once.

import { AreaSeries, ColorType, TickMarkType, createChart } from "lightweight-charts";
import type { IChartApi, ISeriesApi, UTCTimestamp } from "lightweight-charts";
import { startCandles } from "./candles";
import { startLines } from "./lines";
import { act, frame, token } from "./chart-frame";
import { formatInstant } from "./zone";

interface Point {
  time: UTCTimestamp;
  value: number;
}

const POINTS_MAX = 10_000;

export function startCharts(): void {
  window.__charts = {};
  for (const host of document.querySelectorAll<HTMLElement>("[data-chart=equity]")) new EquityChart(host);
}

class EquityChart {
  private readonly chart: IChartApi;
  private readonly series: ISeriesApi<"Area">;
  private points: Point[] = [];
  private loading = false;

  constructor(private readonly host: HTMLElement) {
    this.chart = createChart(host, { autoSize: true, layout: { attributionLogo: false } });
    this.series = this.chart.addSeries(AreaSeries, { lineWidth: 2, priceLineVisible: true });
    this.style();
    window.__charts[host.dataset["id"] ?? host.id] = { state: () => this.state() };
    document.addEventListener("preference:changed", () => this.style());
    document.addEventListener("live:morphed", (event) => {
      if (!(event.target instanceof HTMLElement)) return;
      const latest = event.target.querySelector<HTMLElement>("#equity-latest");
      if (latest) this.append(latest);
    });
    for (const button of document.querySelectorAll<HTMLElement>(`[data-chart-for="${host.id}"]`)) {
      button.addEventListener("click", () => {
        if (button.dataset["act"] === "reload") void this.load();
        else act(this.chart, button.dataset["act"] ?? "");
      });
    }
    void this.load();
  }

  private state(): ChartState {
    return {
      points: this.points.length,
      first: this.points[0]?.time ?? null,
      last: this.points.at(-1)?.time ?? null,
      lastValue: this.points.at(-1)?.value ?? null,
      loading: this.loading,
    };
  }

  private style(): void {
    const line = token("--accent");
    this.chart.applyOptions({
      layout: {
        background: { type: ColorType.Solid, color: token("--card") },
        textColor: token("--muted"),
        fontFamily: getComputedStyle(document.body).fontFamily,
        fontSize: 11,
      },
      grid: { vertLines: { visible: false }, horzLines: { color: token("--line") } },
      rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.12, bottom: 0.08 } },
      timeScale: {
        borderColor: token("--line"),
        timeVisible: true,
        secondsVisible: false,
        tickMarkFormatter: (time: UTCTimestamp, mark: TickMarkType) =>
          formatInstant(time * 1000, mark <= TickMarkType.DayOfMonth ? "date" : "minute"),
      },
      localization: {
        timeFormatter: (time: UTCTimestamp) => formatInstant(time * 1000, "full"),
        priceFormatter: (price: number) =>
          price.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 }),
      },
      crosshair: { vertLine: { labelBackgroundColor: line }, horzLine: { labelBackgroundColor: line } },
      handleScroll: { vertTouchDrag: false, mouseWheel: false },
      handleScale: { mouseWheel: false },
    });
    this.series.applyOptions({
      lineColor: line,
      topColor: `${line}40`,
      bottomColor: `${line}05`,
      priceLineColor: token("--muted"),
    });
  }

  private async load(): Promise<void> {
    if (this.loading) return;
    this.loading = true;
    this.show("loading");
    try {
      const response = await fetch(this.host.dataset["source"] ?? "", { headers: { accept: "application/json" } });
      if (!response.ok) throw new Error(`the server answered ${response.status}`);
      const body = (await response.json()) as { points: [number, number][] };
      this.points = body.points.map(([time, value]) => ({ time: time as UTCTimestamp, value }));
      this.series.setData(this.points);
      this.chart.timeScale().fitContent();
      this.show(this.points.length === 0 ? "empty" : "ready");
    } catch {
      this.show("error");
    } finally {
      this.loading = false;
    }
    const latest = document.getElementById("equity-latest");
    if (latest) this.append(latest);
  }

  private append(element: HTMLElement): void {
    if (this.loading) return;
    const fresh = JSON.parse(element.dataset["points"] ?? "[]") as [number, number][];
    const last = this.points.at(-1)?.time ?? 0;
    const oldest = fresh[0]?.[0];
    if (oldest === undefined) return;
    // More has happened than the element carries: there would be a hole in the line.
    if (oldest > last && element.dataset["whole"] !== "true") {
      void this.load();
      return;
    }
    for (const [time, value] of fresh) {
      if (time < last) continue;
      const point = { time: time as UTCTimestamp, value };
      if (this.points.at(-1)?.time === point.time) this.points.pop();
      this.points.push(point);
      this.series.update(point);
    }
    if (this.points.length > POINTS_MAX) {
      this.points = this.points.slice(-POINTS_MAX);
      this.series.setData(this.points);
    }
    this.show("ready");
  }

  private show(state: string): void {
    frame(this.host, state);
  }
}

startCharts();
startCandles();
startLines();

// Lines of indicators on the chart of a symbol: prices over the bars, the others in panes of their own.

import { LineSeries } from "lightweight-charts";
import type { IChartApi, ISeriesApi } from "lightweight-charts";
import { number } from "./bars";
import type { Bar, Figure } from "./bars";
import { token } from "./chart-frame";

/** Panes of prices and of volume. */
const OWN_PANES = 2;
const COLOURS = ["--accent", "--warn", "--text", "--muted"];
const FORM = { type: "custom", minMove: 0.0001, formatter: (value: number) => number(value) } as const;

export class Indicators {
  private lines: { figure: Figure; series: ISeriesApi<"Line"> }[] = [];

  constructor(private readonly chart: IChartApi) {}

  /** Lines for these figures, in place of those there were. */
  set(figures: Figure[]): void {
    for (const { series } of this.lines) this.chart.removeSeries(series);
    const panes = [...new Set(figures.filter((figure) => !figure.on_price).map((figure) => figure.indicator))];
    this.lines = figures.map((figure) => {
      const pane = figure.on_price ? 0 : OWN_PANES + panes.indexOf(figure.indicator);
      const options = { lineWidth: 1, priceFormat: FORM, lastValueVisible: false, priceLineVisible: false, crosshairMarkerVisible: false } as const;
      return { figure, series: this.chart.addSeries(LineSeries, options, pane) };
    });
    panes.forEach((_, index) => this.chart.panes()[OWN_PANES + index]?.setStretchFactor(1));
    this.style();
  }

  draw(bars: Bar[]): void {
    this.lines.forEach(({ series }, index) => {
      const points = bars.flatMap(({ time, figures }) => {
        const value = figures[index];
        return typeof value === "number" ? [{ time, value }] : [];
      });
      series.setData(points);
    });
  }

  update(bar: Bar): void {
    this.lines.forEach(({ series }, index) => {
      const value = bar.figures[index];
      if (typeof value === "number") series.update({ time: bar.time, value });
    });
  }

  style(): void {
    this.lines.forEach(({ figure, series }, index) => {
      const first = this.lines.findIndex((line) => line.figure.indicator === figure.indicator);
      series.applyOptions({ color: token(COLOURS[(figure.indicator + index - first) % COLOURS.length] ?? "--muted") });
    });
  }

  /** What each line is at a bar. */
  legend(bar: Bar): string[] {
    return this.state(bar).map(({ label, value }) => `${label} ${value === null ? "–" : number(value)}`);
  }

  state(bar: Bar | undefined): { label: string; value: number | null }[] {
    return this.lines.map(({ figure }, index) => ({ label: figure.label, value: bar?.figures[index] ?? null }));
  }
}

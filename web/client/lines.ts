// Lines of backtests: equity and benchmark above, drawdown below; of several runs the equity of each. The points
// are computed by the server, one per session; what is drawn here is loaded once, and again when a run has ended.

import { AreaSeries, LineSeries, LineStyle, createChart, createSeriesMarkers } from "lightweight-charts";
import type { IChartApi, ISeriesApi, ISeriesMarkersPluginApi, SeriesMarker, Time, UTCTimestamp } from "lightweight-charts";
import { chartOptions } from "./candle-style";
import { act, frame, token } from "./chart-frame";

interface Line {
  name: string;
  kind: "equity" | "benchmark" | "drawdown";
  points: [number, number][];
  /** Fills: unix seconds of a point, side, and a word. */
  marks?: [number, "buy" | "sell", string][];
}

/** Marks that still have room for words. */
const WORDS_MAX = 6;
const COLOURS = ["--accent", "--warn", "--gain", "--loss"];
const STYLES = [LineStyle.Solid, LineStyle.Dashed, LineStyle.Dotted, LineStyle.LargeDashed];

export function startLines(): void {
  for (const host of document.querySelectorAll<HTMLElement>("[data-chart=lines]")) new LinesChart(host);
}

class LinesChart {
  private readonly chart: IChartApi;
  private series: { line: Line; drawn: ISeriesApi<"Line"> | ISeriesApi<"Area">; marks: ISeriesMarkersPluginApi<Time> | undefined }[] = [];
  private loading = false;
  private status: string | undefined;

  constructor(private readonly host: HTMLElement) {
    this.chart = createChart(host, { autoSize: true, layout: { attributionLogo: false, panes: { enableResize: false } } });
    this.style();
    window.__charts[host.dataset["id"] ?? host.id] = { state: () => this.state() };
    document.addEventListener("preference:changed", () => this.style());
    document.addEventListener("live:morphed", (event) => {
      if (event.target instanceof HTMLElement && event.target.id === host.dataset["watch"]) this.watch();
    });
    for (const button of document.querySelectorAll<HTMLElement>(`[data-chart-for="${host.id}"]`)) {
      button.addEventListener("click", () => {
        if (button.dataset["act"] === "reload") void this.load();
        else act(this.chart, button.dataset["act"] ?? "");
      });
    }
    this.watch();
  }

  private state(): LinesState {
    const first = this.series[0]?.line.points ?? [];
    return {
      points: first.length,
      first: first[0]?.[0] ?? null,
      last: first.at(-1)?.[0] ?? null,
      lastValue: first.at(-1)?.[1] ?? null,
      loading: this.loading,
      lines: this.series.map(({ line }) => ({ name: line.name, points: line.points.length, marks: line.marks?.length ?? 0, lastValue: line.points.at(-1)?.[1] ?? null })),
    };
  }

  /** Loads when the run that is shown has succeeded, or at once where none is watched. */
  private watch(): void {
    const watched = this.host.dataset["watch"];
    const status = watched ? document.querySelector<HTMLElement>(`#${watched} [data-status]`)?.dataset["status"] : "succeeded";
    if (status === this.status) return;
    this.status = status;
    if (status === "succeeded") void this.load();
    else frame(this.host, "empty");
  }

  private style(): void {
    this.chart.applyOptions(chartOptions());
    this.chart.applyOptions({ handleScroll: { vertTouchDrag: false, mouseWheel: false }, handleScale: { mouseWheel: false } });
    let equities = 0;
    for (const { line, drawn, marks } of this.series) {
      marks?.setMarkers(marked(line.marks ?? []));
      if (line.kind === "drawdown") {
        const colour = token("--loss");
        drawn.applyOptions({ lineColor: colour, topColor: `${colour}05`, bottomColor: `${colour}40` });
        continue;
      }
      // The shape of a line says it as well as its colour.
      const index = line.kind === "benchmark" ? 1 : equities++;
      drawn.applyOptions({ color: token(COLOURS[index] ?? "--muted"), lineStyle: STYLES[index] ?? LineStyle.Solid });
    }
  }

  private async load(): Promise<void> {
    if (this.loading) return;
    this.loading = true;
    frame(this.host, "loading");
    try {
      const response = await fetch(this.host.dataset["source"] ?? "", { headers: { accept: "application/json" } });
      if (!response.ok) throw new Error(`the server answered ${response.status}`);
      this.draw((await response.json()) as Line[]);
      frame(this.host, this.series.some(({ line }) => line.points.length > 0) ? "ready" : "empty");
    } catch {
      frame(this.host, "error");
    } finally {
      this.loading = false;
    }
  }

  private draw(lines: Line[]): void {
    for (const { drawn } of this.series) this.chart.removeSeries(drawn);
    this.series = lines.map((line) => {
      const options = { priceLineVisible: false, title: lines.length > 3 || line.kind === "benchmark" ? line.name : "" } as const;
      const drawn = line.kind === "drawdown"
        ? this.chart.addSeries(AreaSeries, { ...options, lineWidth: 1 }, 1)
        : this.chart.addSeries(LineSeries, { ...options, lineWidth: 2 });
      drawn.setData(line.points.map(([time, value]) => ({ time: time as UTCTimestamp, value })));
      const marks = line.marks?.length ? createSeriesMarkers(drawn as ISeriesApi<"Line", Time>, []) : undefined;
      return { line, drawn, marks };
    });
    if (lines.some(({ kind }) => kind === "drawdown")) {
      this.chart.panes()[0]?.setStretchFactor(3);
      this.chart.panes()[1]?.setStretchFactor(1);
    }
    this.style();
    this.chart.timeScale().fitContent();
    const legend = document.getElementById("lines-legend");
    if (legend) legend.textContent = lines.map(({ name, points }) => `${name} ${points.at(-1)?.[1].toFixed(2) ?? "–"}`).join(" · ");
  }
}

/** Fills as arrows; the shape says the side as well as the colour. Words only where there is room for them. */
function marked(marks: [number, "buy" | "sell", string][]): SeriesMarker<Time>[] {
  const [gain, loss] = [token("--gain"), token("--loss")];
  return marks.map(([time, side, word]) => ({
    time: time as UTCTimestamp,
    position: side === "buy" ? "belowBar" : "aboveBar",
    shape: side === "buy" ? "arrowUp" : "arrowDown",
    color: side === "buy" ? gain : loss,
    text: marks.length <= WORDS_MAX ? word : "",
  }));
}

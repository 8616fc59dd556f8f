// The chart of a symbol: candles, volume, averages, fills, entry and order lines. What it draws is computed
// by the server: bars and averages come from the API, part by part as the reader pans to older ones, and the
// newest from the page itself (`#candles-latest`), which the live stream keeps up to date.

import {
  CandlestickSeries,
  HistogramSeries,
  LineSeries,
  LineStyle,
  createChart,
  createSeriesMarkers,
} from "lightweight-charts";
import type { IChartApi, IPriceLine, ISeriesApi, ISeriesMarkersPluginApi, SeriesMarker, Time, UTCTimestamp } from "lightweight-charts";
import { bar, fetchJson, iso, latest, number, seconds } from "./bars";
import type { Bar, Fill, Line, Part } from "./bars";
import { chartOptions } from "./candle-style";
import { act as move, frame, token } from "./chart-frame";
import { Indicators } from "./indicators";
import { formatInstant } from "./zone";

/** The most that a chart holds; older ones are not loaded, the oldest give way to new ones. */
const BARS_MAX = 10_000;
/** Bars left of the view at which older ones are asked for. */
const NEAR_EDGE = 40;
const VISIBLE_AT_FIRST = 150;
const AVERAGE_COLOURS = ["--accent", "--warn", "--text", "--muted"];

/** Prices as everywhere on the site; volumes have their own form. */
const PRICES = { type: "custom", minMove: 0.0001, formatter: (price: number) => number(price) } as const;

export function startCandles(): void {
  for (const host of document.querySelectorAll<HTMLElement>("[data-chart=candles]")) new CandleChart(host);
}

class CandleChart {
  private readonly chart: IChartApi;
  private readonly candles: ISeriesApi<"Candlestick">;
  private readonly volume: ISeriesApi<"Histogram">;
  private readonly marks: ISeriesMarkersPluginApi<Time>;
  private averages: { length: number; series: ISeriesApi<"Line"> }[] = [];
  private readonly indicators: Indicators;
  private bars: Bar[] = [];
  /** Start of the oldest bar loaded, unix seconds. */
  private start = 0;
  private readonly fills = new Map<number, Fill>();
  private marked = 0;
  private newestFill = 0;
  private lines: IPriceLine[] = [];
  private next: string | null = null;
  private basis = -1;
  private loading = false;
  private loadingOlder: Promise<boolean> | undefined;
  private requests = 0;
  private lastFill = 0;

  constructor(private readonly host: HTMLElement) {
    this.chart = createChart(host, { autoSize: true, layout: { attributionLogo: false, panes: { enableResize: false } } });
    this.candles = this.chart.addSeries(CandlestickSeries, { priceLineVisible: true, priceFormat: PRICES });
    this.volume = this.chart.addSeries(HistogramSeries, { priceFormat: { type: "volume" }, lastValueVisible: false, priceLineVisible: false }, 1);
    this.marks = createSeriesMarkers(this.candles, []);
    this.chart.panes()[0]?.setStretchFactor(4);
    this.chart.panes()[1]?.setStretchFactor(1);
    this.indicators = new Indicators(this.chart);
    this.style();
    window.__charts[host.dataset["id"] ?? host.id] = { state: () => this.state() };
    document.addEventListener("preference:changed", () => this.style());
    document.addEventListener("live:morphed", (event) => {
      if (event.target instanceof HTMLElement) this.morphed(event.target.id);
    });
    for (const button of document.querySelectorAll<HTMLElement>(`[data-chart-for="${host.id}"]`)) {
      button.addEventListener("click", () => {
        if (button.dataset["act"] === "reload") void this.load();
        else move(this.chart, button.dataset["act"] ?? "");
      });
    }
    this.chart.timeScale().subscribeVisibleLogicalRangeChange(() => {
      this.reach();
      this.link();
    });
    this.chart.subscribeClick((at) => this.find(at.hoveredObjectId));
    this.chart.subscribeCrosshairMove((at) => this.legend(typeof at.time === "number" ? at.time : undefined));
    document.addEventListener("click", (event) => {
      const link = event.target instanceof Element ? event.target.closest<HTMLElement>("a[data-at]") : null;
      if (link) void this.show(Number(link.dataset["at"]));
    });
    addEventListener("hashchange", () => this.follow());
    void this.load();
  }

  private state(): CandleState {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    const at = (index: number): number | null => this.bars[Math.min(Math.max(Math.round(index), 0), this.bars.length - 1)]?.time ?? null;
    const last = this.bars.at(-1);
    return {
      points: this.bars.length,
      first: this.bars[0]?.time ?? null,
      last: last?.time ?? null,
      lastValue: last?.close ?? null,
      loading: this.loading,
      start: this.start,
      markers: this.marked,
      averages: this.averages.map(({ length }, index) => ({ length, value: last?.sma[index] ?? null })),
      figures: this.indicators.state(last),
      lines: this.lines.length,
      visible: range ? { from: at(range.from), to: at(range.to) } : null,
      older: this.next !== null,
      basis: this.basis,
    };
  }

  /** Loads the newest part, in place of whatever is there. */
  private async load(): Promise<void> {
    if (this.loading) return;
    if (this.frame() === "empty" && !document.getElementById("candles-latest")) return;
    this.loading = true;
    try {
      if (this.bars.length === 0) this.frame("loading");
      const part = await this.part(null);
      this.bars = part.items.map(bar).reverse();
      this.start = seconds(part.items.at(-1)?.start_ns ?? 0);
      this.next = part.next;
      this.basis = part.basis;
      this.average(part.sma);
      this.indicators.set(part.figures);
      this.draw();
      const count = this.bars.length;
      this.chart.timeScale().setVisibleLogicalRange({ from: Math.max(-5, count - VISIBLE_AT_FIRST), to: count + 5 });
      this.frame(count === 0 ? "empty" : "ready");
      await this.mark(this.start, undefined);
    } catch (error) {
      this.fail(error);
    } finally {
      this.loading = false;
    }
    const latest = document.getElementById("candles-latest");
    if (latest && this.follows(latest)) this.append(latest);
    this.morphed("chart-lines");
    this.follow();
    this.reach();
  }

  /** Loads older bars when the view comes near the oldest one, until it does no more. */
  private reach(): void {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    if (this.loading || !range || range.from >= NEAR_EDGE) return;
    void this.older().then((more) => {
      if (more) this.reach();
    });
  }

  /** A click on a mark leads to its row in the list, if it is there. */
  private find(mark: unknown): void {
    const row = typeof mark === "string" ? document.getElementById(mark) : null;
    row?.setAttribute("tabindex", "-1");
    row?.focus();
  }

  /** Loads the part that is older than what is there; true when there was one. */
  private older(): Promise<boolean> {
    this.loadingOlder ??= this.loadOlder().finally(() => (this.loadingOlder = undefined));
    return this.loadingOlder;
  }

  private async loadOlder(): Promise<boolean> {
    if (this.loading || this.next === null || this.bars.length === 0) return false;
    if (this.bars.length >= BARS_MAX) {
      this.note(`${number(BARS_MAX, 0)} bars are loaded, the most that a chart holds. A longer timeframe reaches further back.`);
      return false;
    }
    this.loading = true;
    try {
      const part = await this.part(this.next);
      // The past was restated meanwhile: the parts would not fit together.
      if (part.basis !== this.basis) {
        this.loading = false;
        await this.load();
        return false;
      }
      const before = this.start;
      const added = part.items.map(bar).reverse().slice(-(BARS_MAX - this.bars.length));
      this.bars = [...added, ...this.bars];
      this.start = seconds(part.items[added.length - 1]?.start_ns ?? before * 1e9);
      this.next = part.next;
      const scale = this.chart.timeScale();
      const range = scale.getVisibleLogicalRange();
      this.draw();
      if (range) scale.setVisibleLogicalRange({ from: range.from + added.length, to: range.to + added.length });
      await this.mark(this.start, before);
      return added.length > 0;
    } catch {
      this.note("Older bars cannot be loaded now.");
      return false;
    } finally {
      this.loading = false;
    }
  }

  private async part(cursor: string | null): Promise<Part> {
    const source = this.host.dataset["source"] ?? "";
    return fetchJson<Part>(cursor === null ? source : `${source}&cursor=${encodeURIComponent(cursor)}`);
  }

  /** Asks for the fills from one instant up to another, in unix seconds, and marks them. */
  private async mark(from: number, to: number | undefined): Promise<void> {
    const url = new URL(this.host.dataset["fills"] ?? "", location.href);
    url.searchParams.set("from", iso(from));
    if (to !== undefined) url.searchParams.set("to", iso(to));
    const request = ++this.requests;
    try {
      const { fills, more } = await fetchJson<{ fills: Fill[]; more: boolean }>(url.href);
      for (const fill of fills) {
        this.fills.set(fill.seq, fill);
        this.lastFill = Math.max(this.lastFill, fill.time);
      }
      if (more) this.note("There are more fills than a chart marks; the newest are marked.");
    } catch {
      if (request === this.requests) this.note("Fills cannot be loaded now.");
    }
    this.place();
  }

  /** Puts each fill on the bar in whose interval it happened; those of a bar that is still to come wait. */
  private place(): void {
    const last = this.bars.at(-1);
    if (!last) return;
    const [gain, loss] = [token("--gain"), token("--loss")];
    const markers: SeriesMarker<Time>[] = [];
    const fills = [...this.fills.values()].filter((fill) => fill.time >= this.start && fill.time <= last.time);
    for (const fill of fills.sort((a, b) => a.time - b.time || a.seq - b.seq)) {
      const bar = this.bars[this.index(fill.time)];
      if (!bar) continue;
      const buys = fill.side === "buy";
      markers.push({
        time: bar.time,
        position: buys ? "belowBar" : "aboveBar",
        shape: buys ? "arrowUp" : "arrowDown",
        color: buys ? gain : loss,
        text: `${buys ? "B" : "S"} ${fill.quantity}`,
        id: `f-${fill.seq}`,
      });
    }
    this.marks.setMarkers(markers);
    this.marked = markers.length;
  }

  /** Index of the first bar that closes at an instant or later. */
  private index(time: number): number {
    let [low, high] = [0, this.bars.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.bars[middle]?.time ?? 0) < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private morphed(id: string): void {
    const panel = document.getElementById(id);
    if (id === "chart-latest") {
      const latest = panel?.querySelector<HTMLElement>("#candles-latest");
      if (latest) this.append(latest);
    } else if (id === "chart-lines") {
      const lines = panel?.querySelector<HTMLElement>("#candles-lines");
      if (lines) this.rule(lines);
    }
  }

  /** Whether the newest bars continue those that are there: the past was not restated, and no bar is missing between. */
  private follows(element: HTMLElement): boolean {
    const oldest = latest(element)[0]?.[0] ?? 0;
    const last = this.bars.at(-1)?.time ?? 0;
    return Number(element.dataset["basis"]) === this.basis && (oldest <= last || element.dataset["whole"] === "true");
  }

  private append(element: HTMLElement): void {
    if (this.loading) return;
    if (!this.follows(element)) {
      void this.load();
      return;
    }
    const last = this.bars.at(-1)?.time ?? 0;
    for (const [time, open, high, low, close, volume, sma, figures] of latest(element)) {
      if (time < last) continue;
      const bar: Bar = { time: time as UTCTimestamp, open, high, low, close, volume, sma, figures };
      if (this.bars.at(-1)?.time === time) this.bars.pop();
      this.bars.push(bar);
      this.candles.update(bar);
      this.volume.update({ time: bar.time, value: bar.volume });
      this.averages.forEach(({ series }, index) => {
        const value = bar.sma[index];
        if (typeof value === "number") series.update({ time: bar.time, value });
      });
      this.indicators.update(bar);
    }
    if (this.bars.length > BARS_MAX) {
      this.bars = this.bars.slice(-BARS_MAX);
      this.start = this.bars[0]?.time ?? 0;
      this.draw();
    }
    this.frame("ready");
    this.place();
    this.legend(undefined);
  }

  /** Draws positions and orders, and asks for fills that are new. */
  private rule(element: HTMLElement): void {
    const colours = { entry: token("--accent"), limit: token("--warn"), stop: token("--loss") };
    for (const line of this.lines) this.candles.removePriceLine(line);
    const wanted = JSON.parse(element.dataset["lines"] ?? "[]") as Line[];
    this.lines = wanted.map(({ kind, price, title }) =>
      this.candles.createPriceLine({
        price,
        title: `${kind} ${title}`,
        color: colours[kind],
        lineWidth: 1,
        lineStyle: kind === "entry" ? LineStyle.Solid : LineStyle.Dashed,
        axisLabelVisible: true,
      }),
    );
    const newest = Number(element.dataset["fill"] ?? "0");
    if (newest === this.newestFill || this.bars.length === 0) return;
    this.newestFill = newest;
    if (!this.fills.has(newest)) void this.mark(Math.max(this.start, this.lastFill), undefined);
  }

  /** Scrolls to an instant, in unix seconds, and loads what lies between. */
  private async show(time: number): Promise<void> {
    if (!Number.isFinite(time)) return;
    while (time < this.start && (await this.older()));
    if (time < this.start) {
      this.note("That is older than the bars that are loaded.");
      return;
    }
    const scale = this.chart.timeScale();
    const range = scale.getVisibleLogicalRange();
    const half = Math.min(Math.max(range ? (range.to - range.from) / 2 : 0, 10), VISIBLE_AT_FIRST / 2);
    const at = Math.min(this.index(time), this.bars.length - 1);
    scale.setVisibleLogicalRange({ from: at - half, to: at + half });
    this.legend(this.bars[at]?.time);
    if (this.host.getBoundingClientRect().top < 0) this.host.scrollIntoView({ block: "center" });
  }

  private follow(): void {
    const at = /^#t=(\d+)$/.exec(location.hash);
    if (at) void this.show(Number(at[1]));
  }

  private draw(): void {
    this.candles.setData(this.bars);
    this.volume.setData(this.bars.map(({ time, volume }) => ({ time, value: volume })));
    this.averages.forEach(({ series }, index) => {
      const points = this.bars.flatMap(({ time, sma }) => {
        const value = sma[index];
        return typeof value === "number" ? [{ time, value }] : [];
      });
      series.setData(points);
    });
    this.indicators.draw(this.bars);
    this.place();
    this.legend(undefined);
    this.link();
  }

  private average(lengths: number[]): void {
    for (const { series } of this.averages) this.chart.removeSeries(series);
    this.averages = lengths.map((length) => ({
      length,
      series: this.chart.addSeries(LineSeries, { lineWidth: 1, priceFormat: PRICES, lastValueVisible: false, priceLineVisible: false, crosshairMarkerVisible: false }),
    }));
    this.style();
  }

  private style(): void {
    const [gain, loss, card] = [token("--gain"), token("--loss"), token("--card")];
    this.chart.applyOptions(chartOptions());
    // A rise is hollow and a fall is filled: the shape says it as well as the colour.
    this.candles.applyOptions({ upColor: card, borderUpColor: gain, wickUpColor: gain, downColor: loss, borderDownColor: loss, wickDownColor: loss });
    this.volume.applyOptions({ color: `${token("--line-strong")}80` });
    this.averages.forEach(({ series }, index) => {
      series.applyOptions({ color: token(AVERAGE_COLOURS[index] ?? "--muted") });
    });
    this.indicators.style();
    this.place();
    this.legend(undefined);
  }

  /** Says the numbers of the bar under the pointer, or of the newest. */
  private legend(time: number | undefined): void {
    const place = document.getElementById("candles-legend");
    const bar = time === undefined ? this.bars.at(-1) : this.bars[this.index(time)];
    if (!place || !bar) return;
    const averages = this.averages.map(({ length }, index) => {
      const value = bar.sma[index];
      return `SMA ${length} ${typeof value === "number" ? number(value) : "–"}`;
    });
    const prices = `O ${number(bar.open)} H ${number(bar.high)} L ${number(bar.low)} C ${number(bar.close)} V ${number(bar.volume, 0, 0)}`;
    const text = [formatInstant(bar.time * 1000, "short"), prices, ...averages, ...this.indicators.legend(bar)].join(" · ");
    if (place.textContent !== text) place.textContent = text;
  }

  /** The file holds the bars in view. */
  private link(): void {
    const link = document.querySelector<HTMLAnchorElement>("#candles-csv");
    const { visible } = this.state();
    if (!link || visible?.from == null || visible.to == null) return;
    const url = new URL(link.href);
    url.searchParams.set("from", iso(visible.from));
    url.searchParams.set("to", iso(visible.to));
    link.href = url.pathname + url.search;
  }

  private frame(state?: string): string | undefined {
    return frame(this.host, state);
  }

  private fail(error: unknown): void {
    const why = document.getElementById("candles-why");
    if (why) why.textContent = error instanceof Error ? error.message : "The bars cannot be loaded.";
    this.frame("error");
  }

  private note(text: string): void {
    const place = document.getElementById("candles-note");
    if (place) place.textContent = text;
  }
}

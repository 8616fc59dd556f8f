// How a chart of candles looks: colours of the theme, times of the chosen zone.

import { ColorType, TickMarkType } from "lightweight-charts";
import type { ChartOptions, DeepPartial, UTCTimestamp } from "lightweight-charts";
import { token } from "./chart-frame";
import { formatInstant } from "./zone";

export function chartOptions(): DeepPartial<ChartOptions> {
  const accent = token("--accent");
  return {
    layout: {
      background: { type: ColorType.Solid, color: token("--card") },
      textColor: token("--muted"),
      fontFamily: getComputedStyle(document.body).fontFamily,
      fontSize: 11,
      panes: { separatorColor: token("--line") },
    },
    grid: { vertLines: { visible: false }, horzLines: { color: token("--line") } },
    rightPriceScale: { borderVisible: false },
    timeScale: {
      borderColor: token("--line"),
      timeVisible: true,
      secondsVisible: false,
      tickMarkFormatter: (time: UTCTimestamp, mark: TickMarkType) =>
        formatInstant(time * 1000, mark <= TickMarkType.DayOfMonth ? "date" : "minute"),
    },
    localization: {
      timeFormatter: (time: UTCTimestamp) => formatInstant(time * 1000, "full"),
    },
    crosshair: { vertLine: { labelBackgroundColor: accent }, horzLine: { labelBackgroundColor: accent } },
    handleScroll: { vertTouchDrag: false, mouseWheel: false },
    handleScale: { mouseWheel: false },
  };
}

// What charts share: colours of the theme, the state of the frame around one, and the buttons that move it.

import type { IChartApi } from "lightweight-charts";

/** A colour of the theme. */
export function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** The state of the frame around a chart: loading, ready, empty or error; sets it when one is given. */
export function frame(host: HTMLElement, state?: string): string | undefined {
  const around = host.closest<HTMLElement>("[data-chart-state]");
  if (around && state !== undefined) around.dataset["chartState"] = state;
  return around?.dataset["chartState"];
}

/** Zooms and pans as a button says. */
export function act(chart: IChartApi, wanted: string): void {
  const scale = chart.timeScale();
  const range = scale.getVisibleLogicalRange();
  if (!range) return;
  const width = range.to - range.from;
  const middle = (range.from + range.to) / 2;
  switch (wanted) {
    case "zoom-in":
      scale.setVisibleLogicalRange({ from: middle - width / 4, to: middle + width / 4 });
      break;
    case "zoom-out":
      scale.setVisibleLogicalRange({ from: middle - width, to: middle + width });
      break;
    case "pan-left":
      scale.setVisibleLogicalRange({ from: range.from - width / 4, to: range.to - width / 4 });
      break;
    case "pan-right":
      scale.setVisibleLogicalRange({ from: range.from + width / 4, to: range.to + width / 4 });
      break;
    case "latest":
      // At once: an animation would end wherever bars that load meanwhile leave it.
      scale.scrollToPosition(scale.options().rightOffset, false);
      break;
    case "all":
      scale.fitContent();
      break;
  }
}

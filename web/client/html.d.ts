// Charts state what they show, so that a test or a person at the console can ask.
interface ChartState {
  points: number;
  first: number | null;
  last: number | null;
  lastValue: number | null;
  loading: boolean;
}

interface LinesState extends ChartState {
  /** What each line has. */
  lines: { name: string; points: number; marks: number; lastValue: number | null }[];
}

interface CandleState extends ChartState {
  /** Start of the oldest bar loaded, unix seconds. */
  start: number;
  /** Fills marked. */
  markers: number;
  averages: { length: number; value: number | null }[];
  /** Indicators at the newest bar. */
  figures: { label: string; value: number | null }[];
  /** Lines of positions and open orders. */
  lines: number;
  /** Closes of the first and the last bar in view, unix seconds. */
  visible: { from: number | null; to: number | null } | null;
  /** Whether older bars are to be had. */
  older: boolean;
  basis: number;
}

interface Window {
  __charts: Record<string, { state(): ChartState | CandleState | LinesState }>;
}

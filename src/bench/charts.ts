/**
 * Charts as SVG that stands in a page: lines over an axis, columns in groups, bars of shares. D3 makes scales, ticks and
 * paths; colours are the page's (`var(--put)`), so that one drawing serves light, dark and print. Texts are escaped here.
 */
import { type ScaleBand, type ScaleLinear, scaleBand, scaleLinear, scalePoint } from 'd3-scale';
import { curveMonotoneX, line } from 'd3-shape';
import { escaped } from './html.ts';

/** What a chart shows, for those who see it and for those who do not. */
export interface ChartText {
  /** Unique in its page. */
  id: string;
  title: string;
  description: string;
  /** What the vertical axis counts. */
  unit?: string | undefined;
}

/** One colour's share of a chart. `color` is the name of a variable of the page's style. */
export interface Series {
  name: string;
  color: string;
}

export interface LineSeries extends Series {
  points: readonly { x: number; y: number }[];
}

export interface ColumnSeries extends Series {
  /** By group; undefined where there is none. */
  values: readonly (number | undefined)[];
}

const WIDTH = 440;
const HEIGHT = 256;
const MARGIN = { top: 50, right: 16, bottom: 42, left: 48 };
const TICK_COUNT = 4;

const LEFT = MARGIN.left;
const RIGHT = WIDTH - MARGIN.right;
const TOP = MARGIN.top;
const BOTTOM = HEIGHT - MARGIN.bottom;

/** Lines over a number, such as time. The area under each is tinted. */
export function lineChart(text: ChartText, series: readonly LineSeries[], axis: { label: string }): string {
  const x = scaleLinear([0, most(series.flatMap(({ points }) => points.map((point) => point.x)))], [LEFT, RIGHT]);
  const ticks = x.ticks(TICK_COUNT).map((tick) => ({ at: x(tick), text: String(tick) }));
  return curves(text, series, { ticks, label: axis.label, place: (value) => x(value) });
}

/** Lines over names, such as percentiles, at equal distances. A point's `x` is its name's index. */
export function pointChart(
  text: ChartText,
  series: readonly LineSeries[],
  axis: { label: string; names: readonly string[] },
): string {
  const x = scalePoint(axis.names, [LEFT + 18, RIGHT - 18]);
  const place = (index: number) => x(axis.names[index]!)!;
  const ticks = axis.names.map((name, index) => ({ at: place(index), text: name }));
  return curves(text, series, { ticks, label: axis.label, place, dotted: true });
}

interface Axis {
  ticks: readonly { at: number; text: string }[];
  label: string;
}

function curves(
  text: ChartText,
  series: readonly LineSeries[],
  { place, dotted = false, ...axis }: Axis & { place: (x: number) => number; dotted?: boolean },
): string {
  const y = upward(series.flatMap(({ points }) => points.map((point) => point.y)));
  const drawn = series.map(({ color, points }) => {
    const at = points.map((point): [number, number] => [place(point.x), y(point.y)]);
    const path = line().curve(curveMonotoneX)(at) ?? '';
    const [first, last] = [at[0], at.at(-1)];
    const area = first && last ? `${path}L${last[0]},${BOTTOM}L${first[0]},${BOTTOM}Z` : '';
    const dots = dotted ? at.map(([cx, cy]) => `<circle cx="${num(cx)}" cy="${num(cy)}" r="3.5"/>`).join('') : '';
    return (
      `<path d="${rounded(area)}" fill="var(--${color})" fill-opacity="0.1"/>` +
      `<path d="${rounded(path)}" fill="none" stroke="var(--${color})" stroke-width="2"/>` +
      `<g fill="var(--${color})" stroke="var(--card)" stroke-width="1.5">${dots}</g>`
    );
  });
  return svg(text, HEIGHT, `${legend(series)}${verticalAxis(y, text.unit)}${horizontalAxis(axis)}${drawn.join('')}`);
}

/** Columns in groups, each with its value above it. */
export function columnChart(
  text: ChartText,
  series: readonly ColumnSeries[],
  axis: { label: string; groups: readonly string[]; format: (value: number) => string },
): string {
  const y = upward(series.flatMap(({ values }) => values.map((value) => value ?? 0)));
  const outer = scaleBand(axis.groups, [LEFT, RIGHT]).paddingInner(0.3).paddingOuter(0.15);
  const inner = scaleBand([0, outer.bandwidth()])
    .domain(series.map(({ name }) => name))
    .padding(0.08);
  const width = Math.min(inner.bandwidth(), MOST_COLUMN);
  const drawn = series.flatMap(({ name, color, values }) =>
    values.flatMap((value, index) => {
      if (value === undefined) return [];
      const left = outer(axis.groups[index]!)! + inner(name)! + (inner.bandwidth() - width) / 2;
      return [
        `<rect x="${num(left)}" y="${num(y(value))}" width="${num(width)}" height="${num(BOTTOM - y(value))}" rx="2" fill="var(--${color})"/>` +
          `<text class="value" x="${num(left + width / 2)}" y="${num(y(value) - 5)}" text-anchor="middle">${escaped(axis.format(value))}</text>`,
      ];
    }),
  );
  const ticks = axis.groups.map((group) => ({ at: middleOf(outer, group), text: group }));
  const axes = `${verticalAxis(y, text.unit)}${horizontalAxis({ ticks, label: axis.label })}`;
  return svg(text, HEIGHT, `${legend(series)}${axes}${drawn.join('')}`);
}

const MOST_COLUMN = 56;
/** A share's label has no room in less. */
const LEAST_LABELLED = 42;

function middleOf(scale: ScaleBand<string>, name: string): number {
  return scale(name)! + scale.bandwidth() / 2;
}

/** A bar for each row, cut into shares of one. */
export function shareChart(
  text: ChartText,
  parts: readonly Series[],
  rows: readonly { name: string; shares: readonly number[] }[],
): string {
  const barHeight = 40;
  const x = scaleLinear([0, 1], [LEFT, RIGHT]);
  const y = scaleBand(
    rows.map(({ name }) => name),
    [TOP + 46, BOTTOM + 8],
  ).paddingInner(0.2);
  const drawn = rows.map(({ name, shares }) => {
    const top = y(name)! + (y.bandwidth() - barHeight) / 2;
    let before = 0;
    const bars = shares.map((share, index) => {
      const [from, to] = [x(before), x(before + share)];
      before += share;
      const label = `${Math.round(100 * share)} %`;
      const fits = to - from > LEAST_LABELLED;
      return (
        `<rect x="${num(from)}" y="${num(top)}" width="${num(Math.max(0, to - from))}" height="${barHeight}" fill="var(--${parts[index]!.color})" stroke="var(--card)"/>` +
        (fits
          ? `<text class="inside" x="${num((from + to) / 2)}" y="${num(top + barHeight / 2)}" dy="0.35em" text-anchor="middle">${label}</text>`
          : '')
      );
    });
    const label = `<text x="${LEFT - 10}" y="${num(top + barHeight / 2)}" dy="0.35em" text-anchor="end">${escaped(name)}</text>`;
    return label + bars.join('');
  });
  return svg(text, HEIGHT, `${legend(parts, { perRow: 3 })}${drawn.join('')}`);
}

/** From nothing up to some more than the most there is. */
function upward(values: readonly number[]): ScaleLinear<number, number> {
  return scaleLinear([0, most(values)], [BOTTOM, TOP]).nice(TICK_COUNT);
}

function most(values: readonly number[]): number {
  return Math.max(...values, 0) || 1;
}

function verticalAxis(y: ScaleLinear<number, number>, unit = ''): string {
  const format = y.tickFormat(TICK_COUNT);
  const lines = y.ticks(TICK_COUNT).map((tick) => {
    const at = num(y(tick));
    return (
      `<line class="grid" x1="${LEFT}" x2="${RIGHT}" y1="${at}" y2="${at}"/>` +
      `<text x="${LEFT - 8}" y="${at}" dy="0.35em" text-anchor="end">${escaped(format(tick))}</text>`
    );
  });
  return `${lines.join('')}<text class="unit" x="${LEFT - 8}" y="${TOP - 14}" text-anchor="end">${escaped(unit)}</text>`;
}

function horizontalAxis({ ticks, label }: Axis): string {
  const texts = ticks.map(
    ({ at, text }) => `<text x="${num(at)}" y="${BOTTOM + 17}" text-anchor="middle">${escaped(text)}</text>`,
  );
  const middle = (LEFT + RIGHT) / 2;
  return (
    `<line class="axis" x1="${LEFT}" x2="${RIGHT}" y1="${BOTTOM}" y2="${BOTTOM}"/>${texts.join('')}` +
    `<text class="unit" x="${middle}" y="${BOTTOM + 34}" text-anchor="middle">${escaped(label)}</text>`
  );
}

/** Names beside their colours, in columns, from the top on. */
function legend(series: readonly Series[], { perRow = series.length } = {}): string {
  const columnWidth = (RIGHT - LEFT) / Math.max(perRow, 3);
  const items = series.map(({ name, color }, index) => {
    const x = LEFT + (index % perRow) * columnWidth;
    const y = 12 + Math.floor(index / perRow) * 20;
    return (
      `<rect x="${num(x)}" y="${y - 5}" width="10" height="10" rx="2" fill="var(--${color})"/>` +
      `<text x="${num(x + 15)}" y="${y}" dy="0.35em">${escaped(name)}</text>`
    );
  });
  return items.join('');
}

function svg({ id, title, description }: ChartText, height: number, content: string): string {
  return (
    `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="${id}-title ${id}-desc">` +
    `<title id="${id}-title">${escaped(title)}</title><desc id="${id}-desc">${escaped(description)}</desc>${content}</svg>`
  );
}

/** A tenth of a unit is enough, and spares the page thousands of digits. */
function num(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function rounded(path: string): string {
  return path.replace(/-?\d+\.\d+/g, (text) => num(Number(text)));
}

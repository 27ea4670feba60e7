import { createRequire } from 'node:module';
import { type Canvas, createCanvas, GlobalFonts, type SKRSContext2D } from '@napi-rs/canvas';
import {
  Chart,
  type ChartConfiguration,
  type ChartDataset,
  Legend,
  LinearScale,
  LineController,
  LineElement,
  PointElement,
  Title,
} from 'chart.js';
import type { OperationResult } from '../fleet/operations.ts';
import { timeLabel, timeTicks, valueLabel, valueStep } from './chart-axes.ts';

type Metrics = OperationResult<'get_agent_metrics'>;
type Series = Metrics['series'][number];

const WIDTH = 900;
const PANEL_HEIGHT = 260;
const HEAD_HEIGHT = 44;
/** Pixels per unit of length, so that text stays sharp where pictures are shown larger. */
const SCALE = 2;
const TIME_TICKS_COUNT = 10;
const VALUE_TICKS_COUNT = 5;
const VALUE_AXIS_WIDTH = 84;
const TITLE_MAX_CHARS = 40;

// The picture brings its own background, so that it reads alike on light and on dark pages.
const BACKGROUND = '#ffffff';
const INK = '#1f2933';
const FAINT = '#5b6770';
const GRID = '#e3e7eb';
/** Told apart by people who see colours differently (Okabe and Ito), dark enough on white. */
const COLOURS = ['#0072b2', '#d55e00', '#00805c', '#a8478a', '#8a6d00', '#3f51b5'] as const;

/** Servers have no fonts. */
const FONT = 'Tomo Sans';

/** A PNG: one panel for each unit, one line for each metric, time along the bottom in UTC. */
export async function metricsChart(metrics: Metrics): Promise<Buffer> {
  prepare();
  const panels = [...Map.groupBy(metrics.series, ({ unit }) => unit)];
  const height = HEAD_HEIGHT + panels.length * PANEL_HEIGHT;
  const canvas = createCanvas(WIDTH * SCALE, height * SCALE);
  const context = canvas.getContext('2d');
  context.fillStyle = BACKGROUND;
  context.fillRect(0, 0, canvas.width, canvas.height);
  drawHead(canvas, metrics);
  for (const [index, [unit, series]] of panels.entries()) {
    drawPanel(HEAD_HEIGHT + index * PANEL_HEIGHT, context, { metrics, unit, series });
  }
  // Compressed in a thread of its own.
  return await canvas.encode('png');
}

let isPrepared = false;

function prepare(): void {
  if (isPrepared) return;
  const require = createRequire(import.meta.url);
  const regular = require.resolve('@fontsource/inter/files/inter-latin-400-normal.woff2');
  const strong = require.resolve('@fontsource/inter/files/inter-latin-600-normal.woff2');
  for (const file of [regular, strong]) GlobalFonts.registerFromPath(file, FONT);
  Chart.defaults.font.family = FONT;
  Chart.register(LineController, LineElement, PointElement, LinearScale, Legend, Title);
  isPrepared = true;
}

function drawHead(canvas: Canvas, metrics: Metrics): void {
  const { server_id, container, aggregate, step_seconds, since, until } = metrics;
  const context = canvas.getContext('2d');
  const subject = container === undefined ? server_id : `${container} on ${server_id}`;
  const span = `${minutes(since)} to ${minutes(until)} UTC, ${aggregate} of every ${duration(step_seconds)}`;
  context.scale(SCALE, SCALE);
  context.textBaseline = 'middle';
  context.fillStyle = INK;
  context.font = `600 18px '${FONT}'`;
  context.fillText(cut(subject), 16, HEAD_HEIGHT / 2 + 2);
  context.fillStyle = FAINT;
  context.font = `400 13px '${FONT}'`;
  context.textAlign = 'right';
  context.fillText(span, WIDTH - 20, HEAD_HEIGHT / 2 + 2);
  context.resetTransform();
}

function cut(title: string): string {
  return title.length > TITLE_MAX_CHARS ? `${title.slice(0, TITLE_MAX_CHARS - 1)}…` : title;
}

function minutes(time: string): string {
  return time.slice(0, 16).replace('T', ' ');
}

function duration(seconds: number): string {
  if (seconds % 86_400 === 0) return `${seconds / 86_400} d`;
  if (seconds % 3_600 === 0) return `${seconds / 3_600} h`;
  return seconds % 60 === 0 ? `${seconds / 60} min` : `${seconds} s`;
}

/** On a canvas of its own, which Chart.js makes SCALE times as large and clears in the end. */
function drawPanel(top: number, context: SKRSContext2D, panel: Panel): void {
  const canvas = createCanvas(WIDTH, PANEL_HEIGHT);
  const chart = new Chart(canvas, panelOf(panel));
  context.drawImage(canvas, 0, top * SCALE);
  chart.destroy();
}

interface Panel {
  readonly metrics: Metrics;
  readonly unit: string;
  readonly series: readonly Series[];
}

interface Point {
  readonly x: number;
  readonly y: number;
}

function panelOf({
  metrics: { times, step_seconds },
  unit,
  series,
}: Panel): ChartConfiguration<'line', Point[]> {
  const at = times.map((time) => Date.parse(time));
  return {
    type: 'line',
    data: {
      datasets: series.map((one, index) => lineOf(one, at, COLOURS[index % COLOURS.length])),
    },
    options: {
      animation: false,
      responsive: false,
      devicePixelRatio: SCALE,
      parsing: false,
      events: [],
      color: INK,
      layout: { padding: { left: 12, right: 20, bottom: 8 } },
      plugins: {
        title: {
          display: true,
          text: unit,
          align: 'start',
          color: INK,
          font: { size: 13, weight: 600 },
        },
        legend: {
          position: 'top',
          align: 'end',
          labels: { boxWidth: 18, boxHeight: 2, color: INK, font: { size: 12 } },
        },
      },
      scales: {
        x: timeAxis(at[0] ?? 0, (at.at(-1) ?? 0) + step_seconds * 1_000),
        y: valueAxis(unit, series),
      },
    },
  };
}

function lineOf(
  { metric, values }: Series,
  at: readonly number[],
  colour: string = INK,
): ChartDataset<'line', Point[]> {
  // A value alone between gaps has no line to be seen by.
  const isAlone = (index: number): boolean =>
    typeof values[index - 1] !== 'number' && typeof values[index + 1] !== 'number';
  return {
    label: metric,
    data: at.map((x, index) => ({ x, y: values[index] ?? Number.NaN })),
    borderColor: colour,
    backgroundColor: colour,
    borderWidth: 2,
    pointRadius: at.map((_, index) => (isAlone(index) ? 2.5 : 0)),
    tension: 0,
  };
}

type Scales = NonNullable<NonNullable<ChartConfiguration<'line'>['options']>['scales']>;

function timeAxis(from: number, to: number): NonNullable<Scales['x']> {
  const ticks = timeTicks(from, to, TIME_TICKS_COUNT);
  return {
    type: 'linear',
    min: from,
    max: to,
    title: { display: true, text: 'time (UTC)', color: FAINT, font: { size: 11 } },
    grid: { color: GRID },
    border: { color: FAINT },
    afterBuildTicks: (axis) => {
      axis.ticks = ticks.map((value) => ({ value }));
    },
    ticks: {
      color: FAINT,
      autoSkip: false,
      maxRotation: 0,
      callback: (value) => timeLabel(Number(value), ticks),
    },
  };
}

function valueAxis(unit: string, series: readonly Series[]): NonNullable<Scales['y']> {
  const max = Math.max(0, ...series.flatMap(({ values }) => values.map((value) => value ?? 0)));
  const stepSize = valueStep(max, unit, VALUE_TICKS_COUNT);
  return {
    type: 'linear',
    beginAtZero: true,
    // As wide in all panels, so that their times lie below each other.
    afterFit: (axis) => {
      axis.width = VALUE_AXIS_WIDTH;
    },
    // A line at zero is seen above the axis, and not in the middle of the panel.
    suggestedMax: max === 0 ? 1 : max,
    grid: { color: GRID },
    border: { color: FAINT },
    ticks: {
      color: FAINT,
      maxTicksLimit: VALUE_TICKS_COUNT + 2,
      ...(stepSize === undefined ? {} : { stepSize }),
      callback: (value) => valueLabel(Number(value), unit),
    },
  };
}

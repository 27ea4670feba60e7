import { readdir, readFile } from 'node:fs/promises';
import { METRICS_SENSORS_MAX_COUNT } from '../../protocol/limits.ts';
import type { Metrics } from '../../protocol/telemetry.ts';

type Temperature = NonNullable<Metrics['temperatures']>[number];

/** What a broken or absent sensor says is outside of it. */
const CELSIUS_MIN = -50;
const CELSIUS_MAX = 200;

/** The sensors of hwmon, or the thermal zones where there are none; empty on most virtual machines. */
export async function readTemperatures(root = '/sys/class'): Promise<Temperature[]> {
  const sensors = await readAll(root, 'hwmon', sensorsOf);
  return sensors.length > 0 ? sensors : await readAll(root, 'thermal', zoneOf);
}

async function readAll(
  root: string,
  kind: string,
  read: (directory: string) => Promise<Temperature[]>,
): Promise<Temperature[]> {
  const names = await entries(`${root}/${kind}`);
  const read64 = names.slice(0, METRICS_SENSORS_MAX_COUNT);
  const found = await Promise.all(read64.map((name) => read(`${root}/${kind}/${name}`)));
  return found.flat().slice(0, METRICS_SENSORS_MAX_COUNT);
}

async function sensorsOf(directory: string): Promise<Temperature[]> {
  const files = await entries(directory);
  const inputs = files.filter((file) => /^temp\d+_input$/.test(file));
  const chip = (await text(`${directory}/name`)) ?? 'sensor';
  const found = await Promise.all(
    inputs.slice(0, METRICS_SENSORS_MAX_COUNT).map(async (file) => {
      const label = await text(`${directory}/${file.replace('_input', '_label')}`);
      return temperature(`${chip} ${label ?? file.replace('_input', '')}`, `${directory}/${file}`);
    }),
  );
  return found.filter((sensor) => sensor !== undefined);
}

async function zoneOf(directory: string): Promise<Temperature[]> {
  const type = (await text(`${directory}/type`)) ?? 'zone';
  const found = await temperature(type, `${directory}/temp`);
  return found === undefined ? [] : [found];
}

async function temperature(sensor: string, file: string): Promise<Temperature | undefined> {
  const millidegrees = await text(file);
  if (millidegrees === undefined) return undefined;
  const celsius = Math.round(Number(millidegrees) / 100) / 10;
  if (!(celsius > CELSIUS_MIN && celsius < CELSIUS_MAX)) return undefined;
  return { sensor: sensor.slice(0, 255), celsius };
}

async function entries(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch(() => []);
  return names.toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true }));
}

/** A sensor that is switched off answers with an error. */
async function text(file: string): Promise<string | undefined> {
  const read = await readFile(file, 'utf8').catch(() => '');
  return read.trim() === '' ? undefined : read.trim();
}

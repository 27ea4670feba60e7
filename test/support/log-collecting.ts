import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import { expect, onTestFinished } from 'vitest';
import { EngineEvents } from '../../agent/events/engine-events.ts';
import { LiveSettings } from '../../agent/live-settings.ts';
import { LogCollector } from '../../agent/logs/log-collector.ts';
import { PositionFile } from '../../agent/logs/position-file.ts';
import { DockerEngine } from '../../docker-engine/docker-engine.ts';
import {
  type LogBatch,
  type LogCollection,
  logBatchSchema,
} from '../../protocol/log-collection.ts';
import { eventually } from './hub.ts';

export interface CollectingOptions {
  readonly collection: LogCollection;
  readonly dataDir?: string;
  /** Whether batches are acknowledged as they come. */
  readonly acks?: boolean;
  /** Of containers at one time. */
  readonly maxCount?: number;
}

/** An agent's collector with a hub's end that keeps what it is sent; it ends with the test. */
export async function collectLogs(dockerHost: string, options: CollectingOptions) {
  const { collection, acks = true, dataDir: given, ...more } = options;
  const dataDir = given ?? (await dataDirectory());
  const log = pino({ level: 'silent' });
  const engine = new DockerEngine(dockerHost);
  const events = new EngineEvents({ engine, log });
  const settings = new LiveSettings();
  const positions = new PositionFile(dataDir, log);
  await positions.load();
  const quick = { batchMs: 20, writeMs: 50, resendMs: 200 };
  const reports: object[] = [];
  const report = (one: object): void => {
    reports.push(one);
  };
  const all = { engine, events, settings, positions, log, report, ...quick, ...more };
  const collector = new LogCollector(all);
  const batches: LogBatch[] = [];
  let dispose = async (): Promise<void> => {
    dispose = () => Promise.resolve();
    await collector[Symbol.asyncDispose]();
    await events[Symbol.asyncDispose]();
  };
  onTestFinished(() => dispose());
  const ack = (batch: number): void => collector.feed.notified('logs.ack', { batch });
  settings.collectLogs(collection);
  const detach = collector.feed.attach((_method, params) => {
    const batch = logBatchSchema.parse(JSON.parse(JSON.stringify(params)));
    if (!batches.some((known) => known.batch === batch.batch)) batches.push(batch);
    if (acks) setImmediate(ack, batch.batch);
  });
  await eventually(() => expect(events.isUp).toBe(true));
  const entries = (name: string): LogBatch['lines'] =>
    batches.flatMap(({ containers, lines }) =>
      lines.filter(({ container }) => containers[container]?.name === name),
    );
  const lines = (name: string): string[] => entries(name).map(({ text }) => text);
  const parts = {
    batches,
    entries,
    lines,
    ack,
    detach,
    settings,
    collector,
    dataDir,
    reports,
    events,
  };
  return { ...parts, dispose: () => dispose() };
}

/** Goes with the test. */
export async function dataDirectory(): Promise<string> {
  const at = await mkdtemp(path.join(tmpdir(), 'tomo-logs-'));
  onTestFinished(() => rm(at, { recursive: true }));
  return at;
}

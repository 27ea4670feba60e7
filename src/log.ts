import { type Logger, pino } from 'pino';
import pretty from 'pino-pretty';
import type { Config } from './config.ts';

const STDERR = 2;

/** Logs go to stderr, for stdout may belong to MCP: JSON, or readable lines on a terminal. */
export function createLog({ logLevel }: Pick<Config, 'logLevel'>): Logger {
  const destination = process.stderr.isTTY
    ? pretty({ destination: STDERR, sync: true, ignore: 'pid,hostname' })
    : pino.destination({ fd: STDERR, sync: true });
  return pino({ name: 'tomo', level: logLevel }, destination);
}

import { z } from 'zod';
import { OPERATIONS } from '../../fleet/operations.ts';
import { defineTool } from '../define-tool.ts';
import { metricsText } from '../metrics-text.ts';
import type { ToolImage } from '../tool-result.ts';

const { args, result } = OPERATIONS.get_agent_metrics;

const input = args.extend({
  format: z
    .enum(['data', 'chart'])
    .default('data')
    .describe('chart: a picture of lines over time beside the numbers.'),
});

export const getAgentMetricsTool = defineTool({
  name: 'get_agent_metrics',
  title: 'See metrics over time',
  description:
    'How a server or one of its containers did over time: processor, load, memory, disks, network, temperature: {"server_id": "web-1", "since": "-6h"} or {"server_id": "web-1", "container": "db", "metrics": ["cpu", "memory"], "format": "chart"}. Kept are 24 hours as measured and 30 days as means of five minutes. What a server does this moment, all its disks and containers: get_agent_status or the command metrics.get.',
  annotations: {
    readOnlyHint: true,
    destructiveHint: false,
    idempotentHint: true,
    openWorldHint: false,
  },
  input,
  output: result,
  run: async ({ format, ...parsed }, { fleet, caller }) => {
    const structured = await fleet.perform('get_agent_metrics', parsed, caller);
    const image = format === 'chart' ? await chartOf(structured) : undefined;
    return { structured, text: metricsText(structured), ...(image === undefined ? {} : { image }) };
  },
});

/** Loaded with the first chart: the library takes memory that most hubs never need. */
async function chartOf(metrics: z.output<typeof result>): Promise<ToolImage | undefined> {
  if (metrics.times.length === 0) return undefined;
  const { metricsChart } = await import('../metrics-chart.ts');
  const png = await metricsChart(metrics);
  return { data: png.toString('base64'), mimeType: 'image/png' };
}

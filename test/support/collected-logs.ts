import { z } from 'zod';
import type { TestClient } from './mcp-client.ts';

const pageSchema = z.object({
  lines: z.array(z.object({ text: z.string(), container: z.string() })),
  next_cursor: z.string().optional(),
});

/** Every line of a container that search_logs finds, oldest first. */
export async function collected(client: TestClient, container: string): Promise<string[]> {
  const texts: string[] = [];
  let cursor: string | undefined;
  do {
    const args = { container, limit: 1_000, ...(cursor === undefined ? {} : { cursor }) };
    const { structuredContent } = await client.callTool('search_logs', args);
    const page = pageSchema.parse(structuredContent);
    texts.push(...page.lines.map(({ text }) => text));
    cursor = page.next_cursor;
  } while (cursor !== undefined);
  return texts.toReversed();
}

import { defineConfig } from 'drizzle-kit';

export default defineConfig({
  dialect: 'sqlite',
  schema: ['./src/db/schema.ts', './src/db/log-tables.ts', './src/db/metrics-tables.ts'],
  out: './drizzle',
});

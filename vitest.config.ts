import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{protocol,src,agent,test}/**/*.test.ts'],
    exclude: ['test/fixtures/**'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});

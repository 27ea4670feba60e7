import { defineConfig } from 'vitest/config';

const { CI, TOMO_TEST_REPORT } = process.env;

export default defineConfig({
  test: {
    include: ['{protocol,docker-engine,src,agent,test}/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
    // The report that CI counts its closing line from.
    reporters: TOMO_TEST_REPORT
      ? ['default', ['json', { outputFile: TOMO_TEST_REPORT }]]
      : ['default'],
    coverage: {
      enabled: CI === 'true',
      include: ['protocol/**', 'docker-engine/**', 'src/**', 'agent/**'],
      reporter: ['text', 'text-summary'],
    },
  },
});

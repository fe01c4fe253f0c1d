import { defineConfig } from 'vitest/config'

// unit: pure rooms, no privileges. root: the real kernel. e2e: the command line and the daemon. Each file of root and e2e has
// a network namespace, control groups and directories of its own, so two of them go at once.
/** How many times longer everything may take; an emulated machine has a number above 1. */
const slowness = Number(process.env['TSSTACK_TEST_SLOWNESS'] ?? 1)

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.root.test.ts', 'test/e2e/**'],
        },
      },
      {
        test: {
          name: 'root',
          include: ['test/**/*.root.test.ts'],
          exclude: ['test/e2e/**'],
          maxWorkers: 2,
          testTimeout: 60_000 * slowness,
          hookTimeout: 60_000 * slowness,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          maxWorkers: 2,
          testTimeout: 180_000 * slowness,
          hookTimeout: 180_000 * slowness,
        },
      },
    ],
  },
})

import { defineConfig } from 'vitest/config'

// unit: pure rooms, no privileges. root: the real kernel, in namespaces of its own. e2e: the command line and the daemon.
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
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
})

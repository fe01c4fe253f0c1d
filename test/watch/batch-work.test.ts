import { expect, test } from 'vitest'
import { followUps, syncTasks, type ActiveRule } from '../../src/watch/batch-work.ts'
import { ruleFilter } from '../../src/watch/rule-filter.ts'
import { syncLines } from '../../src/watch/sync-lines.ts'
import type { WatchRule } from '../../src/watch/watch-rules.ts'

function active(
  service: string,
  index: number,
  action: WatchRule['action'],
  path = '/p/src',
): ActiveRule {
  const exec = { command: ['reload'] }
  const rule: WatchRule = { service, index, action, path, target: '/app', dockerfile: '', exec }
  return { rule, filter: ruleFilter(rule) }
}

test('syncTasks() sends a path to each service that has a rule for it, parents first', () => {
  const tasks = syncTasks(
    [active('web', 0, 'sync'), active('api', 0, 'sync+exec'), active('api', 1, 'restart')],
    ['/p/src/b/c', '/p/other', '/p/src/b', '/p/src'],
  )
  expect([...tasks.keys()].sort()).toEqual(['api', 'web'])
  expect(tasks.get('web')?.map(({ entry }) => entry)).toEqual([
    { root: '/p/src', path: '', target: '/app' },
    { root: '/p/src', path: 'b', target: '/app/b' },
    { root: '/p/src', path: 'b/c', target: '/app/b/c' },
  ])
})

test('followUps() does each thing once for a burst, and only where something changed', () => {
  const restart = active('web', 0, 'sync+restart')
  const plain = active('web', 1, 'restart', '/p/conf')
  const exec = active('api', 0, 'sync+exec')
  const rules = [restart, plain, exec]
  const paths = ['/p/src/a', '/p/src/b', '/p/conf/x']
  const nothing = followUps(rules, paths.slice(0, 2), new Map())
  expect([nothing.restart.size, nothing.exec.size]).toEqual([0, 0])
  const work = followUps(
    rules,
    paths,
    new Map([
      [restart.rule, '/p/src/a'],
      [exec.rule, '/p/src/a'],
    ]),
  )
  expect([...work.restart]).toEqual([['web', { rule: restart.rule, path: '/p/src/a' }]])
  expect([...work.exec.keys()]).toEqual([exec.rule])
})

test('followUps() does not restart what is built anew', () => {
  const rules = [
    active('web', 0, 'rebuild', '/p'),
    active('web', 1, 'restart'),
    active('web', 2, 'sync+exec'),
  ]
  const synced = new Map(rules.slice(2).map(({ rule }) => [rule, '/p/src/a']))
  const work = followUps(rules, ['/p/src/a'], synced)
  expect([work.rebuild.size, work.restart.size, work.exec.size]).toEqual([1, 0, 0])
})

test('syncLines() says file, rule, action and time; many files in one line; failures with their reason', () => {
  const rule = active('web', 2, 'sync').rule
  const task = (name: string): Parameters<typeof syncLines>[0]['tasks'][number] => ({
    rule,
    path: `/p/src/${name}`,
    entry: { root: '/p/src', path: name, target: `/app/${name}` },
  })
  const shorten = (path: string): string => path.slice(3)
  const tasks = [task('a'), task('b'), task('c')]
  const results = [
    { target: '/app/a', outcome: 'written' },
    { target: '/app/b', outcome: 'unchanged' },
    { target: '/app/c', outcome: 'failed', message: 'web-1: no space left' },
  ] as const
  const response = { containers: ['web-1', 'web-2'], results }
  expect(syncLines({ tasks, response, elapsedMs: 4.24, shorten })).toEqual([
    'src/a → web develop.watch[2] → sync /app/a in 2 containers → 4.2 ms',
    'src/c → web develop.watch[2] → cannot sync /app/c: web-1: no space left',
  ])
  const many = Array.from({ length: 1000 }, (_, index) => task(String(index)))
  const done = {
    containers: ['web-1'],
    results: many.map(() => ({ target: '', outcome: 'written' as const })),
  }
  expect(syncLines({ tasks: many, response: done, elapsedMs: 310, shorten })).toEqual([
    '1000 files → web develop.watch[2] → sync /app → 310 ms',
  ])
})

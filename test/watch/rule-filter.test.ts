import { expect, test } from 'vitest'
import { ruleFilter, type PlacedPatterns, type RuleFilter } from '../../src/watch/rule-filter.ts'
import { watchRules, type WatchRule } from '../../src/watch/watch-rules.ts'
import type { Service, Stack, WatchTrigger } from '../../src/spec/stack.ts'

function stackOf(services: Readonly<Record<string, Service>>): Stack {
  return { name: 's', services, networks: {}, volumes: {}, configs: {}, secrets: {} }
}

function filter(trigger: Partial<WatchTrigger>, dockerignore?: PlacedPatterns): RuleFilter {
  const rule: WatchRule = {
    service: 'web',
    index: 0,
    dockerfile: 'Dockerfile',
    path: '/p/src',
    action: 'sync',
    target: '/app',
    ...trigger,
  }
  return ruleFilter(rule, dockerignore)
}

test('ruleFilter() wants what is below its path, but not what only begins alike', () => {
  const { wants, enters } = filter({})
  expect(wants('/p/src/a/b.js')).toBe(true)
  expect(wants('/p/src-old/a')).toBe(false)
  expect(wants('/p/a')).toBe(false)
  expect([enters('/p'), enters('/p/src/a'), enters('/p/other')]).toEqual([true, true, false])
})

test.each([
  '.git/HEAD',
  'a/.git',
  '.idea/x.xml',
  'a.js~',
  '.a.js.swp',
  '4913',
  '.#a.js',
  'a.js___jb_tmp___',
])('ruleFilter() leaves %s out by itself', (name) => {
  expect(filter({}).wants(`/p/src/${name}`)).toBe(false)
})

test('ruleFilter() heeds ignore, include and .dockerignore, each relative to its own directory', () => {
  const { wants, enters } = filter(
    { ignore: ['node_modules/', '!node_modules/mine'], include: ['**/*.js'] },
    { directory: '/p', patterns: ['src/gen', '*.log'] },
  )
  expect(wants('/p/src/a/b.js')).toBe(true)
  expect(wants('/p/src/a/b.css')).toBe(false)
  expect(wants('/p/src/gen/x.js')).toBe(false)
  expect(wants('/p/src/node_modules/x/y.js')).toBe(false)
  expect(wants('/p/src/node_modules/mine/y.js')).toBe(true)
  expect(enters('/p/src/node_modules')).toBe(true)
  expect(enters('/p/src/node_modules/x')).toBe(false)
  expect(enters('/p/src/gen')).toBe(false)
})

test('ruleFilter() of a single file is about that file', () => {
  const { wants, enters } = filter({ path: '/p/a.conf', include: ['*.js'] })
  expect([wants('/p/a.conf'), wants('/p/b.conf'), enters('/p')]).toEqual([true, false, true])
})

test('watchRules() refuses a rebuild without a build, and passes over what is mounted anyway', () => {
  const rebuild: WatchTrigger = { path: '/p', action: 'rebuild' }
  expect(() => watchRules(stackOf({ web: { image: 'x', develop: { watch: [rebuild] } } }))).toThrow(
    'Cannot watch service "web": action rebuild needs a "build" section',
  )
  const sync: WatchTrigger = { path: '/p/src', action: 'sync', target: '/app' }
  const web: Service = {
    image: 'x',
    volumes: [{ type: 'bind', source: '/p', target: '/all' }],
    develop: { watch: [sync, { path: '/p/src', action: 'restart' }] },
  }
  const { rules, warnings } = watchRules(stackOf({ web, other: web }), ['web'])
  expect(rules.map(({ service, index }) => [service, index])).toEqual([['web', 1]])
  expect(warnings).toEqual([
    'web develop.watch[0] is not followed: "/p/src" is mounted at "/all" anyway',
  ])
})

import { describe, expect, test } from 'vitest'
import { dependencyGraph, selectServices } from '../../src/planner/dependency-graph.ts'
import type { Service } from '../../src/spec/stack.ts'
import { desiredState } from './states.ts'

const graphOf = (services: Record<string, Service>) => dependencyGraph(desiredState(services).stack)
const on = (...names: string[]): Service => ({
  depends_on: Object.fromEntries(
    names.map((name) => [name, { condition: 'service_started', required: true } as const]),
  ),
})

/** `count` services, each depending on the `width` before it. */
function denseServices(count: number, width: number): Record<string, Service> {
  const name = (index: number): string => `s${String(index).padStart(4, '0')}`
  return Object.fromEntries(
    Array.from({ length: count }, (_, index) => [
      name(index),
      on(...Array.from({ length: Math.min(width, index) }, (__, back) => name(index - back - 1))),
    ]),
  )
}

describe('dependencyGraph()', () => {
  test('orders dependencies first and ties by name', () => {
    expect(graphOf({ c: {}, web: on('api', 'b'), api: on('db'), db: {}, b: {} }).order).toEqual([
      'db',
      'api',
      'b',
      'c',
      'web',
    ])
  })

  test('infers edges from links, volumes_from and shared namespaces', () => {
    const graph = graphOf({
      a: {},
      links: { links: ['a:alias'] },
      volumes: { volumes_from: ['a:ro', 'container:b'] },
      net: { network_mode: 'service:a' },
      pid: { pid: 'service:a' },
      ipc: { ipc: 'service:a' },
    })
    expect(graph.dependents.get('a')).toEqual(['ipc', 'links', 'net', 'pid', 'volumes'])
    expect(graph.dependencies.get('net')?.[0]).toMatchObject({ restart: true, shares: true })
    expect(graph.dependencies.get('links')?.[0]).toMatchObject({ restart: true, shares: false })
    expect(graph.dependencies.get('volumes')?.[0]).toMatchObject({ restart: false, shares: false })
  })

  test.for<[string, Record<string, Service>, string]>([
    ['itself', { a: on('a') }, 'a -> a'],
    ['two', { a: on('b'), b: on('a') }, 'a -> b -> a'],
    [
      'a longer one behind others',
      { x: on('a'), a: on('b'), b: on('c'), c: on('a') },
      'a -> b -> c -> a',
    ],
    ['mixed kinds', { a: { links: ['b'] }, b: { network_mode: 'service:a' } }, 'a -> b -> a'],
  ])('names a cycle by its path when it is: %s', ([, services, path]) => {
    expect(() => graphOf(services)).toThrow(`Cannot order services: dependency cycle ${path}`)
  })

  test('takes a chain of 5000 services', () => {
    expect(graphOf(denseServices(5000, 1)).order).toHaveLength(5000)
  })

  test('takes time in proportion to the edges, though paths are countless', { retry: 2 }, () => {
    const time = (count: number): number => {
      const stack = desiredState(denseServices(count, 10)).stack
      const start = performance.now()
      dependencyGraph(stack)
      return performance.now() - start
    }
    time(500)
    const small = Math.min(...[1, 2, 3, 4, 5].map(() => time(250)))
    const large = Math.min(...[1, 2, 3, 4, 5].map(() => time(1000)))
    expect(large / small).toBeLessThan(16)
  })

  test('finds a cycle at the end of a dense graph at once', () => {
    const services = denseServices(500, 20)
    services['s0000'] = on('s0499')
    expect(() => graphOf(services)).toThrow('dependency cycle s0000 -> s0499 ->')
  })
})

describe('selectServices()', () => {
  const graph = graphOf({ web: on('api'), api: on('db'), db: {}, other: {} })

  test('adds dependencies, in order', () => {
    expect(selectServices(graph, ['web'])).toEqual(['db', 'api', 'web'])
    expect(selectServices(graph, ['web', 'db'], { noDeps: true })).toEqual(['db', 'web'])
    expect(selectServices(graph, [])).toHaveLength(4)
  })

  test('refuses what it does not know', () => {
    expect(() => selectServices(graph, ['wbe'])).toThrow('Cannot select service "wbe"')
  })
})

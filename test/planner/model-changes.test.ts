import { describe, expect, test } from 'vitest'
import type { DesiredState } from '../../src/planner/desired-state.ts'
import { formatModelChanges, modelChanges } from '../../src/planner/model-changes.ts'
import { desiredState } from './states.ts'

const before = desiredState({
  web: { image: 'web:1', environment: { MODE: 'a', DB_PASSWORD: 'old' } },
  gone: { image: 'gone:1' },
})

describe('modelChanges()', () => {
  test('the same state has no changes', () => {
    expect(modelChanges(before, before)).toEqual([])
  })

  test('tells attributes that mean nothing to a running container, too', () => {
    const after = desiredState({
      web: { image: 'web:1', scale: 3, environment: { MODE: 'a', DB_PASSWORD: 'old' } },
      gone: { image: 'gone:1' },
    })
    expect(formatModelChanges(modelChanges(before, after))).toEqual([
      '~ service web',
      '    scale: (none) → 3',
    ])
  })

  test('hides what looks like a credential, and tells what came and went', () => {
    const after = desiredState({
      web: { image: 'web:1', environment: { MODE: 'b', DB_PASSWORD: 'new' } },
      fresh: { image: 'fresh:1', command: ['run', '--api-token=s3cret'] },
    })
    const text = formatModelChanges(modelChanges(before, after)).join('\n')
    expect(text).toContain('environment.MODE: "a" → "b"')
    expect(text).toContain('environment.DB_PASSWORD: (sensitive), changed')
    expect(text).toContain('+ service fresh')
    expect(text).toContain('- service gone')
    expect(text).not.toMatch(/s3cret|old|new/)
  })

  test('tells that a secret differs, and neither its content nor its digest', () => {
    const empty = desiredState({})
    const withSecret = (digest: string): DesiredState => ({
      ...empty,
      stack: { ...empty.stack, secrets: { key: { name: 'key', file: '/key' } } },
      contentDigests: { configs: {}, secrets: { key: digest } },
    })
    const [a, b] = ['a'.repeat(64), 'b'.repeat(64)]
    expect(modelChanges(withSecret(a), withSecret(b))).toEqual([
      {
        kind: 'secret',
        name: 'key',
        field: 'content',
        before: '(sensitive)',
        after: '(sensitive)',
      },
    ])
  })
})

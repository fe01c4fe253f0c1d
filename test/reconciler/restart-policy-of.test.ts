import { describe, expect, test } from 'vitest'
import { restartPolicyOf } from '../../src/reconciler/restart-policy-of.ts'
import type { Service } from '../../src/spec/stack.ts'

type Policy = NonNullable<Service['deploy']>['restart_policy']

describe('restartPolicyOf()', () => {
  test.each([
    [undefined, { condition: 'no' }],
    ['no', { condition: 'no' }],
    ['always', { condition: 'always' }],
    ['unless-stopped', { condition: 'unless-stopped' }],
    ['on-failure', { condition: 'on-failure' }],
    ['on-failure:3', { condition: 'on-failure', maxRetries: 3 }],
    ['on-failure:0', { condition: 'on-failure' }],
  ])('restart: %s', (restart, expected) => {
    expect(restartPolicyOf(restart === undefined ? {} : { restart })).toEqual(expected)
  })

  test.each<[string, Policy, object]>([
    ['none', { condition: 'none' }, { condition: 'no' }],
    ['the words of restart', { condition: 'no' }, { condition: 'no' }],
    ['unless-stopped', { condition: 'unless-stopped' }, { condition: 'unless-stopped' }],
    ['any by default', {}, { condition: 'always' }],
    ['any, so many times', { max_attempts: 2 }, { condition: 'always', maxRetries: 2 }],
    ['without end', { condition: 'on-failure', max_attempts: 0 }, { condition: 'on-failure' }],
    [
      'delays',
      { delay: '5s', window: '2m' },
      { condition: 'always', delayMs: 5000, windowMs: 120_000 },
    ],
  ])('deploy.restart_policy wins: %s', (_, policy, expected) => {
    const deploy = { restart_policy: policy ?? {} }
    expect(restartPolicyOf({ restart: 'on-failure:9', deploy })).toEqual(expected)
  })
})

import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { rlimitsOf } from '../../src/engine/rlimits.ts'

const own = Number(
  /Max open files\s+\d+\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1],
)

describe('rlimitsOf()', () => {
  test("tells those that only the host's root may set: above what this process has itself", () => {
    const raised = (hard: number): unknown => rlimitsOf({ nofile: { soft: 1, hard } })[0]?.isRaised
    expect([raised(1), raised(own), raised(own + 1), raised(-1)]).toEqual([
      false,
      false,
      true,
      true,
    ])
  })

  test('of open files the usual soft limit, unless it is asked for', () => {
    const nofile = { name: 'nofile', resource: 7, isRaised: false }
    expect(rlimitsOf({})).toEqual([{ ...nofile, soft: Math.min(1024, own), hard: own }])
    expect(rlimitsOf({ nofile: { soft: 5, hard: 6 } })).toEqual([{ ...nofile, soft: 5, hard: 6 }])
  })

  test('an unknown name is refused', () => {
    expect(() => rlimitsOf({ files: { soft: 1, hard: 1 } })).toThrow('Cannot set ulimit "files"')
  })
})

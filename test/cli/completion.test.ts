import { execFileSync } from 'node:child_process'
import path from 'node:path'
import { describe, expect, test } from 'vitest'

const MAIN = path.join(import.meta.dirname, '../../src/cli/main.ts')
const HELLO = path.join(import.meta.dirname, '../../examples/hello/stack.yaml')

function run(...words: readonly string[]): string[] {
  const text = execFileSync(process.execPath, [MAIN, ...words], { encoding: 'utf8' })
  return text.split('\n').filter((line) => line !== '')
}

describe('tsstack __complete', () => {
  test.each([
    [['vo'], ['volume', 'volumes']],
    [['up', '--abort-on-container-f'], ['--abort-on-container-failure']],
    [['up', '--pull', 'm'], ['missing']],
    [['--progress', 'q'], ['quiet']],
    [
      ['-f', HELLO, 'up', ''],
      ['api', 'front', 'worker'],
    ],
    [['-f', HELLO, 'logs', 'api', 'w'], ['worker']],
    [['-f', HELLO, 'exec', 'f'], ['front']],
    [['-f', HELLO, 'exec', 'front', ''], []],
    [['-f', '/nowhere.yaml', 'up', ''], []],
    [['-f', ''], [':files']],
    [
      ['gitops', 's'],
      ['status', 'suspend', 'sync'],
    ],
    [
      ['gitops', 'rm', '--d'],
      ['--down', '--dry-run'],
    ],
    [['-f', HELLO, 'jobs', 'history', 'w'], ['worker']],
  ])('%j goes on as %j', (words, expected) => {
    expect(run('__complete', ...words).toSorted()).toEqual(expected)
  })
})

test('tsstack completion prints a script that bash takes and that completes', () => {
  const script = run('completion', 'bash').join('\n')
  const program = `tsstack() { "${process.execPath}" "${MAIN}" "$@"; }
${script}
COMP_WORDS=(tsstack vol); COMP_CWORD=1; _tsstack; printf '%s\\n' "\${COMPREPLY[@]}" | sort`
  expect(execFileSync('bash', ['-c', program], { encoding: 'utf8' })).toBe('volume\nvolumes\n')
})

import { expect, it } from 'vitest'
import { expandWord } from '../../src/builder/dockerfile/expand.ts'
import { parseDockerfile } from '../../src/builder/dockerfile/parse-dockerfile.ts'
import { readDockerfile, stagesFor, targetStage } from '../../src/builder/dockerfile/stages.ts'
import { stepKey } from '../../src/builder/step-key.ts'

const NO_ARGS = { given: {}, platform: { TARGETARCH: 'amd64' }, contexts: new Set<string>() }

function expand(word: string): string {
  const variables: Record<string, string> = { a: 'one.two.one', empty: '', path: '/x/y.tar.gz' }
  return expandWord(word, { escape: '\\', lookup: (name) => variables[name] })
}

it.each([
  ['$a-${a}', 'one.two.one-one.two.one'],
  ['\'$a\' "$a" \\$a', '$a one.two.one $a'],
  ['${empty:-x} ${empty-x} ${none:-${a}} ${none-y}', 'x  one.two.one y'],
  ['${a:+set}${empty:+set}${empty+set}', 'setset'],
  ['${path##*/} ${path#*/} ${path%.*} ${path%%.*}', 'y.tar.gz x/y.tar.gz /x/y.tar /x/y'],
  ['${a/one/1} ${a//one/1}', '1.two.one 1.two.1'],
])('expandWord(%j)', (word, expected) => {
  expect(expand(word)).toBe(expected)
})

it('expandWord() fails for a variable that must be set', () => {
  expect(() => expand('${none:?is needed}')).toThrow('variable "none" is not set: is needed')
})

it('parseDockerfile() joins lines, drops comments between them, and keeps here-documents apart', () => {
  const text =
    'FROM a\nRUN x \\\n # no\n\n  && y\nCOPY <<-A <<"B" /d/\n\tone $v\n\tA\ntwo $v\nB\nRUN ["a b", "c"]\n'
  const { instructions } = parseDockerfile(text, 'Dockerfile')
  expect(instructions.map(({ keyword, place }) => [keyword, place.line])).toEqual([
    ['FROM', 1],
    ['RUN', 2],
    ['COPY', 6],
    ['RUN', 11],
  ])
  expect(instructions[1]?.rest).toBe('x   && y')
  expect(instructions[2]?.heredocs).toEqual([
    { name: 'A', content: 'one $v\n', isExpanded: true },
    { name: 'B', content: 'two $v\n', isExpanded: false },
  ])
})

it('parseDockerfile() takes a backtick for the escape when it is told to', () => {
  const { instructions } = parseDockerfile('# escape=`\nFROM a\nRUN a `\n b\\\n', 'Dockerfile')
  expect(instructions[1]?.rest).toBe('a  b\\')
})

it.each([
  ['FROM a\n\n FORM b', 'Dockerfile:3:2: unknown instruction "FORM"'],
  ['FROM a\nCOPY --form=b x y', 'Dockerfile:2:1: COPY has no flag "--form"'],
  ['RUN a', 'Dockerfile:1:1: RUN comes before the first FROM'],
  ['FROM a\nRUN <<E\nx', 'Dockerfile:2:1: here-document "E" does not end'],
  ['FROM $none', 'Dockerfile:1:1: FROM "$none" is empty'],
])('readDockerfile() says where %j is wrong', (text, message) => {
  expect(() => readDockerfile(text, 'Dockerfile', NO_ARGS)).toThrow(message)
})

it('stagesFor() leaves out what the target does not need', () => {
  const text =
    'ARG B=base\nFROM x AS base\nFROM y AS unused\nFROM z AS tool\nFROM $B\nCOPY --from=tool a b\n'
  const dockerfile = readDockerfile(text, 'Dockerfile', NO_ARGS)
  const stages = stagesFor(dockerfile.stages, targetStage(dockerfile, undefined))
  expect(stages.map(({ index }) => index)).toEqual([0, 2, 3])
  expect(stages.at(-1)?.base).toBe(0)
})

it('stepKey() depends on what a step is, not on the order in which it was written down', () => {
  const key = stepKey(['sha256:a'], { kind: 'run', argv: ['x'], environment: { A: '1', B: '2' } })
  expect(stepKey(['sha256:a'], { environment: { B: '2', A: '1' }, argv: ['x'], kind: 'run' })).toBe(
    key,
  )
  expect(
    stepKey(['sha256:b'], { kind: 'run', argv: ['x'], environment: { A: '1', B: '2' } }),
  ).not.toBe(key)
})

import { expect, it } from 'vitest'
import { expandWord } from '../../src/builder/dockerfile/expand.ts'
import { parseDockerfile } from '../../src/builder/dockerfile/parse-dockerfile.ts'
import {
  readDockerfile,
  stagesFor,
  targetStage,
  valueIn,
} from '../../src/builder/dockerfile/stages.ts'
import { stepKey } from '../../src/builder/step-key.ts'

const NO_ARGS = { given: {}, platform: { TARGETARCH: 'amd64' }, contexts: new Set<string>() }

function expand(word: string): string {
  const variables: Record<string, string> = { a: 'one.two.one', empty: '', path: '/x/y.tar.gz' }
  return expandWord(word, { escape: '\\', lookup: (name) => valueIn(name, variables) })
}

it.each<[string, string | undefined]>([
  ['$a-${a}', 'one.two.one-one.two.one'],
  ['\'$a\' "$a" \\$a', '$a one.two.one $a'],
  ['${empty:-x} ${empty-x} ${none:-${a}} ${none-y}', 'x  one.two.one y'],
  ['${a:+set}${empty:+set}${empty+set}', 'setset'],
  ['${path##*/} ${path#*/} ${path%.*} ${path%%.*}', 'y.tar.gz x/y.tar.gz /x/y.tar /x/y'],
  ['${a/one/1} ${a//one/1}', '1.two.one 1.two.1'],
  [
    '${a#*.} ${a##*.} ${a%.*} ${a%%.*} ${a#two} ${a%}',
    'two.one one one.two one one.two.one one.two.one',
  ],
  [
    '${a//o?e/[&]} ${a/t*/x} ${a//\\*/x} ${a///x} ${a//${empty}/x}',
    '[&].two.[&] one.x one.two.one one.two.one one.two.one',
  ],
  ['${path//\\//-} ${path/#x/y}', '-x-y.tar.gz /x/y.tar.gz'],
  ['${none?}${empty:+x}', undefined],
  ['${empty:?} must be', undefined],
  ['${a:-${none:-deep}} ${none:-"a b"\'$c\'} $', 'one.two.one a b$c $'],
  ['a\\ b\\n "x\\n\\"y" \'\\z\'', 'a bn x\\n"y \\z'],
  ['$none$constructor${toString}${__proto__}', ''],
  ['${a', undefined],
  ['${}', undefined],
  ['${a:1}', undefined],
  ['"open', undefined],
])('expandWord(%j)', (word, expected) => {
  if (expected === undefined) expect(() => expand(word)).toThrow()
  else expect(expand(word)).toBe(expected)
})

it('expandWord() gives up on a pattern that a stranger wrote to hold it up', () => {
  const lookup = (): string => 'a'.repeat(10_000)
  const word = `\${a//${'*a'.repeat(200)}*b/x}`
  expect(() => expandWord(word, { escape: '\\', lookup })).toThrow('takes too long')
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

it('parseDockerfile() reads line ends of Windows and a byte order mark, and takes no shift or JSON for a here-document', () => {
  const text =
    '\uFEFF# escape=\\\r\nFROM a\r\nRUN x \\\r\n  y\r\nRUN echo $((1 << 2)) <<<word\r\nRUN ["a", "<<E"]\r\nRUN <<\\E cat\r\n$x\r\nE\r\n'
  const { instructions } = parseDockerfile(text, 'Dockerfile')
  expect(instructions.map(({ rest, heredocs }) => [rest, heredocs])).toEqual([
    ['a', []],
    ['x   y', []],
    ['echo $((1 << 2)) <<<word', []],
    ['["a", "<<E"]', []],
    ['<<\\E cat', [{ name: 'E', content: '$x\n', isExpanded: false }]],
  ])
})

it.each([
  ['# syntax=docker/dockerfile:1.7-labs\n# Check = skip=all\nFROM a', 'skip=all'],
  ['#syntax=mirror.example:5000/docker/dockerfile-upstream@sha256:abc\nFROM a', undefined],
  ['# other=x\n# check=error=true\nFROM a', 'error=true'],
  ['\n# check=skip=all\nFROM a', undefined],
  ['# a comment\n# escape=`\nFROM a', undefined],
])('parseDockerfile() reads the directives of %j', (text, check) => {
  const parsed = parseDockerfile(text, 'Dockerfile')
  expect([parsed.check?.value, parsed.escape]).toEqual([check, '\\'])
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
  ['FROM $constructor', 'Dockerfile:1:1: FROM "$constructor" is empty'],
  ['# escape=x\nFROM a', 'Dockerfile:1:1: escape "x" is neither'],
  ['# syntax=x\n# SYNTAX=y\nFROM a', 'Dockerfile:2:1: directive "SYNTAX" is there twice'],
  ['# syntax=tonistiigi/other\nFROM a', 'Dockerfile:1:1: syntax "tonistiigi/other" is none'],
  ['FROM a AS 1b', 'Dockerfile:1:1: stage name "1b" is none'],
  ['FROM a b', 'Dockerfile:1:1: FROM takes an image'],
  ['FROM --platform=x --platform=y a', 'Dockerfile:1:1: FROM has the flag "--platform" twice'],
  ['FROM a\nONBUILD FROM b', "Dockerfile:2:1: ONBUILD can't hold FROM"],
  ['FROM a\nONBUILD ONBUILD RUN b', "Dockerfile:2:1: ONBUILD can't hold ONBUILD"],
  ['FROM a\nONBUILD MAINTAINER b', "Dockerfile:2:1: ONBUILD can't hold MAINTAINER"],
  ['FROM a\n\n\tONBUILD COPY b', 'Dockerfile:3:2: COPY needs at least'],
  ['FROM a\nSHELL /bin/sh -c', 'Dockerfile:2:1: SHELL needs a list in JSON'],
  ['FROM a\nSHELL []', 'Dockerfile:2:1: SHELL needs a list in JSON'],
  ['FROM a\nRUN []', 'Dockerfile:2:1: RUN needs a command'],
  ['FROM a\nHEALTHCHECK test -e /x', 'Dockerfile:2:1: HEALTHCHECK needs CMD'],
  ['FROM a\nHEALTHCHECK NONE x', 'Dockerfile:2:1: HEALTHCHECK NONE takes nothing else'],
  ['FROM a\nHEALTHCHECK --retires=2 CMD x', 'Dockerfile:2:1: HEALTHCHECK has no flag "--retires"'],
  ['FROM a\nENV a', 'Dockerfile:2:1: ENV needs NAME=VALUE'],
  ['FROM a\nENV a=1 b', 'Dockerfile:2:1: "b" is not NAME=VALUE'],
  ['FROM a\nARG 1=2', 'Dockerfile:2:1: "1" is no name of a variable'],
  ['FROM a\nCOPY --chmod=999 a b', 'Dockerfile:2:1: "--chmod=999" is no mode'],
  ['FROM a\nCOPY --link=maybe a b', 'Dockerfile:2:1: "--link" is true or false'],
  ['FROM a\nCOPY --from= a b', 'Dockerfile:2:1: "--from" has no value'],
  ['FROM a\nRUN --mount=type=cash,target=/x y', 'Dockerfile:2:1: "--mount=type=cash" is none'],
  [
    'FROM a\nRUN --mount=target=/x,form=b y',
    'Dockerfile:2:1: "--mount=type=bind" has no option "form"',
  ],
  ['FROM a\nRUN --mount=type=constructor y', 'Dockerfile:2:1: "--mount=type=constructor" is none'],
  ['FROM a\nRUN --device=x y', 'Dockerfile:2:1: "--device" needs CDI devices'],
  ['FROM a\nWORKDIR', 'Dockerfile:2:1: WORKDIR needs a directory'],
  ['FROM a\nEXPOSE', 'Dockerfile:2:1: EXPOSE needs at least one'],
  ['# nothing', 'Dockerfile:1:1: it has no instructions'],
  ['ARG a', 'Dockerfile:1:1: there is no FROM'],
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

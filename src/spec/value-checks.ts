/** Words that the schema lets through as any text, and that an engine would not know what to do with. */
import type { Finding } from './finding.ts'
import type { Plain } from './model.ts'
import { mapIn, recordsIn, textIn, textsIn } from './model.ts'
import type { Path } from './node.ts'
import { suggest } from './suggest.ts'
import { parseTmpfs } from './tmpfs.ts'
import { PROPAGATIONS } from './volume-syntax.ts'

type ValueCheck = (name: string, service: Plain) => readonly Finding[]

const at = (name: string, ...path: Path): Path => ['services', name, ...path]

/** Not interpolated, so nobody knows what it will be. */
const isOpen = (text: string): boolean => text === '' || text.includes('$')

const POLICIES = ['no', 'always', 'on-failure', 'unless-stopped']
const RESTART = /^(?:no|always|on-failure(?::\d+)?|unless-stopped)$/

const checkRestart: ValueCheck = (name, service) => {
  const restart = textIn(service, 'restart')
  if (isOpen(restart) || RESTART.test(restart)) return []
  return [
    {
      path: at(name, 'restart'),
      message: `services.${name}.restart: invalid restart policy "${restart}"`,
      expected: 'no, always, on-failure, on-failure:N or unless-stopped',
      suggestion: `write ${suggest(restart, POLICIES) ?? 'unless-stopped'}`,
    },
  ]
}

/** Docker Compose takes the words of `restart`, too. */
const CONDITIONS = ['none', 'on-failure', 'any', ...POLICIES]

const checkRestartCondition: ValueCheck = (name, service) => {
  const policy = mapIn(mapIn(service, 'deploy'), 'restart_policy')
  const condition = textIn(policy, 'condition')
  if (isOpen(condition) || CONDITIONS.includes(condition)) return []
  return [
    {
      path: at(name, 'deploy', 'restart_policy', 'condition'),
      message: `services.${name}.deploy.restart_policy.condition: invalid condition "${condition}"`,
      expected: 'none, on-failure or any',
      suggestion: `write ${suggest(condition, CONDITIONS) ?? 'any'}`,
    },
  ]
}

const checkTmpfs: ValueCheck = (name, service) =>
  textsIn(service, 'tmpfs').flatMap((text, index): Finding[] => {
    const state = isOpen(text) ? '' : parseTmpfs(text)
    if (typeof state !== 'string' || state === '') return []
    return [
      {
        path: at(name, 'tmpfs', index),
        message: `services.${name}.tmpfs[${String(index)}]: ${state}`,
        expected: 'PATH[:OPTIONS], such as /run:size=64m,mode=1777,exec',
        suggestion: 'write an absolute path, and options of tmpfs (man 5 tmpfs)',
      },
    ]
  })

const checkPropagation: ValueCheck = (name, service) =>
  recordsIn(service, 'volumes').flatMap((volume, index): Finding[] => {
    const propagation = textIn(mapIn(volume, 'bind'), 'propagation')
    if (isOpen(propagation) || PROPAGATIONS.has(propagation)) return []
    return [
      {
        path: at(name, 'volumes', index, 'bind', 'propagation'),
        message: `services.${name}.volumes[${String(index)}].bind.propagation: invalid propagation "${propagation}"`,
        expected: `one of ${[...PROPAGATIONS].join(', ')}`,
        suggestion: `write ${suggest(propagation, PROPAGATIONS) ?? 'rprivate'}`,
      },
    ]
  })

const checkFileOwners: ValueCheck = (name, service) =>
  (['configs', 'secrets'] as const).flatMap((kind) =>
    recordsIn(service, kind).flatMap((file, index) =>
      (['uid', 'gid'] as const).flatMap((key): Finding[] => {
        const id = textIn(file, key)
        if (isOpen(id) || /^\d{1,9}$/.test(id)) return []
        return [
          {
            path: at(name, kind, index, key),
            message: `services.${name}.${kind}[${String(index)}].${key}: "${id}" is not a number`,
            expected: 'a number in quotes',
            suggestion: 'write the id, such as "1000"',
          },
        ]
      }),
    ),
  )

const checkUlimits: ValueCheck = (name, service) =>
  Object.entries(mapIn(service, 'ulimits')).flatMap(([limit, value]): Finding[] => {
    const { soft, hard } = typeof value === 'object' && value !== null ? (value as Plain) : {}
    if (typeof soft !== 'number' || typeof hard !== 'number') return []
    const [lower, upper] = [soft, hard].map((number) => (number < 0 ? Infinity : number))
    if ((lower ?? 0) <= (upper ?? 0)) return []
    return [
      {
        path: at(name, 'ulimits', limit),
        message: `services.${name}.ulimits.${limit}: the soft limit ${String(soft)} is above the hard limit ${String(hard)}`,
        expected: 'a soft limit up to the hard one',
        suggestion: 'raise hard, or lower soft',
      },
    ]
  })

export const VALUE_CHECKS: readonly ValueCheck[] = [
  checkRestart,
  checkRestartCondition,
  checkTmpfs,
  checkPropagation,
  checkFileOwners,
  checkUlimits,
]

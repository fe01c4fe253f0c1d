/** What networks, volumes, configs and secrets of a stack file from git may be. */
import type { Finding } from '../spec/finding.ts'
import type { Stack } from '../spec/stack.ts'
import { isWithin } from './confined-files.ts'
import { findingOf, ownerOf, type PolicyContext } from './policy-context.ts'
import { networkFindings } from './policy-networks.ts'

/** All that is found in them. */
export function definitionFindings(stack: Stack, context: PolicyContext): Finding[] {
  return [
    ...foreignFindings(stack, context),
    ...volumeFindings(stack, context),
    ...networkFindings(stack, context),
  ]
}

interface Named {
  readonly name: string
  readonly external?: boolean
}

/** Volumes and networks of other stacks: external ones, and those that are called as if they were. */
function foreignFindings(stack: Stack, context: PolicyContext): Finding[] {
  const { volumes, networks, configs, secrets } = stack
  const names = { stack: stack.name, others: context.others }
  const isOwn = ({ name }: Named): boolean => ownerOf(name, /_/, names) === stack.name
  // Configs and secrets have contents, and no name that another stack could know.
  const always = (): boolean => true
  return [
    ...foreignOf('volumes', volumes, { isOwn, context }),
    ...foreignOf('networks', networks, { isOwn, context }),
    ...foreignOf('configs', configs, { isOwn: always, context }),
    ...foreignOf('secrets', secrets, { isOwn: always, context }),
  ]
}

function foreignOf(
  kind: 'volumes' | 'networks' | 'configs' | 'secrets',
  definitions: Readonly<Record<string, Named>>,
  { isOwn, context }: { isOwn: (definition: Named) => boolean; context: PolicyContext },
): Finding[] {
  return Object.entries(definitions).flatMap(([key, definition]) => {
    const { name, external } = definition
    if (external !== true && isOwn(definition)) return []
    if (context.allow.external.includes(name)) return []
    const what = `${kind.slice(0, -1)} "${name}", which is not the stack's own`
    return [findingOf([kind, key], { at: [], what, option: `--allow-external ${name}` })]
  })
}

/** Volumes that are mounts of something of the host's or of the network's: only memory is everybody's to have. */
function volumeFindings(stack: Stack, context: PolicyContext): Finding[] {
  return Object.entries(stack.volumes).flatMap(([key, { driver = 'local', driver_opts = {} }]) => {
    if (driver !== 'local' && !context.allow.privileged) {
      const what = `the volume driver "${driver}"`
      return [findingOf(['volumes', key], { at: ['driver'], what, option: '--allow-privileged' })]
    }
    const { device = '', type = '' } = driver_opts
    if (Object.keys(driver_opts).length === 0 || type === 'tmpfs') return []
    if (!['', 'none', 'bind'].includes(type) && !context.allow.privileged) {
      const what = `a volume of the kind "${type}"`
      const option = '--allow-privileged'
      return [findingOf(['volumes', key], { at: ['driver_opts', 'type'], what, option })]
    }
    const real = context.realpath(device)
    // Not of the checkout, either: what a service mounts of that is a copy, read-only.
    if (context.allow.hostPaths.some((allowed) => isWithin(context.realpath(allowed), real)))
      return []
    const option = `--allow-host-paths ${device}`
    const what = `a volume of the device "${device}"`
    return [findingOf(['volumes', key], { at: ['driver_opts', 'device'], what, option })]
  })
}

/** What somebody does behind the daemon's back: to interfaces, rules, limits, and to the disk that holds its state. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { DaemonFixture } from '../../daemon-fixture.ts'
import { changedLimit, deletedInterface, flushedRules, type Fault } from './accounts.ts'
import type { Random } from './random.ts'

export type Tampering =
  /** `victim` counts the host's ends of pairs. */
  | { readonly kind: 'delete-veth'; readonly victim: number }
  | { readonly kind: 'flush-firewall' }
  /** `victim` counts the containers that run. */
  | { readonly kind: 'edit-limit'; readonly victim: number }
  /** Not a byte is free for that long. */
  | { readonly kind: 'fill-disk'; readonly forMs: number }

/** Of memory, in bytes; no stack asks for it. */
export const TAMPERED_LIMIT = 99 << 20
const LONGEST_FULL_MS = 1500
const KINDS = ['delete-veth', 'flush-firewall', 'edit-limit', 'fill-disk'] as const

export function chooseTampering(random: Random): Tampering {
  const kind = random.pick(KINDS)
  if (kind === 'flush-firewall') return { kind }
  if (kind === 'fill-disk') return { kind, forMs: random.integer(LONGEST_FULL_MS) }
  return { kind, victim: random.integer(100) }
}

export function isTampering(kind: string): boolean {
  return KINDS.some((known) => known === kind)
}

/** @returns what was done, if anything was */
export async function tamper(
  daemon: DaemonFixture,
  tampering: Tampering,
): Promise<Fault | undefined> {
  if (tampering.kind === 'fill-disk') {
    await fillDisk(path.dirname(daemon.stateDir), tampering.forMs)
    return undefined
  }
  const running = await daemon.client.containers({})
  switch (tampering.kind) {
    case 'delete-veth': {
      const names = vethsOf(daemon)
      const name = names[tampering.victim % names.length]
      if (name === undefined) return undefined
      const fault = deletedInterface(name, running)
      return onHost(daemon, 'ip', 'link', 'delete', name) ? fault : undefined
    }
    case 'flush-firewall': {
      const fault = flushedRules()
      return onHost(daemon, 'nft', 'flush', 'ruleset') && running.length > 0 ? fault : undefined
    }
    case 'edit-limit': {
      const victim = running[tampering.victim % running.length]
      const file = victim && memoryLimitFile(daemon, victim)
      if (victim === undefined || file === undefined) return undefined
      const fault = changedLimit(victim)
      return writeIfThere(file, String(TAMPERED_LIMIT)) ? fault : undefined
    }
  }
}

/** @returns false when it could not be done: what it was about has gone with its container */
function onHost(daemon: DaemonFixture, program: string, ...args: readonly string[]): boolean {
  return spawnSync('nsenter', [`--net=${daemon.netns}`, program, ...args]).status === 0
}

function vethsOf(daemon: DaemonFixture): string[] {
  const { stdout } = spawnSync(
    'nsenter',
    [`--net=${daemon.netns}`, 'ip', '-o', 'link', 'show', 'type', 'veth'],
    { encoding: 'utf8' },
  )
  return [...stdout.matchAll(/^\d+: ([^@:]+)/gm)].map(([, name = '']) => name).sort()
}

/** Of the memory controller, v1 or v2; undefined when its group is gone. */
export function memoryLimitFile(
  daemon: DaemonFixture,
  { id, stack }: { readonly id: string; readonly stack: string },
): string | undefined {
  const group = path.join(daemon.cgroupParent, stack, id)
  const files = [
    path.join('/sys/fs/cgroup', group, 'memory.max'),
    path.join('/sys/fs/cgroup/memory', group, 'memory.limit_in_bytes'),
  ]
  return files.find((file) => existsSync(file))
}

/** Whether the container has a limit that somebody else wrote. */
export function isTampered(
  daemon: DaemonFixture,
  container: { readonly id: string; readonly stack: string },
): boolean {
  const file = memoryLimitFile(daemon, container)
  try {
    return file !== undefined && readFileSync(file, 'utf8').trim() === String(TAMPERED_LIMIT)
  } catch {
    return false // it has just ended
  }
}

/** @returns false when it has just ended, or uses more than that */
function writeIfThere(file: string, text: string): boolean {
  try {
    writeFileSync(file, text, { flag: 'r+' })
    return true
  } catch {
    return false
  }
}

/** First by the largest file that can be, then by what is left in small pieces. */
async function fillDisk(directory: string, forMs: number): Promise<void> {
  const file = path.join(directory, 'filling')
  spawnSync('dd', ['if=/dev/zero', `of=${file}`, 'bs=1M'])
  spawnSync('dd', ['if=/dev/zero', `of=${file}`, 'bs=4k', 'oflag=append', 'conv=notrunc'])
  await sleep(forMs)
  rmSync(file, { force: true })
}

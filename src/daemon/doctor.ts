/** What this host has and lacks, with the exact remedy. */
import { existsSync, readFileSync } from 'node:fs'
import os from 'node:os'
import type { DoctorCheck } from '../api/types.ts'
import { findOtherFirewalls, type OtherFirewalls } from '../network/firewall/other-firewalls.ts'
import type { Context } from '../reconciler/context.ts'
import { toTsstackError } from '../errors.ts'

type Finding = Omit<DoctorCheck, 'name'>

const OVERLAY_APPEND_KERNEL = [6, 5] as const

export function examineHost(context: Context): DoctorCheck[] {
  const checks: [name: string, examine: () => Finding][] = [
    ['privileges', privileges],
    ['kernel', kernel],
    ['overlayfs', () => fileSystem('overlay')],
    ['user namespaces', userNamespaces],
    ['control groups', () => controlGroups(context)],
    ['nf_tables', () => module('nf_tables', 'nf_tables')],
    ['bridges', () => module('bridge', 'bridge')],
    ['veth pairs', () => module('veth', 'veth')],
    ['forwarding', forwarding],
    ['open files', openFiles],
    ['other firewalls', otherFirewalls],
  ]
  return checks.map(([name, examine]) => ({ name, ...examine() }))
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch {
    return undefined
  }
}

function privileges(): Finding {
  const effective = BigInt(
    `0x${/^CapEff:\t([0-9a-f]+)/m.exec(read('/proc/self/status') ?? '')?.[1] ?? '0'}`,
  )
  const missing = [
    ['CAP_SYS_ADMIN', 21n],
    ['CAP_NET_ADMIN', 12n],
    ['CAP_SYS_RESOURCE', 24n],
  ] as const
  const lacking = missing
    .filter(([, bit]) => (effective & (1n << bit)) === 0n)
    .map(([name]) => name)
  if (lacking.length === 0) return { status: 'ok', detail: 'root with all capabilities' }
  const onlyResource = lacking.length === 1 && lacking[0] === 'CAP_SYS_RESOURCE'
  return onlyResource
    ? {
        status: 'warning',
        detail: 'without CAP_SYS_RESOURCE hard limits can not be raised, nor oom_score_adj lowered',
        remedy: 'run the daemon with CAP_SYS_RESOURCE',
      }
    : {
        status: 'missing',
        detail: `lacks ${lacking.join(', ')}`,
        remedy: 'run the daemon as root: sudo tsstack daemon start',
      }
}

function kernel(): Finding {
  const [major = 0, minor = 0] = os.release().split('.').map(Number)
  const isRecent =
    major > OVERLAY_APPEND_KERNEL[0] ||
    (major === OVERLAY_APPEND_KERNEL[0] && minor >= OVERLAY_APPEND_KERNEL[1])
  return isRecent
    ? { status: 'ok', detail: `Linux ${os.release()}` }
    : {
        status: 'missing',
        detail: `Linux ${os.release()} can not stack layers one by one (needs 6.5)`,
        remedy:
          'install a newer kernel, on Debian 12: apt install -t bookworm-backports linux-image-amd64',
      }
}

function fileSystem(name: string): Finding {
  const isKnown = new RegExp(`\\t${name}$`, 'm').test(read('/proc/filesystems') ?? '')
  return isKnown
    ? { status: 'ok', detail: 'available' }
    : { status: 'missing', detail: 'the kernel does not know it', remedy: `modprobe ${name}` }
}

function userNamespaces(): Finding {
  const limit = Number(read('/proc/sys/user/max_user_namespaces') ?? 0)
  return limit > 0
    ? { status: 'ok', detail: `up to ${limit}` }
    : {
        status: 'missing',
        detail: 'switched off',
        remedy: 'sysctl -w user.max_user_namespaces=65536',
      }
}

function controlGroups(context: Context): Finding {
  return { status: 'ok', detail: `version ${context.cgroups.version}` }
}

/** Built in, loaded, or loadable. */
function module(name: string, label: string): Finding {
  const isThere =
    existsSync(`/sys/module/${name}`) || (read('/proc/modules') ?? '').includes(`${name} `)
  if (isThere) return { status: 'ok', detail: 'loaded' }
  const builtin = read(`/lib/modules/${os.release()}/modules.builtin`) ?? ''
  if (builtin.includes(`/${name}.ko`)) return { status: 'ok', detail: 'built in' }
  return {
    status: 'warning',
    detail: `${label} is not loaded; it is loaded when first used, where modules are allowed`,
    remedy: `modprobe ${name}`,
  }
}

function forwarding(): Finding {
  return read('/proc/sys/net/ipv4/ip_forward') === '1'
    ? { status: 'ok', detail: 'on' }
    : { status: 'ok', detail: 'off; switched on while a network of ours needs it' }
}

function openFiles(): Finding {
  const hard = Number(
    /Max open files\s+\d+\s+(\d+)/.exec(read('/proc/self/limits') ?? '')?.[1] ?? 0,
  )
  return hard >= 10_000
    ? { status: 'ok', detail: `up to ${hard}` }
    : {
        status: 'warning',
        detail: `up to ${hard}: enough for about ${Math.floor(hard / 12)} containers`,
        remedy: 'ulimit -Hn 65536 before the daemon starts',
      }
}

function otherFirewalls(): Finding {
  try {
    return tellOfFirewalls(findOtherFirewalls())
  } catch (error) {
    return { status: 'warning', detail: `can not be looked at: ${toTsstackError(error).message}` }
  }
}

function tellOfFirewalls({ ufw, firewalld, blockedBy }: OtherFirewalls): Finding {
  if (firewalld)
    return {
      status: 'warning',
      detail: 'firewalld rejects what passes between interfaces of no zone',
      remedy:
        'firewall-cmd --permanent --zone=trusted --add-interface=ts-+ && firewall-cmd --reload',
    }
  if (blockedBy.length > 0)
    return {
      status: 'warning',
      detail: `forwarded packets are dropped by ${blockedBy.join(', ')}`,
      remedy: 'accept there what comes from or goes to interfaces ts-*',
    }
  if (ufw)
    return {
      status: 'warning',
      detail: 'ufw decides what reaches published ports from outside',
      remedy: 'ufw route allow proto tcp from any to any port 80 (the port of the container)',
    }
  return read('/proc/sys/net/bridge/bridge-nf-call-iptables') === '1'
    ? {
        status: 'warning',
        detail:
          'bridged traffic passes iptables; ours is accepted there where a policy would drop it',
      }
    : { status: 'ok', detail: 'bridged traffic is not filtered by others' }
}

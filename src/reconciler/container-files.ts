/** The single files of a container: configs and secrets, and what tells it about its network. */
import { readFileSync } from 'node:fs'
import type { ContainerConfig } from '../engine/container-config.ts'
import type { TreeFile } from '../engine/file-tree.ts'
import { TsstackError } from '../errors.ts'
import type { Context } from './context.ts'
import { digestOfContent } from './desired-state-of.ts'
import type { ContainerRecord } from './records.ts'

/** @throws {INTERNAL} when a content is not in the stack's record */
export function secretFiles(context: Context, config: ContainerConfig): TreeFile[] {
  if (config.files.length === 0) return []
  const contents = context.stacks.get(config.stack)?.contents
  const known = [...Object.values(contents?.configs ?? {}), ...Object.values(contents?.secrets ?? {})].map((base64) =>
    Buffer.from(base64, 'base64'),
  )
  const byDigest = new Map(known.map((content) => [digestOfContent(content), content]))
  return config.files.map(({ target, digest, mode, uid, gid }) => {
    const content = byDigest.get(digest)
    if (content === undefined) throw new TsstackError('INTERNAL', `Cannot mount "${target}": its content is not known any more`)
    return { target, content, mode, uid, gid }
  })
}

/** /etc/hosts, /etc/hostname and /etc/resolv.conf, unless something else is mounted there. */
export function etcFiles(context: Context, record: ContainerRecord): TreeFile[] {
  const { config } = record
  const taken = new Set([...config.mounts, ...config.files].map((mount) => mount.target))
  const texts = {
    '/etc/hosts': hostsText(context, record),
    '/etc/hostname': `${config.hostname}\n`,
    '/etc/resolv.conf': resolvText(context, record),
  }
  return Object.entries(texts)
    .filter(([target]) => !taken.has(target))
    .map(([target, text]) => ({ target, content: Buffer.from(text), mode: 0o644, uid: 0, gid: 0 }))
}

function hostsText(context: Context, record: ContainerRecord): string {
  const { config } = record
  const own = context.networks.addressOf(record.id)
  const gateway = context.networks.gatewayOf(record)
  const extra = config.extraHosts.map((entry) => {
    const [host = '', address = ''] = entry.split(/=(.*)/s)
    return `${address === 'host-gateway' ? (gateway ?? '127.0.0.1') : address}\t${host}`
  })
  const name = config.domainname === undefined ? config.hostname : `${config.hostname}.${config.domainname} ${config.hostname}`
  const lines = ['127.0.0.1\tlocalhost', '::1\tlocalhost ip6-localhost ip6-loopback', `${own ?? '127.0.1.1'}\t${name}`, ...extra]
  return `${lines.join('\n')}\n`
}

function resolvText(context: Context, record: ContainerRecord): string {
  const { config } = record
  if (config.networkMode.kind === 'host') return readFileSync('/etc/resolv.conf', 'utf8')
  const gateway = context.networks.gatewayOf(record)
  const servers = gateway === undefined ? config.dns : [gateway]
  const lines = [
    ...servers.map((server) => `nameserver ${server}`),
    ...(config.dnsSearch.length > 0 ? [`search ${config.dnsSearch.join(' ')}`] : []),
    `options ${['ndots:0', ...config.dnsOptions].join(' ')}`,
  ]
  return `${lines.join('\n')}\n`
}
